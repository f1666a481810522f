from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.tools import TOOLS
from commission_mcp.tools.calculate_commission import calculate_commission

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation, Payroll

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not any(entry.function is calculate_commission for entry in TOOLS), reason="the tool is not listed yet"
    ),
]

TIERED = {
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": [
        {"from": 0, "to": 100000, "commission": 5},
        {"from": 100000, "to": None, "commission": 7.5},
    ],
}


async def pay(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("calculate_commission", arguments)
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


async def test_the_example_of_the_docstring_pays_what_it_says(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        answer = await pay(
            client,
            plan={"currency": "USD", "calculation_schedule": "Monthly", "rules": [TIERED]},
            sales=[{"amount": "180000", "date": "2026-07-03", "payee": "p1"}],
            context={"draw_balance": "0"},
        )

    assert (answer["total"], answer["currency"], answer["complete"]) == ("11000.00", "USD", True)
    assert answer["lines"] == [
        {
            "payee": "p1",
            "period": "2026-07",
            "kind": "sale",
            "rule": "rule 1",
            "sale_id": "#1",
            "base": "180000",
            "rates": "5 %, 7.5 %",
            "amount": "11000.00",
        }
    ]
    assert answer["unmatched"] == []


async def test_a_payee_sees_only_the_own_lines(connect: Connect, postgres_18: Installation) -> None:
    sales = [{"amount": "100", "payee": "p1"}, {"amount": "300", "payee": "p2"}]
    async with connect(postgres_18) as client:
        answer = await pay(client, plan={"rules": [{"commission": "10"}]}, sales=sales, payee="p2")

    assert answer["total"] == "30.00"
    assert {line["payee"] for line in answer["lines"]} == {"p2"}


async def test_all_problems_come_back_at_once(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        answer = await pay(client, plan={"rules": [{"category_type": "Tired"}]}, sales=[{"amount": "1e5"}])

    assert {(problem["code"], problem["path"]) for problem in answer["problems"]} == {
        ("E_UNKNOWN", "plan.rules[0].category_type"),
        ("E_NUMBER", "sales[0].amount"),
    }


async def test_long_answers_are_cut_and_say_so(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        answer = await pay(client, plan={"rules": [{"commission": 5}]}, sales=[{"amount": 1}] * 30, max_items=10)

    assert (len(answer["lines"]), answer["counts"]["lines"], answer["truncated"]) == (10, 30, True)
    assert answer["total"] == "1.50"


async def test_a_caller_without_a_role_is_refused(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="auditor") as client:
        answer = await pay(client, plan={"rules": [{"commission": 5}]}, sales=[{"amount": 1}])

    assert answer["problems"][0]["code"] == "E_ROLE_REQUIRED"


async def test_a_json_float_is_read_by_its_shortest_text() -> None:
    assert exact_numbers({"a": [7.1, 0.1, 3, "2.50", None, True]}) == {"a": ["7.1", "0.1", 3, "2.50", None, True]}


async def fill(payroll: Payroll) -> None:
    await payroll.plan([TIERED])
    await payroll.plan([{"category_type": "Flat", "commission": 50}], version=2, status="submitted")
    await payroll.sell("s1", "2026-07-03", "180000")
    await payroll.sell("s2", "2026-07-04", "1000", "dan")


async def test_a_stored_version_pays_real_sales_and_given_ones(payroll: Payroll) -> None:
    await fill(payroll)
    async with payroll.caller(roles="analyst") as client:
        real = await pay(client, plan={"plan_id": "plan-1", "version": 1}, period="2026-07")
        newest = await pay(client, plan={"plan_id": "plan-1"}, period="2026-07", payee="dan")
        given = await pay(
            client, plan={"plan_id": "plan-1", "version": 1}, sales=[{"amount": 100, "date": "2026-07-01"}]
        )
        inline = await pay(client, plan={"rules": [TIERED]}, period="2026-07")

    assert (real["total"], newest["total"], given["total"]) == ("11050.00", "500.00", "5.00")
    assert inline["total"] == real["total"]


async def test_a_payee_sees_himself_and_a_manager_the_team(payroll: Payroll) -> None:
    await fill(payroll)
    question = {"plan": {"plan_id": "plan-1", "version": 1}, "period": "2026-07"}
    async with payroll.caller("ann", "payee") as client:
        mine = await pay(client, **question)
        others = await pay(client, **question, payee="dan")
        draft = await pay(client, plan={"plan_id": "plan-1", "version": 2}, period="2026-07")
        what_if = await pay(client, plan=question["plan"], sales=[{"amount": 100, "date": "2026-07-01"}])
    async with payroll.caller("cat", "manager") as client:
        team = await pay(client, **question)

    assert "lines" in mine, str(mine)
    assert {line["payee"] for line in mine["lines"]} == {"ann"}
    assert all("dan" not in step for step in mine["steps"])
    assert (mine["total"], team["total"], what_if["total"]) == ("11000.00", "11000.00", "5.00")
    assert [found["problems"][0]["code"] for found in (others, draft)] == ["E_NOT_FOUND", "E_ROLE_REQUIRED"]


async def test_what_does_not_go_together_is_refused(payroll: Payroll) -> None:
    await fill(payroll)
    plan = {"plan_id": "plan-1", "version": 1}
    async with payroll.caller(roles="analyst") as client:
        answers = [
            await pay(client, plan=plan),
            await pay(client, plan=plan, sales=[], period="2026-07"),
            await pay(client, plan=plan, period="2026-07", context={"quota": 1}),
            await pay(client, plan={**plan, "rules": []}, period="2026-07"),
            await pay(client, plan={"plan_id": 7}, period="2026-07"),
            await pay(client, plan={"plan_id": "plan-7"}, period="2026-07"),
        ]

    assert [found["problems"][0]["code"] for found in answers] == [
        "E_FIELD_MISSING",
        "E_FIELD_FORBIDDEN",
        "E_FIELD_FORBIDDEN",
        "E_FIELD_FORBIDDEN",
        "E_FIELD_TYPE",
        "E_NOT_FOUND",
    ]
