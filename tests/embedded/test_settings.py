from __future__ import annotations

import json
import stat
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from .conftest import Client, OpenIn, Outside


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose servers run as long as the tests of this file."""
    return tmp_path_factory.mktemp("settings") / "data"


@pytest.fixture(scope="module")
def client(data: Path, clients: OpenIn) -> Generator[Client]:
    """The client of all tests of this file: they only look."""
    with clients() as open_client:
        client = open_client(data)
        assert client.codes == []
        yield client
        client.leave()


@pytest.mark.usefixtures("client")
def test_secrets_are_nowhere_but_in_private_files(data: Path, outside: type[Outside]) -> None:
    secrets: dict[str, str] = json.loads((data / "secrets.json").read_text())

    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in data.rglob("*")}
    assert {path for path, mode in modes.items() if mode & 0o077} == set()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    shown = "".join(outside(data).processes().values())
    shown += "".join(log.read_text() for log in (data / "logs").iterdir())
    assert not any(secret in shown for secret in secrets.values())


def test_the_database_lets_nobody_in_without_the_password(client: Client, data: Path) -> None:
    wrong = client.answer["postgres"].replace(json.loads((data / "secrets.json").read_text())["postgres"], "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_ordinary_logins_reach_the_one_database_only(client: Client, database: str) -> None:
    allowed = client.sql(f"SELECT has_database_privilege('pg_monitor', '{database}', 'CONNECT')")

    assert allowed is False


def test_postgresql_runs_with_the_chosen_settings(client: Client) -> None:
    chosen = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "fsync": "on",
        "jit": "off",
        "synchronize_seqscans": "off",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "log_min_error_statement": "panic",
        "shared_buffers": "128MB",
    }

    assert {name: client.sql(f"SELECT current_setting('{name}')") for name in chosen} == chosen


def test_text_is_compared_and_folded_as_utf8(client: Client) -> None:
    assert client.sql("SELECT lower('ÄÖ')") == "äö"
    assert client.sql("SELECT to_tsvector('simple', 'ÄRGER') @@ 'ärger'") is True
    assert client.sql("SELECT 'a' < 'Z'") is False


def test_a_value_beyond_the_memory_limit_fails_alone(client: Client, data: Path, outside: type[Outside]) -> None:
    postmaster = outside(data).postmaster
    with psycopg.connect(client.answer["postgres"]) as bystander:
        with pytest.raises(psycopg.errors.OutOfMemory):
            client.sql("SELECT length(repeat(repeat('x', 100000), 5500) || repeat(repeat('y', 100000), 5200))")
        assert bystander.execute("SELECT 1").fetchone() == (1,)

    assert outside(data).postmaster == postmaster


def test_neither_statements_nor_values_reach_the_log(client: Client, data: Path) -> None:
    for statement in ("SELECT 'hidden-1'::int", "SELECT hidden_2", "DO $$BEGIN RAISE WARNING 'hidden-3'; END$$"):
        with psycopg.connect(client.answer["postgres"]) as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.Error:
                connection.rollback()

    assert "hidden" not in (data / "logs" / "postgres.log").read_text()
