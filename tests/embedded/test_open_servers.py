from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from commission_mcp.embedded import open_servers

if TYPE_CHECKING:
    from .conftest import Open, Outside


def test_the_first_start_of_an_empty_place_brings_servers_that_work(fresh: Path, open_client: Open) -> None:
    client = open_client(fresh)

    assert client.sql("SELECT current_user || '@' || current_database()") == "cm_bootstrap@commission"
    assert client.pings("history")
    assert client.pings("cache")

    client.leave()


def test_the_last_client_to_leave_stops_everything(directory: Path, open_client: Open, outside: type[Outside]) -> None:
    first, second = open_client(directory), open_client(directory)
    assert first.answer == second.answer

    first.leave()
    assert second.sql("SELECT 1") == 1

    second.leave()
    outside(directory).wait_until_empty()
    assert [path.name for path in (directory / "run").iterdir()] == []


def test_all_clients_share_one_supervisor(directory: Path, open_client: Open, outside: type[Outside]) -> None:
    clients = [open_client(directory) for _ in range(3)]
    assert all(client.answer == clients[0].answer for client in clients)

    supervisors = [line for line in outside(directory).processes().values() if "embedded.supervisor" in line]
    assert len(supervisors) == 1

    for client in clients:
        client.leave()


def test_the_servers_stay_up_for_the_grace_period(directory: Path, open_client: Open, outside: type[Outside]) -> None:
    with_grace = open_client(directory, grace_s=30)
    assert with_grace.codes == []
    postmaster = outside(directory).postmaster
    with_grace.leave()

    client = open_client(directory)
    assert client.sql("SELECT 1") == 1
    assert outside(directory).postmaster == postmaster

    client.leave()


def test_only_what_is_needed_is_started_and_the_rest_when_somebody_asks(directory: Path, open_client: Open) -> None:
    without_postgres = open_client(directory, postgres=False)
    assert without_postgres.pings("history")
    assert without_postgres.answer["postgres"] == ""
    assert not (directory / "run" / ".s.PGSQL.5432").exists()

    without_redis = open_client(directory, redis=False)
    assert without_redis.sql("SELECT 1") == 1
    assert without_redis.answer["history"] == without_redis.answer["cache"] == ""

    without_postgres.leave()
    assert without_redis.sql("SELECT 1") == 1
    without_redis.leave()


def test_addresses_and_secrets_outlive_a_restart(directory: Path, open_client: Open, outside: type[Outside]) -> None:
    first = open_client(directory)
    first.sql("CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS n")
    first.valkey("history").set("kept", "yes")
    first.valkey("cache").set("kept", "yes")
    first.leave()
    outside(directory).wait_until_empty()

    second = open_client(directory)
    assert second.answer == first.answer
    assert second.sql("SELECT count(*) FROM kept") == 1
    assert second.valkey("history").get("kept") == "yes"
    assert second.valkey("cache").get("kept") is None

    second.leave()


def test_a_client_prints_nothing(directory: Path, open_client: Open) -> None:
    client = open_client(directory)
    assert client.codes == []

    assert client.leave() == ""


def test_several_directories_do_not_disturb_each_other(fresh: Path, directory: Path, open_client: Open) -> None:
    one, other = open_client(fresh, postgres=False), open_client(directory, postgres=False)
    one.valkey("cache").set("mine", "1")

    assert other.valkey("cache").get("mine") is None
    assert one.answer["master"] != other.answer["master"]

    one.leave()
    assert other.pings("cache")
    other.leave()


def test_a_path_too_long_for_a_socket_works(tmp_path: Path, open_client: Open, outside: type[Outside]) -> None:
    directory = tmp_path / ("long " * 20) / ("länger" * 20)
    client = open_client(directory)

    assert client.sql("SELECT 1") == 1
    assert client.pings("history")

    client.leave()
    outside(directory).wait_until_empty()


def test_a_link_and_its_target_are_one_directory(directory: Path, tmp_path: Path, open_client: Open) -> None:
    (tmp_path / "link").symlink_to(directory)
    client, through_link = open_client(directory), open_client(tmp_path / "link")

    assert client.answer == through_link.answer

    client.leave()
    through_link.leave()


def test_secrets_are_nowhere_but_in_private_files(directory: Path, open_client: Open, outside: type[Outside]) -> None:
    client = open_client(directory)
    assert client.sql("SELECT 1") == 1
    secrets: dict[str, str] = json.loads((directory / "secrets.json").read_text())

    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in directory.rglob("*")}
    assert {path for path, mode in modes.items() if mode & 0o077} == set()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    shown = "".join(outside(directory).processes().values())
    shown += "".join(log.read_text() for log in (directory / "logs").iterdir())
    assert not any(secret in shown for secret in secrets.values())

    client.leave()


def test_the_secrets_do_not_show_in_a_traceback(directory: Path) -> None:
    async def shown() -> str:
        async with open_servers(directory, postgres=False, grace_s=0) as servers:
            return f"{servers!r} {servers}"

    secrets: dict[str, str] = json.loads((directory / "secrets.json").read_text())
    assert not any(secret in asyncio.run(shown()) for secret in secrets.values())


def test_the_database_lets_nobody_in_without_the_password(directory: Path, open_client: Open) -> None:
    client = open_client(directory, redis=False)
    wrong = client.answer["postgres"].replace(json.loads((directory / "secrets.json").read_text())["postgres"], "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)

    client.leave()


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_ordinary_logins_reach_the_one_database_only(directory: Path, open_client: Open, database: str) -> None:
    client = open_client(directory, redis=False)
    allowed = client.sql(f"SELECT has_database_privilege('pg_monitor', '{database}', 'CONNECT')")

    assert allowed is False

    client.leave()


def test_postgresql_runs_with_the_chosen_settings(directory: Path, open_client: Open) -> None:
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
    client = open_client(directory, redis=False)

    assert {name: client.sql(f"SELECT current_setting('{name}')") for name in chosen} == chosen

    client.leave()


def test_text_is_compared_and_folded_as_utf8(directory: Path, open_client: Open) -> None:
    client = open_client(directory, redis=False)

    assert client.sql("SELECT lower('ÄÖ')") == "äö"
    assert client.sql("SELECT to_tsvector('simple', 'ÄRGER') @@ 'ärger'") is True
    assert client.sql("SELECT 'a' < 'Z'") is False

    client.leave()


def test_a_value_beyond_the_memory_limit_fails_alone(
    directory: Path, open_client: Open, outside: type[Outside]
) -> None:
    client = open_client(directory, redis=False)
    assert client.codes == []
    postmaster = outside(directory).postmaster
    with psycopg.connect(client.answer["postgres"]) as bystander:
        with pytest.raises(psycopg.errors.OutOfMemory):
            client.sql("SELECT length(repeat(repeat('x', 100000), 5500) || repeat(repeat('y', 100000), 5200))")
        assert bystander.execute("SELECT 1").fetchone() == (1,)

    assert outside(directory).postmaster == postmaster
    client.leave()


def test_neither_statements_nor_values_reach_the_log(directory: Path, open_client: Open) -> None:
    client = open_client(directory, redis=False)
    for statement in ("SELECT 'hidden-1'::int", "SELECT hidden_2", "DO $$BEGIN RAISE WARNING 'hidden-3'; END$$"):
        with psycopg.connect(client.answer["postgres"]) as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.Error:
                connection.rollback()

    assert "hidden" not in (directory / "logs" / "postgres.log").read_text()
    client.leave()


def test_the_server_is_found_again_without_asking_it_for_a_new_start(
    directory: Path, open_client: Open, eventually: Callable[[Callable[[], object]], None]
) -> None:
    holder = open_client(directory, redis=False)
    assert holder.codes == []

    async def twice() -> list[str]:
        found: list[str] = []
        for _ in range(2):
            async with open_servers(directory, redis=False, grace_s=0) as servers:
                found.append(servers.postgres_url)
        return found

    assert asyncio.run(twice()) == [holder.answer["postgres"]] * 2
    holder.leave()
    eventually(lambda: not (directory / "run" / "supervisor.sock").exists())
