"""Reads go to a replica while it keeps up, and to the primary otherwise; the replica is a real PostgreSQL 15."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

from commission_mcp.storage import administration

if TYPE_CHECKING:
    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def replica_url(postgres_15: Installation, debian_program: Callable[[str], list[str]]) -> Iterator[str]:
    """A streaming replica of the external database."""
    primary = dict(postgres_15.address.parameters)
    with tempfile.TemporaryDirectory(prefix="cm-replica-") as name:
        data = Path(name) / "data"
        copy = [*debian_program("pg_basebackup"), "-h", primary["host"], "-U", "postgres", "-D", data]
        subprocess.run([*copy, "-R", "-c", "fast"], check=True, capture_output=True)
        pg_ctl = [*debian_program("pg_ctl"), "-D", data, "-w"]
        options = f"-k {name} -c listen_addresses="
        subprocess.run([*pg_ctl, "-l", Path(name) / "log", "-o", options, "start"], check=True, capture_output=True)
        try:
            yield f"postgresql://postgres@/postgres?host={name}"
        finally:
            subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, capture_output=True)


# Readers of other tests may still be there, so only those that came since count.
READERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'commission-mcp reader' AND backend_start > %s"
)


async def served_by(connect: Connect, installation: Installation, variables: Mapping[str, str]) -> str:
    """'replica' or 'primary', by where the reader's connection is."""
    reading = replace(installation, variables={**installation.variables, **variables})
    async with administration(installation.address) as connection:
        began = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        async with connect(reading) as client:
            # With a clock in it, the answer is not one that the cache gives.
            result = await client.call_tool("query", {"sql": "SELECT count(*), min(now()) FROM sales"})
            content: dict[str, Any] = result.structured_content or {}
            assert content["rows"][0][0] == 400
            row = await (await connection.execute(READERS, began)).fetchone()
    return "primary" if row and row[0] else "replica"


async def test_a_replica_that_keeps_up_is_read_from(
    connect: Connect, postgres_15: Installation, replica_url: str
) -> None:
    await _caught_up(postgres_15, replica_url)
    # Generous, since a busy machine may leave the replica behind for a moment.
    generous = {"COMMISSION_REPLICA_LAG_MAX_MS": "3600000"}

    assert await served_by(connect, postgres_15, {}) == "primary"
    for entry in (replica_url, f"client-a={replica_url}"):
        variables = {"COMMISSION_POSTGRES_REPLICA_URLS": entry, **generous}
        with anyio.fail_after(30):
            while await served_by(connect, postgres_15, variables) != "replica":
                await anyio.sleep(0.05)
    other = {"COMMISSION_POSTGRES_REPLICA_URLS": f"client-b={replica_url}", **generous}
    assert await served_by(connect, postgres_15, other) == "primary"


async def test_a_replica_that_lags_or_is_down_is_passed_over(
    connect: Connect, postgres_15: Installation, replica_url: str
) -> None:
    variables = {"COMMISSION_POSTGRES_REPLICA_URLS": replica_url, "COMMISSION_REPLICA_LAG_MAX_MS": "1"}
    async with await psycopg.AsyncConnection.connect(replica_url, autocommit=True) as standby:
        await standby.execute("SELECT pg_wal_replay_pause()")
        async with administration(postgres_15.address) as connection:
            await connection.execute("UPDATE cm.uom SET name = name WHERE client_id = 'client-b'")
        assert await served_by(connect, postgres_15, variables) == "primary"
        await standby.execute("SELECT pg_wal_replay_resume()")
    down = {"COMMISSION_POSTGRES_REPLICA_URLS": "postgresql://x@127.0.0.1:1/postgres"}

    assert await served_by(connect, postgres_15, down) == "primary"


async def test_what_was_committed_is_read_however_far_a_replica_is_behind(
    connect: Connect, postgres_15: Installation, replica_url: str
) -> None:
    await _caught_up(postgres_15, replica_url)
    variables = {"COMMISSION_POSTGRES_REPLICA_URLS": replica_url, "COMMISSION_REPLICA_LAG_MAX_MS": "3600000"}
    reading = replace(postgres_15, variables={**postgres_15.variables, **variables})
    rename = "UPDATE cm.uom SET name = %s WHERE client_id = 'client-a'"
    async with (
        await psycopg.AsyncConnection.connect(replica_url, autocommit=True) as standby,
        administration(postgres_15.address) as primary,
        connect(reading) as client,
    ):

        async def name() -> tuple[str, str]:
            result = await client.call_tool("query", {"sql": "SELECT name FROM uoms"})
            content: dict[str, Any] = result.structured_content or {}
            return content["rows"][0][0], content["cache"]

        await standby.execute("SELECT pg_wal_replay_pause()")
        try:
            before = (await name())[0]
            seen: list[tuple[str, str]] = []
            for number in range(20):
                await primary.execute(rename, [f"Name {number}"])
                seen += [await name(), await name()]
        finally:
            await primary.execute(rename, ["Each"])
            await standby.execute("SELECT pg_wal_replay_resume()")

    assert before == "Each"
    assert seen == [(f"Name {number}", cache) for number in range(20) for cache in ("miss", "hit")]


async def _caught_up(installation: Installation, replica_url: str) -> None:
    async with (
        administration(installation.address) as primary,
        await psycopg.AsyncConnection.connect(replica_url, autocommit=True) as standby,
    ):
        row = await (await primary.execute("SELECT pg_current_wal_lsn()::text")).fetchone()
        with anyio.fail_after(20):
            while True:
                cursor = await standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [row[0] if row else ""])
                if (await cursor.fetchone()) == (True,):
                    return
                await anyio.sleep(0.01)
