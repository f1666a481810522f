from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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


def test_the_secrets_do_not_show_in_a_traceback(directory: Path) -> None:
    async def shown() -> str:
        async with open_servers(directory, postgres=False, grace_s=0) as servers:
            return f"{servers!r} {servers}"

    secrets: dict[str, str] = json.loads((directory / "secrets.json").read_text())
    assert not any(secret in asyncio.run(shown()) for secret in secrets.values())


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
