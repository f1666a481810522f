"""A payout is explained from its stored lines, to those who may know."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Payroll

pytestmark = pytest.mark.anyio

TIERED: dict[str, Any] = {
    "name": "new business",
    "category_type": "Tiered",
    "range_type": "Amount",
    "tiers": [{"from": 0, "to": 1000, "commission": 5}, {"from": 1000, "to": None, "commission": 10}],
}


async def explain(client: Client, period: str = "2026-07", **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("explain_payout", {"period": period, **arguments})
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


@pytest.fixture
async def paid(payroll: Payroll) -> Payroll:
    """June and July run: ann sells 800 and then 1,500, half of another sale is bob's, dan has one of his own."""
    await payroll.plan([TIERED])
    await payroll.sell("s0", "2026-06-05", "800")
    await payroll.sell("s1", "2026-07-05", "1500", customer="Acme")
    await payroll.sell("s2", "2026-07-09", "1000", "ann:0.5,bob:0.5")
    await payroll.sell("s3", "2026-07-09", "100", "dan")
    async with payroll.caller() as client:
        for period in ("2026-06", "2026-07"):
            assert not (await client.call_tool("run_commissions", {"period": period})).is_error
    return payroll


async def test_a_payee_learns_why_to_the_cent(paid: Payroll) -> None:
    async with paid.caller("ann", "payee") as client:
        answer = await explain(client)

    assert answer["totals"] == [
        {"currency": "USD", "earned": "150.00", "before": "0.00", "to_pay": "150.00", "carried": "0"}
    ]
    first, second = answer["lines"]
    assert (first["sale_id"], first["sold_on"], first["gross"]) == ("s1", "2026-07-05", "1500 USD")
    assert (first["rule"], first["customer"], first["amount"]) == ("new business", "Acme", "100.00")
    assert first["parts"] == [
        {"base": "1000", "rate": "5", "amount": "50", "band": "band 1: from 0 to below 1,000"},
        {"base": "500", "rate": "10", "amount": "50", "band": "band 2: from 1,000"},
    ]
    assert (second["credit_percent"], second["base"], second["rate"]) == ("50", "500", "10")
    assert "50 % credit" in second["text"]
    assert sum(Decimal(line["amount"]) for line in answer["lines"]) == Decimal("150.00")
    assert any("2,000" in step or "1,000" in step for step in answer["steps"])


async def test_what_changed_against_the_period_before_is_told(paid: Payroll) -> None:
    async with paid.caller("ann", "payee") as client:
        compared = (await explain(client))["compared"]

    assert compared["period"] == "2026-06"
    assert compared["totals"] == [{"what": "USD", "before": "40", "now": "150", "change": "110"}]
    assert compared["sales"] == {"before": 1, "now": 2}


async def test_a_payee_asks_only_about_himself(paid: Payroll) -> None:
    async with paid.caller("ann", "payee") as client:
        assert (await explain(client, payee="ann"))["payee"] == "ann"
        for other in ("bob", "dan", "nobody"):
            assert codes(await explain(client, payee=other)) == ["E_NOT_FOUND"]


async def test_a_manager_asks_about_the_own_team(paid: Payroll) -> None:
    async with paid.caller("cat", "manager") as client:
        assert (await explain(client, payee="bob"))["totals"][0]["earned"] == "25.00"
        assert codes(await explain(client, payee="dan")) == ["E_NOT_FOUND"]
        assert (await explain(client))["lines"] == []


async def test_analysts_ask_about_everybody_and_must_say_whom(paid: Payroll) -> None:
    async with paid.caller(roles="analyst") as client:
        assert (await explain(client, payee="dan"))["totals"][0]["earned"] == "5.00"
        assert codes(await explain(client)) == ["E_FIELD_MISSING"]
        assert codes(await explain(client, payee="nobody")) == ["E_NOT_FOUND"]


async def test_a_period_that_was_not_run_is_said_to_be_so(paid: Payroll) -> None:
    async with paid.caller("ann", "payee") as client:
        assert codes(await explain(client, "2026-09")) == ["E_NOT_FOUND"]


async def test_who_has_no_role_for_it_is_refused(paid: Payroll) -> None:
    async with paid.caller(roles="auditor") as client:
        assert codes(await explain(client, payee="ann")) == ["E_ROLE_REQUIRED"]


async def test_a_refund_is_told_as_what_it_takes_back(paid: Payroll) -> None:
    await paid.sell("r1", "2026-08-02", "-1500", reverses_sale_id="s1")
    async with paid.caller() as client:
        await client.call_tool("run_commissions", {"period": "2026-08"})
        answer = await explain(client, "2026-08", payee="ann")

    assert [(line["kind"], line["amount"]) for line in answer["lines"]] == [("clawback", "-125.00")]
    assert "2026-07" in answer["lines"][0]["text"]
    assert answer["totals"][0]["carried"] == "-125.00"
