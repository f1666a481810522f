"""Runs go on behind an answer, once, and two servers never both write one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import pytest

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import LOCAL_ISSUER, Database, DatabaseLimits, ReplicaAddresses, open_database
from commission_mcp.storage.runs.jobs import RunJobs

if TYPE_CHECKING:
    from conftest import Payroll

pytestmark = pytest.mark.anyio


async def nobody(_done: float, _doing: str) -> None:
    """Nobody listens."""


@pytest.fixture
async def filled(payroll: Payroll) -> Payroll:
    await payroll.plan([{"category_type": "Flat", "commission": 5}])
    await payroll.sell("s1", "2026-07-01", "100")
    return payroll


@pytest.fixture
async def database(filled: Payroll) -> AsyncIterator[Database]:
    bed = filled.installation
    async with open_database(bed.address, bed.credentials, DatabaseLimits(), ReplicaAddresses()) as opened:
        yield opened


def finance(payroll: Payroll) -> Caller:
    return Caller(payroll.client_id, LOCAL_ISSUER, "local", frozenset({Role.FINANCE}))


async def test_a_run_goes_on_behind_the_answer_and_is_picked_up(filled: Payroll, database: Database) -> None:
    caller = finance(filled)
    async with anyio.create_task_group() as tasks:
        jobs = RunJobs(tasks.start_soon)
        early = await jobs.run(database, caller, "2026-07", adjust=False, wait_s=0, tell=nobody)
        late = await jobs.run(database, caller, "2026-07", adjust=False, wait_s=60, tell=nobody)
        assert late is early
        assert late.ran is not None
        assert (late.ran.outcome, late.progress) == ("calculated", 1.0)

    assert len(await filled.execute("SELECT 1 FROM cm.calc_run WHERE client_id = '{client}'")) == 1


async def test_two_servers_at_once_write_one_run(filled: Payroll, database: Database) -> None:
    caller = finance(filled)
    outcomes: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def server() -> None:
            jobs = RunJobs(tasks.start_soon)
            try:
                job = await jobs.run(database, caller, "2026-07", adjust=False, wait_s=60, tell=nobody)
                outcomes.append(job.ran.outcome if job.ran is not None else "running")
            except Refused as refused:
                outcomes.extend(str(problem.code) for problem in refused.problems)

        async with anyio.create_task_group() as servers:
            for _ in range(3):
                servers.start_soon(server)

    assert outcomes.count("calculated") == 1
    assert set(outcomes) <= {"calculated", "unchanged", str(Code.BUSY)}
    assert len(await filled.execute("SELECT 1 FROM cm.calc_run WHERE client_id = '{client}'")) == 1


async def test_a_refusal_reaches_whoever_waits_and_leaves_nothing(filled: Payroll, database: Database) -> None:
    stranger = Caller(filled.client_id, LOCAL_ISSUER, "local", frozenset({Role.ANALYST}))
    async with anyio.create_task_group() as tasks:
        with pytest.raises(Refused) as refused:
            await RunJobs(tasks.start_soon).run(database, stranger, "2026-07", adjust=False, wait_s=60, tell=nobody)
        assert [problem.code for problem in refused.value.problems] == [Code.ROLE_REQUIRED]

    assert await filled.execute("SELECT 1 FROM cm.calc_run WHERE client_id = '{client}'") == []
