"""Plans, the client and the wizard's choices as resources, and what completes their keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Demo, Installation

pytestmark = pytest.mark.anyio


async def read(client: Client, uri: str) -> dict[str, Any]:
    result = await client.read_resource(uri)
    return json.loads(str(getattr(result.contents[0], "text", "")))


async def test_a_plan_shows_the_version_that_counts_and_all_versions(demo: Demo) -> None:
    async with demo("analyst") as client:
        plan = await read(client, "plan://plan-core")
        older = await read(client, "plan://plan-core/versions/1")

    assert (plan["version"], plan["definition"]["rules"][0]["tiers"][0]["commission"]) == (2, "5")
    assert [version["status"] for version in plan["versions"]] == ["active", "superseded"]
    assert (older["version"], older["approvals"][0]["decision"]) == (1, "approved")


async def test_the_client_and_the_choices_can_be_read(demo: Demo) -> None:
    async with demo("author") as client:
        context = await read(client, "client://context")
        choices = await read(client, "plan://wizard/choices")

    assert (context["region"], context["currency"], context["commission_model"]) == ("North America", "USD", "tiered")
    assert context["approval_policy"][1] == {
        "step": "finance_review",
        "requirement": "automatic_below",
        "automatic_below": "50000",
        "deciding_role": "finance",
    }
    assert "North" in choices["territory"]
    assert choices["choices"]["category_type"] == ["Flat", "Slab", "Tiered", "Interpolated"]


@pytest.mark.parametrize("uri", ["plan://plan-none", "plan://plan-core/versions/9", "plan://plan-core/versions/x"])
async def test_what_is_not_there_is_said_to_be(demo: Demo, uri: str) -> None:
    async with demo("analyst") as client:
        with pytest.raises(MCPError, match=r"E_NOT_FOUND|E_ARGUMENT"):
            await client.read_resource(uri)


async def test_another_clients_plan_is_not_there(demo: Demo, connect: Connect, demo_installation: Installation) -> None:
    async with demo("analyst") as client:
        with pytest.raises(MCPError, match="E_NOT_FOUND"):
            await client.read_resource("plan://plan-1")
    async with connect(demo_installation) as client:
        with pytest.raises(MCPError, match="E_NOT_FOUND"):
            await client.read_resource("plan://plan-core")


async def test_a_payee_reads_no_plans(demo: Demo) -> None:
    async with demo("analyst", roles="payee") as client:
        with pytest.raises(MCPError, match="E_ROLE_REQUIRED"):
            await client.read_resource("plan://plan-core")


async def test_plans_versions_and_periods_are_completed(demo: Demo) -> None:
    plan = ResourceTemplateReference(type="ref/resource", uri="plan://{plan_id}")
    version = ResourceTemplateReference(type="ref/resource", uri="plan://{plan_id}/versions/{version}")
    prompt = PromptReference(type="ref/prompt", name="compare_plan_versions")
    review = PromptReference(type="ref/prompt", name="monthly_review")
    async with demo("analyst") as client:
        by_name = await client.complete(plan, {"name": "plan_id", "value": "america"})
        by_key = await client.complete(prompt, {"name": "plan_id", "value": "plan-c"})
        numbers = await client.complete(version, {"name": "version", "value": ""}, {"plan_id": "plan-core"})
        periods = await client.complete(review, {"name": "period", "value": "2026-0"})

    assert by_name.completion.values == ["plan-core"]
    assert "plan-core" in by_key.completion.values
    assert numbers.completion.values == ["2", "1"]
    assert "2026-07" in periods.completion.values
