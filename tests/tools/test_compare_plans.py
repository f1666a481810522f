"""Two plans over the same sales: who gains, who loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Payroll

pytestmark = pytest.mark.anyio

SEED: dict[str, Any] = {
    "category_type": "Tiered",
    "range_type": "Amount",
    "tiers": [
        {"from": 0, "to": 100000, "commission": 5},
        {"from": 100000, "to": 250000, "commission": 7},
        {"from": 250000, "to": None, "commission": 10},
    ],
}
PLAN: dict[str, Any] = {"currency": "USD", "calculation_schedule": "Monthly", "rules": [SEED]}
SALES = [
    {"amount": "300000", "date": "2026-07-03", "payee": "ann"},
    {"amount": "50000", "date": "2026-07-04", "payee": "bob"},
]


async def compare(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("compare_plans", arguments)
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


async def test_a_point_is_a_point_and_per_cent_is_of_the_rate(payroll: Payroll) -> None:
    async with payroll.caller(roles="plan_author") as client:
        points = await compare(client, plan=PLAN, change="+1pt", sales=SALES)
        percent = await compare(client, plan=PLAN, change="+1%", sales=SALES)

    assert points["totals"] == {"plan": "23000.00", "other": "26500.00", "difference": "3500.00", "percent": "15.22"}
    assert points["rates"] == [{"rule": "rule 1", "before": "5, 7, 10", "after": "6, 8, 11"}]
    assert percent["totals"]["difference"] == "230.00"
    assert percent["rates"][0]["after"] == "5.05, 7.07, 10.1"


async def test_who_gains_and_who_loses_is_told(payroll: Payroll) -> None:
    other = {**PLAN, "rules": [{"category_type": "Flat", "commission": 6}]}
    async with payroll.caller(roles="analyst") as client:
        answer = await compare(client, plan=PLAN, other=other, sales=SALES)

    assert (answer["gain"], answer["lose"], answer["same"]) == (1, 1, 0)
    assert [(row["payee"], row["difference"]) for row in answer["payees"]] == [("bob", "500.00"), ("ann", "-2500.00")]


async def test_stored_versions_are_compared_over_stored_sales(payroll: Payroll) -> None:
    await payroll.plan([SEED], status="superseded")
    await payroll.plan([{"category_type": "Flat", "commission": 6}], version=2, status="submitted")
    await payroll.sell("s1", "2026-07-03", "300000")
    await payroll.sell("s2", "2026-07-03", "50000", "bob")
    await payroll.sell("s3", "2026-07-03", "10000", "dan")
    question = {"plan": {"plan_id": "plan-1", "version": 1}, "other": {"plan_id": "plan-1"}, "period": "2026-07"}
    async with payroll.caller(roles="finance") as client:
        everybody = await compare(client, **question)
    async with payroll.caller("cat", "manager") as client:
        team = await compare(client, **question)

    assert everybody["totals"]["difference"] == "-1900.00"
    assert {row["payee"] for row in team["payees"]} == {"ann", "bob"}
    assert await payroll.execute("SELECT 1 FROM cm.calc_run WHERE client_id = '{client}'") == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"change": "1"}, "E_NUMBER"),
        ({"change": "+1e3%"}, "E_NUMBER"),
        ({"change": "-6pt"}, "E_NEGATIVE"),
        ({"change": "+1%", "other": PLAN}, "E_FIELD_MISSING"),
        ({}, "E_FIELD_MISSING"),
        ({"other": {"plan_id": "plan-9"}}, "E_NOT_FOUND"),
        ({"other": {**PLAN, "currency": "EUR"}}, "E_CURRENCY"),
        ({"other": {"rules": [{"category_type": "Tired"}]}}, "E_UNKNOWN"),
        ({"change": "+1%", "period": "2026-07"}, "E_FIELD_MISSING"),
    ],
)
async def test_what_cannot_be_compared_is_refused(payroll: Payroll, arguments: dict[str, Any], code: str) -> None:
    async with payroll.caller(roles="analyst") as client:
        assert codes(await compare(client, plan=PLAN, sales=SALES, **arguments)) == [code]


@pytest.mark.parametrize("role", ["payee", "auditor", "compliance"])
async def test_who_has_no_role_for_it_is_refused(payroll: Payroll, role: str) -> None:
    async with payroll.caller(roles=role) as client:
        assert codes(await compare(client, plan=PLAN, change="+1%", sales=SALES)) == ["E_ROLE_REQUIRED"]
