"""Cancelled, late, too large, too deep or killed under: nothing goes on running, and the next call works."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from psycopg import pq

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard.statement import SEAL, Select
from commission_mcp.storage import DatabaseLimits, wire

if TYPE_CHECKING:
    from .conftest import Attacker, Broken, Guarded, ReadAs, Witness

    Eventually = Callable[..., None]

pytestmark = pytest.mark.anyio

POINTS = 100
STOPPED_S = 10  # a quiet machine takes milliseconds, and the statements would run for longer than that
HEAVY = "SELECT count(*) FROM sales a, sales b, sales c WHERE a.net + b.net + c.net < 0"

# What a statement may cost is bounded by the time limit, the bytes that come back, temporary files, and the stack.
TOO_MUCH = {
    "a cross join": HEAVY,
    "a long series": "SELECT count(*) FROM generate_series(1, 1000000000) i",
    "a recursion without an end": "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT count(*) FROM r",
    "a text that is too large": "SELECT repeat('x', 100000000)",
    "many rows that are too large": "SELECT repeat('x', 10000) FROM generate_series(1, 100000)",
    "nested texts": "SELECT repeat(repeat(repeat('x', 100), 1000), 1000)",
    "temporary files": "SELECT i, repeat('x', 1000) FROM generate_series(1, 10000000) i ORDER BY 2, 1 DESC",
    "a deep expression": "SELECT " + "abs(" * 20_000 + "1" + ")" * 20_000,
    "a deep chain": "SELECT " + "1 + " * 50_000 + "1",
    "nested subqueries": "SELECT * FROM " + "(SELECT 1 FROM " * 5_000 + "uoms" + ") x" * 5_000,
    "a huge number": "SELECT factorial(100000)",
}


@pytest.mark.parametrize("sql", TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_what_is_too_much_is_stopped_and_the_next_call_works(
    attacker_in_a_hurry: Attacker, witness: Witness, eventually: Eventually, sql: str
) -> None:
    outcome = await attacker_in_a_hurry.ask(sql)
    eventually(lambda: not witness.active(attacker_in_a_hurry.login), within_s=STOPPED_S)

    assert outcome.codes
    assert outcome.codes <= {Code.SQL_TIMEOUT, Code.SQL_RESOURCES, Code.SQL_TOO_DEEP, Code.SQL_VALUE, Code.SQL_MEANING}
    assert (await attacker_in_a_hurry.attempt("SELECT count(*) FROM sales")).rows == [(400,)]


async def test_a_connection_whose_temporary_files_ran_out_is_in_order_or_gone(
    broken: Broken, superuser: Witness, read_as: ReadAs
) -> None:
    login = broken.credentials.reader_login("client-a", "masked")  # pyright: ignore[reportArgumentType] - a StrEnum
    superuser.connection.execute(f"ALTER ROLE {login} SET temp_file_limit = '1MB'".encode())
    try:
        async with read_as(broken, DatabaseLimits()) as attacker:
            spilling = await attacker.ask(
                "SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) i ORDER BY 2, 1 DESC"
            )
            await attacker.check_nothing_left()
    finally:
        superuser.connection.execute(f"ALTER ROLE {login} SET temp_file_limit = '256MB'".encode())

    assert spilling.codes == {Code.SQL_RESOURCES}


async def test_an_answer_that_is_too_large_is_refused_before_it_is_there_as_a_whole(
    attacker_in_a_hurry: Attacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, measured = iter([40_000]), list[int]()
    size_bytes = wire._size_bytes  # pyright: ignore[reportPrivateUsage] - to see how much was held

    def measure(results: Sequence[pq.abc.PGresult]) -> int:
        measured.append(size_bytes(results))
        return measured[-1]

    def look(descriptor: int) -> int:
        del descriptor
        return next(looks, 0)  # the server outruns us: only the first look sees that anything waits

    monkeypatch.setattr(wire, "_waiting_bytes", look)  # when the server outruns us cannot be arranged
    monkeypatch.setattr(wire, "_size_bytes", measure)  # to see how much was held
    outcome = await attacker_in_a_hurry.ask("SELECT repeat('x', 10000) FROM generate_series(1, 2000)")

    assert outcome.codes == {Code.SQL_RESOURCES}
    assert 4 * 2**20 < sum(measured) < 6 * 2**20


async def test_a_cancelled_query_runs_no_longer_wherever_it_is_cancelled(
    attacker: Attacker, witness: Witness, eventually: Eventually
) -> None:
    chance = random.Random(20260101)  # noqa: S311 - repeatable points, no secret
    cancelled = 0
    for _ in range(POINTS):
        with anyio.move_on_after(chance.uniform(0, 0.04)) as scope:
            await attacker.ask(HEAVY)
        cancelled += scope.cancelled_caught
        eventually(lambda: not witness.active(attacker.login), within_s=STOPPED_S)

    assert cancelled == POINTS
    await attacker.check_nothing_left()


async def test_a_query_that_is_late_runs_no_longer(
    broken: Broken, superuser: Witness, read_as: ReadAs, eventually: Eventually
) -> None:
    chance = random.Random(20260102)  # noqa: S311 - repeatable points, no secret
    for _ in range(POINTS // 10):
        async with read_as(broken, DatabaseLimits(query_timeout_ms=chance.randint(1, 60))) as attacker:
            codes = (await attacker.ask(HEAVY)).codes
            eventually(lambda login=attacker.login: not superuser.active(login), within_s=STOPPED_S)

        assert codes == {Code.SQL_TIMEOUT}


async def test_many_cancelled_at_once_leave_their_connections_to_the_next(
    attacker: Attacker, witness: Witness, eventually: Eventually
) -> None:
    with anyio.move_on_after(0.2):
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(attacker.ask, HEAVY)
    eventually(lambda: not witness.active(attacker.login), within_s=STOPPED_S)

    assert (await attacker.attempt("SELECT count(*) FROM sales")).rows == [(400,)]


@pytest.mark.parametrize("victim", ["backend", "postmaster"])
async def test_a_read_works_again_after_postgresql_was_killed_under_it(
    broken_18: Broken, open_guarded: Guarded, read_as: ReadAs, victim: str
) -> None:
    async with read_as(broken_18, DatabaseLimits()) as attacker:
        async with anyio.create_task_group() as group:
            group.start_soon(attacker.ask, HEAVY)
            with anyio.fail_after(30):
                while not (pids := attacker.witness.active(attacker.login)):
                    await anyio.lowlevel.checkpoint()
            _kill(broken_18, victim, pids)
        with anyio.fail_after(60):
            while (outcome := await attacker.ask("SELECT count(*) FROM sales")).codes:
                assert outcome.codes <= {Code.DATABASE_UNREACHABLE, Code.BUSY}
        async with open_guarded(broken_18) as database:
            with anyio.fail_after(60):
                async with database.reading(attacker.reading.admission.caller) as reading:
                    select = Select("SELECT 1", 0, frozenset(), ordered=False, volatile=False, seal=SEAL)
                    table = await reading.fetch(select, [], rows_max=1)

    assert outcome.rows == [(400,)]
    assert table.rows == [(1,)]


def _kill(broken: Broken, victim: str, pids: list[object]) -> None:
    data = Path(dict(broken.address.parameters)["host"]).parent / "postgres" / "postmaster.pid"
    pid = int(str(pids[0])) if victim == "backend" else int(data.read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)


async def test_waiting_in_vain_for_a_connection_is_refused_as_busy(broken: Broken, read_as: ReadAs) -> None:
    limits = DatabaseLimits(connections_per_login_max=1, connection_wait_ms=100)
    async with read_as(broken, limits) as attacker, attacker.pooled():
        with pytest.raises(Refused) as refused:
            async with attacker.pooled():
                pass

    assert [problem.code for problem in refused.value.problems] == [Code.BUSY]
