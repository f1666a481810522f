"""Who may use what: lists, calls and the table in the documentation say the same, for every role in every client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client import Client
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ResourceTemplateReference

from commission_mcp.domain.caller import Role
from commission_mcp.domain.permissions import (
    PROMPT_ROLES,
    RESOURCE_ROLES,
    TOOL_ROLES,
    permissions_table,
    prompt_roles,
    resource_roles,
    tool_roles,
)
from commission_mcp.server import build_server
from commission_mcp.tools import TOOLS

if TYPE_CHECKING:
    from conftest import Connect, Installation

ROOT = Path(__file__).parent.parent
NAMES = [tool.function.__name__ for tool in TOOLS]

# What reaches the tool's own work; a tool that is not here is called without arguments.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "query": {"sql": "SELECT client_id FROM clients"},
    "schema": {"table": "sales"},
    "chat_history": {"action": "sessions"},
    "client_overview": {"period": "2025-01"},
    "explain_payout": {"payee": "nobody", "period": "2025-01"},
    "calculate_commission": {"plan": {"plan_id": "plan-1", "version": 1}, "period": "2025-01"},
    "compare_plans": {"plan": {"plan_id": "plan-1"}, "change": "+10%", "period": "2025-01"},
    "run_commissions": {"period": "1999-01"},
    "rag_search": {"query": "bonus"},
    "plan_wizard": {"action": "drafts"},
    "cache_clear": {"scope": "session"},
}
RESOURCES = {"schema": "schema://tables", "session": "session://00000000-0000-7000-8000-000000000000"}


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in (result.meta or {}).get("commission-mcp/problems", [])}


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_states_its_roles(name: str) -> None:
    assert name in TOOL_ROLES, f"state in domain/permissions.py which roles may call `{name}`"


@pytest.mark.anyio
async def test_every_resource_and_prompt_states_its_roles(postgres_18: Installation) -> None:
    server = build_server(postgres_18.settings("client-a"))
    # The base class lists all there is, whoever asks.
    uris = [str(resource.uri) for resource in await MCPServer.list_resources(server)]
    uris += [template.uri_template for template in await MCPServer.list_resource_templates(server)]
    prompts = {prompt.name for prompt in await MCPServer.list_prompts(server)}

    assert {re.split("://", uri)[0] for uri in uris} <= set(RESOURCE_ROLES), (
        "state their roles in domain/permissions.py"
    )
    assert prompts <= set(PROMPT_ROLES), "state in domain/permissions.py which roles may use these prompts"


@pytest.mark.anyio
@pytest.mark.parametrize("client_id", ["client-a", "client-b"])
@pytest.mark.parametrize("role", Role)
async def test_a_role_lists_and_uses_what_the_table_says_and_nothing_else(
    connect: Connect, postgres_18: Installation, role: Role, client_id: str
) -> None:
    other = {"client-a": "client-b", "client-b": "client-a"}[client_id]
    async with connect(postgres_18, client_id, roles=str(role)) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        answers = {name: await client.call_tool(name, ARGUMENTS.get(name, {})) for name in NAMES}
        denied = {name for name, answer in answers.items() if "E_ROLE_REQUIRED" in codes(answer)}
        resources = await _schemes_listed(client)
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        readable = {scheme for scheme, uri in RESOURCES.items() if await _may_read(client, uri)}
        completed = await _completed(client)

    allowed = {name for name in NAMES if role in tool_roles(name)}
    assert listed == allowed
    assert denied == set(NAMES) - allowed
    assert resources == {scheme for scheme in resources | set(RESOURCES) if role in resource_roles(f"{scheme}://")}
    assert readable == {scheme for scheme in RESOURCES if role in resource_roles(f"{scheme}://")}
    assert bool(completed) == (role in resource_roles("schema://"))
    assert {name for name in prompts if role not in prompt_roles(name)} == set()
    assert [name for name, answer in answers.items() if other in str(answer)] == []


@pytest.mark.anyio
async def test_a_refusal_names_the_roles_that_would_do(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="payee") as client:
        result = await client.call_tool("query", ARGUMENTS["query"])

    assert all(f"`{role}`" in str(result.content) for role in TOOL_ROLES["query"])


@pytest.mark.anyio
async def test_roles_that_the_database_took_away_are_gone_from_the_list(
    connect: Connect, postgres_18: Installation
) -> None:
    async with connect(postgres_18, roles="analyst", subject="nobody-at-all") as client:
        await client.call_tool("schema", {})  # the database is open after it
        listed = (await client.list_tools()).tools

    assert listed == []


def test_the_documented_table_is_the_one_that_counts() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")

    assert permissions_table() in page, f"write this table into docs/security.md:\n{permissions_table()}"


async def _schemes_listed(client: Client) -> set[str]:
    uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
    uris += [template.uri_template for template in (await client.list_resource_templates()).resource_templates]
    return {re.split("://", uri)[0] for uri in uris}


async def _may_read(client: Client, uri: str) -> bool:
    try:
        await client.read_resource(uri)
    except MCPError as error:
        return "E_ROLE_REQUIRED" not in str(error)
    return True


async def _completed(client: Client) -> list[str]:
    reference = ResourceTemplateReference(type="ref/resource", uri="schema://tables/{table}")
    return (await client.complete(reference, {"name": "table", "value": "sal"})).completion.values


@pytest.mark.anyio
@pytest.mark.parametrize("uri", ["nonsense://x", "file:///etc/passwd", "schema2://tables"])
async def test_a_resource_of_no_known_kind_is_not_there(connect: Connect, postgres_18: Installation, uri: str) -> None:
    async with connect(postgres_18) as client:
        with pytest.raises(MCPError, match="E_NOT_FOUND"):
            await client.read_resource(uri)
