"""Periods that clumsy and hostile users run into: what is stored stays whole, and what is not paid is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import LOCAL_ISSUER, Database, DatabaseLimits, ReplicaAddresses, open_database
from commission_mcp.storage.runs.payments import Step, Wanted, take_step
from commission_mcp.storage.runs.running import Ran, run_period

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Payroll

pytestmark = pytest.mark.anyio

FLAT: dict[str, Any] = {"category_type": "Flat", "commission": 10}
ANYBODY = "INSERT INTO cm.approval_policy VALUES ('{client}', 'payout_approval', 'not_required', NULL, 'finance')"
PAID = {"paid_on": "2026-08-05", "reference": "payroll 2026-08"}


async def call(client: Client, period: str = "2026-07", **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("run_commissions", {"period": period, **arguments})
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


def amounts(answer: dict[str, Any]) -> dict[str, str]:
    return {payout["payee"]: payout["amount"] for payout in answer["payouts"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


async def paid(client: Client, run_id: str) -> None:
    await call(client, action="approve", run_id=run_id)
    assert (await call(client, action="pay", run_id=run_id, **PAID))["period_status"] == "paid"


@pytest.fixture
async def database(payroll: Payroll) -> AsyncIterator[Database]:
    bed = payroll.installation
    async with open_database(bed.address, bed.credentials, DatabaseLimits(), ReplicaAddresses()) as opened:
        yield opened


def finance(payroll: Payroll) -> Caller:
    return Caller(payroll.client_id, LOCAL_ISSUER, "local", frozenset({Role.FINANCE}))


async def test_a_period_without_a_plan_pays_nothing_and_says_why(payroll: Payroll) -> None:
    await payroll.sell("s1", "2026-07-03", "1000")
    async with payroll.caller() as client:
        ran = await call(client)
        shown = await call(client, action="show")
        approved = await call(client, action="approve", run_id=ran["run_id"])

    assert (ran["outcome"], ran["lines"], ran["payouts"]) == ("calculated", 0, [])
    assert [(miss["credits"], miss["amount"]) for miss in ran["unmatched"]] == [(1, "1000")]
    assert (shown["period_status"], shown["payments"]) == ("calculated", [])
    assert codes(approved) == ["E_PAYOUT_STATE"]


async def test_a_sale_that_is_moved_to_another_payee_moves_its_commission(payroll: Payroll) -> None:
    await payroll.execute(ANYBODY)
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-03", "1000", "ann")
    async with payroll.caller() as client:
        before = await call(client)
        await payroll.sell("r1", "2026-07-03", "-1000", "", reverses_sale_id="s1", quantity="-1")
        await payroll.sell("s2", "2026-07-03", "1000", "bob")
        moved = await call(client)
        await paid(client, moved["run_id"])
        await payroll.sell("r2", "2026-07-03", "-1000", "", reverses_sale_id="s2", quantity="-1")
        await payroll.sell("s3", "2026-07-03", "1000", "cat")
        adjusted = await call(client, adjust=True)
        august = await call(client, "2026-08")

    assert (amounts(before), amounts(moved)) == ({"ann": "100.00"}, {"ann": "0", "bob": "100.00"})
    assert {delta["payee"]: delta["amount"] for delta in adjusted["deltas"]} == {"bob": "-100.00", "cat": "100.00"}
    assert [(p["payee"], p["carried"]) for p in august["payouts"]] == [("bob", "-100.00")]


async def test_who_leaves_in_the_period_is_paid_for_it_and_shown_as_gone(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-03", "1000", "ann")
    await payroll.sell("s2", "2026-07-03", "1000", "bob")
    await payroll.execute(
        "UPDATE cm.payee SET left_on = '2026-07-15' WHERE (client_id, payee_id) = ('{client}', 'ann')"
    )
    async with payroll.caller() as client:
        ran = await call(client)
        shown = await call(client, action="show")

    assert amounts(ran) == {"ann": "100.00", "bob": "100.00"}
    assert {p["payee"]: p["left_on"] for p in shown["payments"]} == {"ann": "2026-07-15", "bob": None}


async def test_a_version_that_is_activated_while_a_run_calculates_counts_with_the_next(
    payroll: Payroll, database: Database
) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-20", "1000")

    async def activate(done: float, _: str) -> None:
        if done < 0.5:
            await payroll.execute("UPDATE cm.plan_version SET status = 'superseded' WHERE client_id = '{client}'")
            await payroll.plan([{**FLAT, "commission": 20}], version=2, valid="[2026-07-01,2027-01-01)")

    first = await run_period(database, finance(payroll), "2026-07", progress=activate)
    second = await run_period(database, finance(payroll), "2026-07")

    def paying(ran: Ran) -> tuple[str, set[int], list[str]]:
        versions = {result.source.version for result in ran.settlement.results}
        return ran.outcome, versions, [str(payout.amount) for payout in ran.payouts]

    assert paying(first) == ("calculated", {1}, ["100.00"])
    assert (paying(second), second.supersedes) == (("calculated", {2}, ["200.00"]), first.run_id)


async def test_a_run_that_is_cancelled_in_the_middle_writes_nothing(payroll: Payroll, database: Database) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-20", "1000")
    for stop_at in (0.3, 0.7):
        with anyio.CancelScope() as scope:

            async def cancel(done: float, _: str, scope: anyio.CancelScope = scope, at: float = stop_at) -> None:
                if done >= at:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()

            await run_period(database, finance(payroll), "2026-07", progress=cancel)
        assert scope.cancelled_caught
    for table in ("calc_run", "result_line", "payout", "run_note"):
        assert await payroll.execute(f"SELECT FROM cm.{table} WHERE client_id = '{{client}}'") == []

    assert (await run_period(database, finance(payroll), "2026-07")).outcome == "calculated"


async def test_a_run_does_not_take_the_place_of_what_is_paid_while_it_calculates(
    payroll: Payroll, database: Database
) -> None:
    await payroll.execute(ANYBODY)
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-20", "1000")
    await payroll.sell("s2", "2026-07-20", "500", "bob")
    caller = finance(payroll)
    first = await run_period(database, caller, "2026-07")
    await payroll.sell("s3", "2026-07-21", "100")

    async def pay(done: float, _: str) -> None:
        if done < 0.5:
            for wanted in (
                Wanted(Step.APPROVE, first.run_id, ["ann"]),
                Wanted(Step.PAY, first.run_id, ["ann"], "in between", payday),
            ):
                async with database.writing(caller) as writing:
                    await take_step(writing, "2026-07", wanted)

    payday = date.fromisoformat((await database.admit(caller)).today)
    with pytest.raises(Refused) as refused:
        await run_period(database, caller, "2026-07", progress=pay)

    assert [problem.code for problem in refused.value.problems] == [Code.BUSY]
    assert await payroll.execute("SELECT payee_id, status FROM cm.payout WHERE client_id = '{client}' ORDER BY 1") == [
        ("ann", "paid"),
        ("bob", "draft"),
    ]


async def test_sales_of_a_currency_without_a_rate_are_a_problem_and_never_taken_one_to_one(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-20", "1000", currency="EUR")
    async with payroll.caller() as client:
        lacking = await call(client)
        await payroll.execute(
            "INSERT INTO cm.fx_rate (client_id, from_currency, to_currency, span, rate)"
            " VALUES ('{client}', 'EUR', 'USD', '[2026-07-01,2026-08-01)', 1.1)"
        )
        known = await call(client)

    assert (lacking["complete"], codes(lacking), amounts(lacking)) == (False, ["E_FX"], {})
    assert (known["complete"], amounts(known)) == (True, {"ann": "110.00"})
