from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.tools import TOOLS
from commission_mcp.tools.calculate_commission import calculate_commission

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

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
    async with connect(postgres_18, roles="payee") as client:
        answer = await pay(client, plan={"rules": [{"commission": 5}]}, sales=[{"amount": 1}])

    assert answer["problems"][0]["code"] == "E_ROLE_REQUIRED"


async def test_a_json_float_is_read_by_its_shortest_text() -> None:
    assert exact_numbers({"a": [7.1, 0.1, 3, "2.50", None, True]}) == {"a": ["7.1", "0.1", 3, "2.50", None, True]}


async def test_a_named_refund_under_carry_is_refused_rather_than_paid_wrong(
    connect: Connect, postgres_18: Installation
) -> None:
    rule = {
        "category_type": "Flat",
        "value_type": "Percentage",
        "base_value": "Gross Revenue",
        "commission": "5",
        "negative_base": "carry",
    }
    sales = [
        {"sale_id": "s1", "amount": "100", "date": "2026-01-10", "payee": "p1"},
        {"sale_id": "s2", "amount": "-100", "date": "2026-02-10", "payee": "p1", "refund_of": "s1"},
    ]
    plan = {"currency": "USD", "calculation_schedule": "Monthly", "rules": [rule]}
    async with connect(postgres_18) as client:
        result = await client.call_tool("calculate_commission", {"plan": plan, "sales": sales})

    assert "E_REFUND" in str(result.meta)
