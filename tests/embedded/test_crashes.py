from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

if TYPE_CHECKING:
    from .conftest import Client, Open, Outside

    Eventually = Callable[[Callable[[], object]], None]


def _write(client: Client) -> None:
    """Commit a row and have a message acknowledged."""
    client.sql("CREATE TABLE IF NOT EXISTS survivor (n int)")
    client.sql("INSERT INTO survivor VALUES (1)")
    client.valkey("history").rpush("survivor", "message")


def _written(client: Client) -> tuple[object, int]:
    return client.sql("SELECT count(*) FROM survivor"), int(client.valkey("history").llen("survivor"))


def _valkey_process(client: Client, which: str) -> int:
    return int(client.valkey(which).info("server")["process_id"])  # type: ignore[index] - redis-py's answer may be awaitable, by its types


def test_a_killed_client_leaves_nothing_running(fresh: Path, open_client: Open, outside: type[Outside]) -> None:
    client = open_client(fresh)
    _write(client)
    client.kill()
    outside(fresh).wait_until_empty()

    again = open_client(fresh)
    assert _written(again) == (1, 1)
    again.leave()


def test_a_killed_supervisor_takes_its_servers_along_and_nothing_is_lost(
    fresh: Path, open_client: Open, outside: type[Outside]
) -> None:
    client = open_client(fresh)
    _write(client)
    supervisor = outside(fresh).supervisor
    client.process.send_signal(signal.SIGSTOP)  # or it would start a new one at once
    os.kill(supervisor, signal.SIGKILL)
    outside(fresh).wait_until_empty()
    client.kill()

    again = open_client(fresh)
    assert _written(again) == (1, 1)
    again.leave()


def test_a_client_outlives_the_death_of_its_supervisor(
    directory: Path, open_client: Open, outside: type[Outside], eventually: Eventually
) -> None:
    client = open_client(directory)
    _write(client)
    before, supervisor = _written(client), outside(directory).supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: outside(directory).supervisor != supervisor and _works(client))

    assert _written(client) == before
    client.leave()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_postgresql_is_started_again_when_it_dies(
    directory: Path, open_client: Open, outside: type[Outside], eventually: Eventually, number: signal.Signals
) -> None:
    client = open_client(directory)
    _write(client)
    before, supervisor = _written(client), outside(directory).supervisor
    postmaster = outside(directory).postmaster
    os.kill(postmaster, number)
    eventually(lambda: _works(client) and outside(directory).postmaster != postmaster)

    assert _written(client) == before
    assert outside(directory).supervisor == supervisor
    client.leave()


def test_postgresql_is_started_again_although_a_backend_of_the_dead_one_is_busy(
    directory: Path, open_client: Open, outside: type[Outside], eventually: Eventually
) -> None:
    client = open_client(directory, redis=False)
    with closing(psycopg.connect(client.answer["postgres"], autocommit=True)) as busy:
        busy.execute("SET client_connection_check_interval = 0")
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1e12::bigint)")
        eventually(lambda: client.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%1e12%'") == 2)
        postmaster = outside(directory).postmaster
        os.kill(postmaster, signal.SIGKILL)
        eventually(lambda: _works(client) and outside(directory).postmaster != postmaster)

    assert client.sql("SELECT 1") == 1
    client.leave()


@pytest.mark.parametrize("which", ["history", "cache"])
def test_a_valkey_is_started_again_when_it_is_killed(
    directory: Path, open_client: Open, eventually: Eventually, which: str
) -> None:
    client = open_client(directory)
    _write(client)
    before, process = _written(client), _valkey_process(client, which)
    os.kill(process, signal.SIGKILL)
    eventually(lambda: _works(client))

    assert _written(client) == before
    assert _valkey_process(client, which) != process
    client.leave()


def test_a_process_id_that_is_anothers_by_now_does_not_prevent_a_start(
    directory: Path, open_client: Open, outside: type[Outside]
) -> None:
    client = open_client(directory, redis=False)
    assert client.codes == []
    client.process.send_signal(signal.SIGSTOP)
    os.kill(outside(directory).postmaster, signal.SIGSTOP)
    os.kill(outside(directory).supervisor, signal.SIGKILL)
    os.kill(outside(directory).postmaster, signal.SIGKILL)
    client.kill()
    outside(directory).wait_until_empty()
    stale = directory / "postgres" / "postmaster.pid"
    stale.write_text("\n".join([str(os.getpid()), *stale.read_text().splitlines()[1:]]))

    again = open_client(directory, redis=False)
    assert again.sql("SELECT 1") == 1
    again.leave()


def test_an_earlier_postgresql_that_hangs_is_ended_before_a_new_one_starts(
    directory: Path, open_client: Open, outside: type[Outside]
) -> None:
    client = open_client(directory, redis=False)
    client.sql("CREATE TABLE IF NOT EXISTS survivor (n int)")
    client.process.send_signal(signal.SIGSTOP)
    hanging = outside(directory).postmaster
    with psycopg.connect(client.answer["postgres"]) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        os.kill(hanging, signal.SIGKILL)  # its backend stays
        os.kill(outside(directory).supervisor, signal.SIGKILL)
        client.kill()

        again = open_client(directory, redis=False)
        assert again.sql("SELECT count(*) >= 0 FROM survivor") is True
    assert backend not in outside(directory).processes()
    again.leave()


def test_a_supervisor_that_is_frozen_is_reported_with_its_process(
    directory: Path, open_client: Open, outside: type[Outside]
) -> None:
    holder = open_client(directory, postgres=False)
    assert holder.codes == []
    supervisor = outside(directory).supervisor
    os.kill(supervisor, signal.SIGSTOP)

    refused = open_client(directory, postgres=False, answer_wait_s=0.5)
    assert refused.codes == ["E_SERVER_START"]
    assert f"kill -9 {supervisor}" in str(refused.answer)

    os.kill(supervisor, signal.SIGCONT)
    holder.leave()


def test_a_client_that_comes_while_the_supervisor_leaves_gets_a_new_one(directory: Path, open_client: Open) -> None:
    for _ in range(3):
        leaving = open_client(directory, postgres=False)
        assert leaving.codes == []
        assert leaving.process.stdin is not None
        leaving.process.stdin.close()
        leaving.process.stdin = None
        coming = open_client(directory, postgres=False)
        assert coming.pings("history")
        coming.leave()


def test_stopping_the_supervisor_stops_its_servers_in_good_order(
    directory: Path, open_client: Open, outside: type[Outside]
) -> None:
    client = open_client(directory)
    assert client.codes == []
    client.process.send_signal(signal.SIGSTOP)
    os.kill(outside(directory).supervisor, signal.SIGTERM)
    outside(directory).wait_until_empty()
    client.kill()

    assert "database system is shut down" in (directory / "logs" / "postgres.log").read_text().splitlines()[-1]


def test_a_server_that_cannot_start_is_reported_with_its_log(fresh: Path, open_client: Open) -> None:
    open_client(fresh, redis=False).leave()
    (fresh / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")

    refused = open_client(fresh, redis=False)
    assert refused.codes == ["E_SERVER_START"]
    assert str(fresh / "logs" / "postgres.log") in str(refused.answer)


def _works(client: Client) -> bool:
    try:
        valkeys = [which for which in ("history", "cache") if client.answer[which]]
        return client.sql("SELECT 1") == 1 and all(client.pings(which) for which in valkeys)
    except (psycopg.OperationalError, redis.ConnectionError, redis.ResponseError):
        return False
