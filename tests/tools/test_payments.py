"""Payouts are approved by others than who ran them, paid once, and never changed after that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Payroll

pytestmark = pytest.mark.anyio

FLAT: dict[str, Any] = {"category_type": "Flat", "commission": 10}
PAID = {"paid_on": "2026-08-05", "reference": "payroll 2026-08"}


@dataclass
class Office:
    """A client with sales of July; fay runs, gus approves, and both have the role finance."""

    payroll: Payroll
    fay: Client
    gus: Client

    async def run(self, period: str = "2026-07", **arguments: object) -> dict[str, Any]:
        """Fay runs the period."""
        return await call(self.fay, period=period, **arguments)

    async def statuses(self) -> list[tuple[Any, ...]]:
        """The payouts as an analyst reads them."""
        return await self.payroll.execute(
            "SELECT payee_id, amount::text, status FROM cm.payout WHERE client_id = '{client}' AND status <> 'void'"
            " ORDER BY payee_id, amount"
        )

    async def period(self) -> str:
        """The status of July."""
        rows = await self.payroll.execute("SELECT status FROM cm.period WHERE client_id = '{client}'")
        return str(rows[0][0])


async def call(client: Client, *, period: str = "2026-07", **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("run_commissions", {"period": period, **arguments})
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


@pytest.fixture
async def office(payroll: Payroll) -> AsyncIterator[Office]:
    await payroll.execute(
        "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles)"
        " SELECT '{client}', u, 'local', u, '{finance}' FROM unnest(ARRAY['fay', 'gus']) u"
    )
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-03", "1000", "ann")
    await payroll.sell("s2", "2026-07-04", "500", "bob")
    async with payroll.caller("fay") as fay, payroll.caller("gus") as gus:
        yield Office(payroll, fay, gus)


async def test_a_run_is_approved_by_somebody_else_and_paid(office: Office) -> None:
    run = (await office.run())["run_id"]
    own = await call(office.fay, action="approve", run_id=run)
    approved = await call(office.gus, action="approve", run_id=run, comment="agrees with the ledger")
    standing = await office.period()
    paid = await call(office.fay, action="pay", run_id=run, **PAID)

    assert codes(own) == ["E_OWN_PAYOUT"]
    assert (approved["outcome"], approved["changed"], approved["by_status"]) == ("payments", 2, {"approved": 2})
    assert (standing, paid["period_status"], await office.period()) == ("approved", "paid", "paid")
    assert [(p["payee"], p["status"], p["paid_on"], p["reference"]) for p in paid["payments"]] == [
        ("ann", "paid", "2026-08-05", "payroll 2026-08"),
        ("bob", "paid", "2026-08-05", "payroll 2026-08"),
    ]
    events = await office.payroll.execute(
        "SELECT event_no, e.status, decided_by, comment FROM cm.payout_event e JOIN cm.payout o"
        " USING (client_id, payout_id) WHERE client_id = '{client}' AND payee_id = 'ann' ORDER BY 1"
    )
    assert events == [(1, "approved", "gus", "agrees with the ledger"), (2, "paid", "fay", None)]


async def test_each_step_taken_again_changes_nothing(office: Office) -> None:
    run = (await office.run())["run_id"]
    approved = [(await call(office.gus, action="approve", run_id=run))["changed"] for _ in range(2)]
    paid = [(await call(office.gus, action="pay", run_id=run, **PAID))["changed"] for _ in range(2)]
    otherwise = await call(office.gus, action="pay", run_id=run, paid_on="2026-08-06", reference="payroll 2026-08")
    named = await call(office.gus, action="pay", run_id=run, payees=["ann"], paid_on="2026-08-05", reference="again")

    assert (approved, paid) == ([2, 0], [2, 0])
    assert (codes(otherwise), codes(named)) == (["E_PAYOUT_STATE"], ["E_PAYOUT_STATE"])


async def test_what_is_paid_is_never_changed_and_corrected_by_deltas(office: Office) -> None:
    run = (await office.run())["run_id"]
    await call(office.gus, action="approve", run_id=run)
    await call(office.gus, action="pay", run_id=run, **PAID)
    await office.payroll.sell("s3", "2026-07-05", "100", "ann")
    refused = await office.run()
    adjusted = await office.run(adjust=True)
    delta = await call(office.gus, action="approve", run_id=adjusted["run_id"])

    assert codes(refused) == ["E_PERIOD_PAID"]
    assert await office.statuses() == [
        ("ann", "10.00", "approved"),
        ("ann", "100.00", "paid"),
        ("bob", "50.00", "paid"),
    ]
    assert (delta["period_status"], [p["run_kind"] for p in delta["payments"]]) == ("paid", ["prior_period_adjustment"])
    for statement in (
        "UPDATE cm.payout SET amount = 1 WHERE client_id = '{client}' AND status = 'paid'",
        "UPDATE cm.payout SET status = 'void' WHERE client_id = '{client}' AND status = 'paid'",
        "DELETE FROM cm.payout WHERE client_id = '{client}'",
        "UPDATE cm.payout_event SET reference = 'x' WHERE client_id = '{client}'",
        "DELETE FROM cm.payout_event WHERE client_id = '{client}'",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await office.payroll.execute(statement)


async def test_a_payout_that_is_held_waits_until_it_is_released_and_approved(office: Office) -> None:
    run = (await office.run())["run_id"]
    held = await call(office.gus, action="hold", run_id=run, payees=["ann"], comment="disputes s1")
    approved = await call(office.gus, action="approve", run_id=run)
    refused = await call(office.gus, action="approve", run_id=run, payees=["ann"])
    paid = await call(office.gus, action="pay", run_id=run, **PAID)
    released = await call(office.gus, action="release", run_id=run, payees=["ann"])

    assert held["by_status"] == {"draft": 1, "held": 1}
    assert (approved["changed"], approved["period_status"]) == (1, "calculated")
    assert codes(refused) == ["E_PAYOUT_STATE"]
    assert paid["by_status"] == {"held": 1, "paid": 1}
    assert released["by_status"] == {"draft": 1, "paid": 1}


async def test_another_run_makes_approvals_void_and_keeps_what_was_held(office: Office) -> None:
    first = (await office.run())["run_id"]
    await call(office.gus, action="hold", run_id=first, payees=["bob"], comment="left the company")
    await call(office.gus, action="approve", run_id=first)
    await office.payroll.sell("s3", "2026-07-05", "100", "ann")
    second = await office.run()
    late = await call(office.gus, action="approve", run_id=first)
    shown = await call(office.gus, action="show")

    assert second["outcome"] == "calculated"
    assert codes(late) == ["E_PAYOUT_STATE"]
    assert {p["payee"]: (p["amount"], p["status"]) for p in shown["payments"]} == {
        "ann": ("110.00", "draft"),
        "bob": ("50.00", "held"),
    }


async def test_part_of_a_run_can_be_paid_and_then_the_rest(office: Office) -> None:
    run = (await office.run())["run_id"]
    await call(office.gus, action="approve", run_id=run)
    first = await call(office.gus, action="pay", run_id=run, payees=["ann"], **PAID)
    await office.payroll.sell("s3", "2026-07-05", "100", "ann")
    over = await office.run()
    rest = await call(office.gus, action="pay", run_id=run, paid_on="2026-08-09", reference="late")

    assert (first["period_status"], rest["period_status"]) == ("approved", "paid")
    assert codes(over) == ["E_PERIOD_PAID"]


async def test_the_clients_policy_decides_whether_who_ran_may_approve(office: Office) -> None:
    run = (await office.run())["run_id"]
    policy = "INSERT INTO cm.approval_policy VALUES ('{client}', 'payout_approval', %s, NULL, 'finance') ON CONFLICT"
    policy += " (client_id, step) DO UPDATE SET requirement = excluded.requirement"
    answers: list[list[str]] = []
    for requirement in ("required", "not_required"):
        await office.payroll.execute(policy, requirement)
        answers.append(codes(await call(office.fay, action="approve", run_id=run)))

    assert answers == [["E_OWN_PAYOUT"], []]


async def test_a_policy_may_let_small_payouts_of_an_own_run_through(office: Office) -> None:
    await office.payroll.execute(
        "INSERT INTO cm.approval_policy VALUES ('{client}', 'payout_approval', 'automatic_below', 100, 'finance')"
    )
    run = (await office.run())["run_id"]
    everything = await call(office.fay, action="approve", run_id=run)
    small = await call(office.fay, action="approve", run_id=run, payees=["bob"])

    assert codes(everything) == ["E_OWN_PAYOUT"]
    assert small["by_status"] == {"approved": 1, "draft": 1}


async def test_nobody_approves_the_own_payout_whatever_the_policy(office: Office) -> None:
    await office.payroll.execute(
        "INSERT INTO cm.approval_policy VALUES ('{client}', 'payout_approval', 'not_required', NULL, 'finance')"
    )
    await office.payroll.execute(
        "UPDATE cm.payee SET user_id = 'gus' WHERE client_id = '{client}' AND payee_id = 'bob'"
    )
    run = (await office.run())["run_id"]
    everything = await call(office.gus, action="approve", run_id=run)
    others = await call(office.gus, action="approve", run_id=run, payees=["ann"])

    assert codes(everything) == ["E_OWN_PAYOUT"]
    assert others["by_status"] == {"approved": 1, "draft": 1}


NO_SENSE: list[tuple[dict[str, Any], list[str]]] = [
    ({"action": "approve"}, ["E_ARGUMENT"]),
    ({"action": "pay", "run_id": "RUN"}, ["E_ARGUMENT", "E_ARGUMENT"]),
    ({"action": "pay", "run_id": "RUN", "paid_on": "2999-01-01", "reference": "x"}, ["E_ARGUMENT"]),
    ({"action": "pay", "run_id": "RUN", **PAID}, ["E_PAYOUT_STATE"]),
    ({"action": "approve", "run_id": "RUN", **PAID}, ["E_ARGUMENT", "E_ARGUMENT"]),
    ({"action": "hold", "run_id": "RUN"}, ["E_ARGUMENT", "E_ARGUMENT"]),
    ({"action": "approve", "run_id": "RUN", "adjust": True}, ["E_ARGUMENT"]),
    ({"action": "approve", "run_id": "RUN", "payees": ["nobody"]}, ["E_NOT_FOUND"]),
    ({"action": "approve", "run_id": "00000000-0000-0000-0000-000000000000"}, ["E_PAYOUT_STATE"]),
    ({"action": "approve", "run_id": "RUN", "period": "2026-08"}, ["E_PAYOUT_STATE"]),
    ({"run_id": "RUN"}, ["E_ARGUMENT"]),
    ({"action": "show", "comment": "x"}, ["E_ARGUMENT"]),
]


async def test_a_step_that_makes_no_sense_is_refused_and_changes_nothing(office: Office) -> None:
    run = (await office.run())["run_id"]
    found = [
        codes(await call(office.gus, **{name: run if value == "RUN" else value for name, value in arguments.items()}))
        for arguments, _ in NO_SENSE
    ]

    assert found == [code for _, code in NO_SENSE]
    assert {status for _, _, status in await office.statuses()} == {"draft"}


async def test_of_two_who_pay_at_a_time_one_does(office: Office) -> None:
    run = (await office.run())["run_id"]
    await call(office.gus, action="approve", run_id=run)
    answers: list[dict[str, Any]] = []

    async def pay(client: Client, reference: str) -> None:
        answers.append(await call(client, action="pay", run_id=run, paid_on="2026-08-05", reference=reference))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pay, office.fay, "first")
        tasks.start_soon(pay, office.gus, "second")

    assert sorted("changed" in answer for answer in answers) == [False, True]
    assert [codes(answer) for answer in answers if "changed" not in answer] == [["E_PAYOUT_STATE"]]


async def test_only_finance_decides_on_payouts(office: Office) -> None:
    run = (await office.run())["run_id"]
    async with office.payroll.caller("cat", roles="manager") as cat:
        assert codes(await call(cat, action="approve", run_id=run)) == ["E_ROLE_REQUIRED"]


async def test_a_payee_learns_when_and_how_he_was_paid(office: Office) -> None:
    run = (await office.run())["run_id"]
    await call(office.gus, action="approve", run_id=run)
    await call(office.gus, action="pay", run_id=run, **PAID)
    async with office.payroll.caller("ann", roles="payee") as ann:
        why: dict[str, Any] = (await ann.call_tool("explain_payout", {"period": "2026-07"})).structured_content or {}
        mine: dict[str, Any] = (await ann.call_tool("client_overview", {"period": "2026-07"})).structured_content or {}

    assert (why["status"], why["payments"]) == (
        "paid",
        [{"amount": "100.00", "currency": "USD", "paid_on": "2026-08-05", "reference": "payroll 2026-08"}],
    )
    assert mine["payouts"] == [{"status": "paid", "currency": "USD", "payouts": 1, "amount": "100.00"}]
