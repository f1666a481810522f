"""Which server a client talks to, and whom it gives its token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commission_mcp.client import CommissionClient, SettingsError
from commission_mcp.client.settings import ClientSettings
from commission_mcp.settings import load_settings

ENVIRONMENT = {
    "COMMISSION_MCP_URL": "https://environment.example/mcp",
    "COMMISSION_MCP_TOKEN": "of the environment",
    "COMMISSION_MCP_TIMEOUT_S": "5",
    "COMMISSION_CLIENT_ID": "client-e",
}


def settings(
    tmp_path: Path,
    file: str = "",
    environment: dict[str, str] | None = None,
    **arguments: Any,  # noqa: ANN401 - each test gives its own
) -> ClientSettings:
    path = tmp_path / "client.toml"
    path.write_text(file)
    return CommissionClient(config_file=path, environment=environment or {}, **arguments).settings


def credential(found: ClientSettings) -> object:
    return found.token


def test_an_argument_goes_before_the_file_and_the_file_before_the_environment(tmp_path: Path) -> None:
    file = 'url = "https://file.example/mcp"\ntimeout_s = 7\n'
    found = settings(tmp_path, file, ENVIRONMENT, client_id="client-a")

    assert (found.url, found.timeout_s, found.client_id) == ("https://file.example/mcp", 7.0, "client-a")
    assert settings(tmp_path, "", ENVIRONMENT).client_id == "client-e"


def test_a_token_is_not_sent_to_another_server_than_it_stands_beside(tmp_path: Path) -> None:
    file = 'url = "https://file.example/mcp"\ntoken = "of the file"\n'

    assert credential(settings(tmp_path, file, ENVIRONMENT)) == "of the file"
    assert credential(settings(tmp_path, "", ENVIRONMENT)) == "of the environment"
    assert settings(tmp_path, file, ENVIRONMENT, url="https://other.example/mcp").token is None


def test_a_token_that_stands_alone_is_for_whichever_server(tmp_path: Path) -> None:
    alone = {"COMMISSION_MCP_TOKEN": "alone"}

    assert credential(settings(tmp_path, "", alone, url="https://other.example/mcp")) == "alone"


def test_a_token_can_be_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    found = settings(tmp_path, f'url = "https://x.example/mcp"\ntoken_file = "{tmp_path / "token"}"')

    assert credential(found) == "hunter2"
    assert "hunter2" not in repr(found)


def test_without_a_server_it_is_this_installations_own(tmp_path: Path) -> None:
    command = settings(tmp_path).command

    assert command is not None
    assert command[1:] == ("-m", "commission_mcp", "serve")


def test_a_command_may_be_one_line(tmp_path: Path) -> None:
    assert settings(tmp_path, command="ssh host 'commission-mcp serve'").command == (
        "ssh",
        "host",
        "commission-mcp serve",
    )


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("", {"url": "file:///etc/passwd"}),
        ("", {"url": "https://x.example/mcp", "command": "commission-mcp serve"}),
        ("", {"timeout_s": 0}),
        ("", {"retries": -1}),
        ("", {"command": ""}),
        ('uurl = "https://x.example/mcp"', {}),
        ("not toml", {}),
        ('url = "https://x.example/mcp"\ntoken_file = "/nonexistent"', {}),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, file: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        settings(tmp_path, file, **arguments)


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no file"):
        CommissionClient(config_file=tmp_path / "none.toml", environment={})


def test_the_server_leaves_the_clients_names_alone() -> None:
    assert load_settings(environment=ENVIRONMENT).settings.client_id == "client-e"
