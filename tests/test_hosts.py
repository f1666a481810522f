"""What MCP hosts are given: entries, the bundle, the listing."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from commission_mcp.errors import Refused
from commission_mcp.hosts import (
    Host,
    claude_desktop_config,
    entry_problems,
    native_launch,
    reached_entry,
    started_entry,
    windows_launch,
    wsl2_launch,
)
from commission_mcp.settings import load_settings, names

if TYPE_CHECKING:
    from conftest import Installation

ROOT = Path(__file__).parent.parent
MANIFEST: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text("utf-8"))
LISTING: dict[str, Any] = json.loads((ROOT / "server.json").read_text("utf-8"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

OURS = {"command": sys.executable, "args": ["-m", "commission_mcp", "serve"]}


def servers(entry: dict[str, Any]) -> dict[str, Any]:
    return (entry.get("mcpServers") or entry["servers"])["commission"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", Host)
async def test_the_entry_for_a_host_starts_a_server_that_answers(
    host: Host, postgres_18: Installation, tmp_path: Path
) -> None:
    launch = native_launch(Path(postgres_18.variables["COMMISSION_DATA_DIRECTORY"]), "client-a", "analyst")
    entry = servers(started_entry(host, launch))
    started = StdioServerParameters(command=entry["command"], args=entry["args"], env=entry["env"], cwd="/")
    with (tmp_path / "log").open("w") as log:
        async with Client(stdio_client(started, errlog=log)) as client:
            answer = await client.call_tool("query", {"sql": "SELECT name FROM clients"})

    assert (answer.structured_content or {})["rows"] == [["Alpha Ltd"]]
    assert Path(entry["command"]).is_absolute()


def test_in_wsl_the_variables_stand_in_the_command_since_none_are_handed_over() -> None:
    launch = wsl2_launch(native_launch(Path("/home/me/data"), "client-a"), "Debian")
    position = launch.arguments.index("env")

    assert (launch.command, launch.arguments[:3]) == ("wsl.exe", ("-d", "Debian", "--"))
    assert launch.variables == {}
    ran = subprocess.run(
        [*launch.arguments[position:-4], "env"], check=True, capture_output=True, text=True
    )  # what WSL runs, with another program at its end
    assert "COMMISSION_CLIENT_ID=client-a\nCOMMISSION_DATA_DIRECTORY=/home/me/data\n" in ran.stdout


def test_on_windows_secrets_come_from_files_and_every_variable_is_a_setting() -> None:
    launch = windows_launch("client-a", "finance")

    assert {"COMMISSION_POSTGRES_URL_FILE", "COMMISSION_MASTER_SECRET_FILE"} <= set(launch.variables)
    assert [variable for variable in launch.variables if variable not in names.OWN] == []


@pytest.mark.parametrize("host", [Host.CLAUDE_CODE, Host.VSCODE, Host.CURSOR])
def test_the_entry_for_a_server_over_http_names_its_token_and_does_not_hold_it(host: Host) -> None:
    entry = servers(reached_entry(host, "https://x.example/mcp"))

    assert entry["url"] == "https://x.example/mcp"
    assert re.fullmatch(r"Bearer \$\{(?:env:|input:)?[A-Za-z_-]+\}", entry["headers"]["Authorization"])


def test_claude_desktop_takes_an_address_in_its_settings_only() -> None:
    with pytest.raises(Refused):
        reached_entry(Host.CLAUDE_DESKTOP, "https://x.example/mcp")


@pytest.mark.parametrize(
    ("content", "count", "word"),
    [
        ("{", 1, "not JSON"),
        ({"command": "commission-mcp", "args": ["serve"]}, 1, "no absolute path"),
        ({"command": "/nonexistent/commission-mcp"}, 1, "no program"),
        ({**OURS, "env": {"COMMISSION_CLIENT": "a"}}, 1, "no setting"),
        ({**OURS, "env": {"COMMISSION_CLIENT_ID": "nobody"}}, 1, "no client"),
        ({"command": "wsl.exe", "args": ["--", "/x/commission-mcp", "serve"]}, 0, ""),
        ({"command": "npx", "args": ["another"]}, 0, ""),
    ],
)
def test_what_is_wrong_with_an_entry_is_named(tmp_path: Path, content: object, count: int, word: str) -> None:
    path = claude_desktop_config(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps({"mcpServers": {"x": content}}))
    _, problems = entry_problems(path, lambda client: client == "client-a", known=lambda key: not names.is_unknown(key))

    assert len(problems) == count
    assert word in " ".join(str(problem) for problem in problems)
    assert all(problem.fix for problem in problems)


def test_the_bundle_and_the_listing_are_of_this_version_and_name_real_settings() -> None:
    variables = MANIFEST["server"]["mcp_config"]["env"]
    package = LISTING["packages"][0]
    listed = [variable["name"] for variable in package["environmentVariables"]]

    assert {MANIFEST["version"], LISTING["version"], package["version"], PROJECT["version"]} == {PROJECT["version"]}
    assert [name for name in [*variables, *listed] if name not in names.OWN] == []
    assert {f"${{user_config.{name}}}" for name in MANIFEST["user_config"]} == set(variables.values())
    assert package["packageArguments"][0]["value"] == MANIFEST["server"]["mcp_config"]["args"][-1] == "serve"
    assert len(LISTING["description"]) <= 100
    assert (ROOT / MANIFEST["server"]["entry_point"]).is_file()


def test_an_empty_answer_in_the_bundles_form_is_no_setting() -> None:
    environment = dict.fromkeys(MANIFEST["server"]["mcp_config"]["env"], "")

    assert load_settings(environment=environment).settings.postgres_url is None


def test_the_icon_is_a_picture_of_512_pixels() -> None:
    picture = (ROOT / MANIFEST["icon"]).read_bytes()

    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (512, 512)
