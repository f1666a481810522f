"""A client at a glance, as far as the roles reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client import Client

    from conftest import Connect, Payroll

pytestmark = pytest.mark.anyio

FLAT: dict[str, Any] = {"category_type": "Flat", "commission": 10}


async def look(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("client_overview", arguments)
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


@pytest.fixture
async def ran(payroll: Payroll) -> Payroll:
    await payroll.plan([FLAT])
    await payroll.plan([FLAT], version=2, status="submitted", valid="[2027-01-01,2028-01-01)")
    await payroll.sell("s1", "2026-06-03", "500")
    await payroll.sell("s2", "2026-07-03", "1000")
    await payroll.sell("s3", "2026-07-03", "2500", "bob")
    await payroll.sell("s4", "2026-07-03", "300", "dan")
    await payroll.sell("s5", "2026-07-03", "70", "")
    await payroll.execute(
        "INSERT INTO cm.quota SELECT '{client}', p, 'Gross Revenue', '[2026-07-01,2026-08-01)', 2000, 'USD', p"
        " FROM unnest(ARRAY['ann', 'bob', 'dan']) p"
    )
    async with payroll.caller() as client:
        for period in ("2026-06", "2026-07"):
            await client.call_tool("run_commissions", {"period": period})
    return payroll


async def test_an_analyst_sees_the_whole_client(ran: Payroll) -> None:
    async with ran.caller(roles="analyst") as client:
        seen = await look(client, client_id=ran.client_id)

    assert (seen["period"], seen["period_status"], seen["scope"], seen["complete"]) == (
        "2026-07",
        "calculated",
        "all",
        True,
    )
    assert seen["totals"] == [{"currency": "USD", "earned": "380.00", "to_pay": "380.00", "payees": 3}]
    assert [(row["payee"], row["earned"]) for row in seen["top"]] == [
        ("bob", "250.00"),
        ("ann", "100.00"),
        ("dan", "30.00"),
    ]
    assert seen["attainment"] == {
        "below 50 %": 1,
        "50 to 80 %": 1,
        "80 to 100 %": 0,
        "100 to 120 %": 0,
        "120 % and above": 1,
    }
    assert seen["unmatched"] == [{"reason": "nobody is credited", "credits": 1, "amount": "70"}]
    assert [(row["period"], row["earned"]) for row in seen["trend"]] == [("2026-06", "50.00"), ("2026-07", "380.00")]
    assert (seen["client_context"]["region"], seen["client_context"]["currency"]) == ("North America", "USD")
    assert [(plan["plan_id"], plan["version"], plan["status"]) for plan in seen["commission_plans"]] == [
        ("plan-1", 1, "active")
    ]


async def test_a_payee_sees_the_own_figures_and_a_manager_the_team(ran: Payroll) -> None:
    async with ran.caller("ann", "payee") as client:
        own = await look(client)
    async with ran.caller("cat", "manager") as client:
        team = await look(client, period="2026-07")

    assert (own["scope"], own["totals"][0]["earned"], own["unmatched"]) == ("own", "100.00", [])
    assert sum(own["attainment"].values()) == 1
    assert "bob" not in str(own["top"])
    assert (team["scope"], team["totals"][0]["earned"]) == ("team", "350.00")
    assert "dan" not in str(team)


async def test_who_needs_no_figures_sees_none(ran: Payroll) -> None:
    async with ran.caller(roles="auditor") as client:
        seen = await look(client)

    assert (seen["scope"], seen["totals"], seen["top"], seen["trend"]) == ("none", [], [], [])
    assert seen["commission_plans"]


async def test_only_the_own_client_can_be_asserted(ran: Payroll) -> None:
    async with ran.caller(roles="analyst") as client:
        refused = await look(client, client_id="client-a")

    assert refused["problems"][0]["code"] == "E_CLIENT_MISMATCH"


async def test_documents_are_the_clients_own_and_those_for_everybody(
    ran: Payroll, connect: Connect, tmp_path: Path
) -> None:
    for name in ("policy.pdf", f"client-specific/{ran.client_id}/rates.xlsx", "client-specific/client-b/secret.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    async with connect(ran.installation, ran.client_id, documents_directory=str(tmp_path)) as client:
        seen = await look(client)

    assert seen["accessible_documents"] == [f"{ran.client_id}/rates.xlsx", "policy.pdf"]
