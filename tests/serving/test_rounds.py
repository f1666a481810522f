"""A call of several rounds: any worker goes on with it, for the caller who began it and for nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from commission_mcp.domain.caller import Role

if TYPE_CHECKING:
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

VERSION = "2026-07-28"
AUTHOR = (Role.PLAN_AUTHOR,)


async def wizard(server: HttpServer, token: str, **further: object) -> dict[str, Any]:
    """One round of beginning a draft, as a host that can show forms sends it."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    params: dict[str, Any] = {"name": "plan_wizard", "arguments": {"action": "start"}, "_meta": meta, **further}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
        "mcp-method": "tools/call",
        "mcp-name": "plan_wizard",
        "authorization": f"Bearer {token}",
    }
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with httpx2.AsyncClient(timeout=30) as http:
        answer: dict[str, Any] = (await http.post(server.url, json=message, headers=headers)).json()
    return answer


async def test_another_worker_goes_on_for_the_same_caller_alone(serving: Serving, server: HttpServer) -> None:
    token = server.token("ada", roles=AUTHOR)
    async with serving.run() as other:
        first = (await wizard(server, token))["result"]
        (asked,) = first["inputRequests"]
        reply = {"requestState": first["requestState"], "inputResponses": {asked: {"action": "decline"}}}
        elsewhere = await wizard(other, token, **reply)
        stolen = await wizard(other, server.token("bob", roles=AUTHOR), **reply)
        other_client = await wizard(other, server.token("ada", clients=["client-b"], roles=AUTHOR), **reply)
        changed = await wizard(other, token, **{**reply, "requestState": first["requestState"][:-3] + "AAA"})

    assert first["resultType"] == "input_required"
    assert elsewhere["result"]["resultType"] == "complete"
    assert [answer["error"]["code"] for answer in (stolen, other_client, changed)] == [-32602] * 3
