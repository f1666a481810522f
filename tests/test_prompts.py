"""Prompts: what a person starts a piece of work with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def text(client: Client, name: str, **arguments: str) -> str:
    result = await client.get_prompt(name, arguments)
    parts = [message.content for message in result.messages]
    return "\n".join(part.text for part in parts if isinstance(part, TextContent))


async def test_a_conversation_is_loaded_back(connect: Connect, postgres_18: Installation) -> None:
    rates = f"5 %, 7 % and 10 % ({uuid.uuid4()})"
    async with connect(postgres_18) as client:
        said = {"action": "append", "role": "assistant", "content": f"North Region pays {rates}."}
        session: dict[str, Any] = (await client.call_tool("chat_history", said)).structured_content or {}
    async with connect(postgres_18) as client:
        latest = await text(client, "continue_conversation")
        named = await text(client, "continue_conversation", session_id=session["session_id"])

    assert rates in latest
    assert rates in named
    assert session["session_id"] in latest


async def test_another_clients_conversation_is_not_there(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client, connect(postgres_18, "client-b") as stranger:
        said = {"action": "append", "role": "user", "content": "hello"}
        session: dict[str, Any] = (await client.call_tool("chat_history", said)).structured_content or {}
        with pytest.raises(MCPError, match="E_NOT_FOUND"):
            await text(stranger, "continue_conversation", session_id=session["session_id"])
