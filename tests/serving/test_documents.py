"""Documents of two clients served by one process: each caller is shown its own client's, and those for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

from commission_mcp.domain.caller import Role

from .conftest import add_users

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Installation

    from .conftest import Serving

pytestmark = pytest.mark.anyio

ROLES = (Role.ANALYST, Role.PLAN_AUTHOR, Role.FINANCE)
OF = {
    "client-a": ("2 % of the yearly salary", "q4-bonuses", "north.csv", "pay@alpha.example"),
    "client-b": ("Beta is 50", "secret-b", "broken-b", "x@b.example"),
}


async def said_to(client: Client) -> str:
    """What every way to documents answers."""
    said: list[object] = [
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20}),
        await client.call_tool("index_documents", {"action": "failures"}),
        await client.call_tool("rag_search", {"query": "Q4 performance bonus, whom to ask", "limit": 20}),
        await client.list_resources(),
    ]
    said += [await client.call_tool("read_document", {"document": name}) for name in ("q4-bonuses.md", "secret-b.md")]
    reference = ResourceTemplateReference(uri="document://client/{path}")
    said.append(await client.complete(reference, {"name": "path", "value": ""}))
    return repr(said)


async def test_callers_of_two_clients_in_one_process_see_their_own(
    serving: Serving, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    settings = serving.settings(**documents)
    await add_users(postgres_18, settings)
    said: dict[str, str] = {}
    async with serving.run_with(settings) as server:
        for client_id in ("client-b", "client-a", "client-b"):
            token = server.token(clients=("client-a", "client-b"), roles=ROLES)
            async with server.connect(token, client_id) as client:
                said[client_id] = await said_to(client)
                own, other = ("q4-bonuses.md", "secret-b.md")[:: 1 if client_id == "client-a" else -1]
                assert (await client.read_resource(f"document://client/{own}")).contents
                with pytest.raises(MCPError) as refused:
                    await client.read_resource(f"document://client/{other}")
                assert "E_NOT_FOUND" in str(refused.value)

    asked_for = ("q4-bonuses", "secret-b")  # repeated in the refusals of what was asked for
    for client_id, other in (("client-a", "client-b"), ("client-b", "client-a")):
        assert all(own in said[client_id] for own in OF[client_id])
        assert [secret for secret in OF[other] if secret not in asked_for and secret in said[client_id]] == []
        assert "shared/policy.md" in said[client_id]
