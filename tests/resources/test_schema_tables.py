from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def read(client: Client, uri: str) -> str:
    result = await client.read_resource(uri)
    return str(getattr(result.contents[0], "text", ""))


async def test_the_views_are_listed_and_each_can_be_read(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        assert "schema://tables" in [str(resource.uri) for resource in (await client.list_resources()).resources]
        templates = (await client.list_resource_templates()).resource_templates
        assert "schema://tables/{table}" in [template.uri_template for template in templates]
        names = [line.split(":")[0] for line in (await read(client, "schema://tables")).splitlines()]
        assert "sales" in names
        for name in names:
            assert (await read(client, f"schema://tables/{name}")).startswith(f"{name}: ")


async def test_an_unknown_view_is_an_error_with_the_nearest_name(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        with pytest.raises(MCPError, match="E_SQL_RELATION"):
            await client.read_resource("schema://tables/sale")


async def test_names_of_views_are_completed(connect: Connect, postgres_18: Installation) -> None:
    reference = ResourceTemplateReference(type="ref/resource", uri="schema://tables/{table}")
    async with connect(postgres_18) as client:
        completed = await client.complete(reference, {"name": "table", "value": "pay"})

    assert completed.completion.values == ["payees", "payout_by_month", "payout_events", "payouts"]


async def test_a_payee_reads_no_schema(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="payee") as client:
        with pytest.raises(MCPError, match="E_ROLE_REQUIRED"):
            await client.read_resource("schema://tables")
