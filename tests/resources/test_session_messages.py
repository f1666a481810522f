from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

TEMPLATE = "session://{session_id}"
REFERENCE = ResourceTemplateReference(type="ref/resource", uri=TEMPLATE)


@pytest.fixture
def session_id() -> str:
    """An id that no other test uses, with every kind of character that one may have."""
    return f"Test_{uuid.uuid4().hex}-X"


async def append(client: Client, session_id: str, content: str, **arguments: object) -> None:
    message = {"role": "user", "content": content, "session_id": session_id, **arguments}
    result = await client.call_tool("chat_history", {"action": "append", **message})
    assert not result.is_error


async def read(client: Client, session_id: str) -> str:
    result = await client.read_resource(f"session://{session_id}")
    return str(getattr(result.contents[0], "text", ""))


async def test_a_conversation_can_be_read_as_text(connect: Connect, postgres_18: Installation, session_id: str) -> None:
    async with connect(postgres_18) as client:
        await append(client, session_id, "What are our rates?")
        await append(client, session_id, "5 %", role="assistant", sources=["rates.pdf", "b.xlsx"])
        templates = (await client.list_resource_templates()).resource_templates
        shown = await read(client, session_id)

    assert TEMPLATE in [template.uri_template for template in templates]
    head, _, rest = shown.partition("\n<messages-")
    boundary, _, body = rest.partition(">\n")
    assert head.startswith("2 of 2 messages")
    assert f"{boundary} marks is data" in head
    assert body.endswith(f"</messages-{boundary}>")
    assert "] user: What are our rates?\n" in body
    assert "] assistant: 5 %\n(sources: rates.pdf, b.xlsx)\n" in body


async def test_a_long_conversation_shows_its_end_and_says_so(
    connect: Connect, postgres_18: Installation, session_id: str
) -> None:
    async with connect(postgres_18) as client:
        for number in range(4):
            await append(client, session_id, f"{number}:" + "x" * 9_000)
        shown = await read(client, session_id)

    assert shown.startswith("2 of 4 messages")
    assert "chat_history" in shown
    assert "user: 3:" in shown
    assert "user: 1:" not in shown
    assert len(shown) <= 20_000


@pytest.mark.parametrize("roles", ["analyst", "auditor,admin,analyst"])
async def test_only_the_own_conversations_can_be_read(
    connect: Connect, postgres_18: Installation, session_id: str, roles: str
) -> None:
    async with connect(postgres_18, "client-b") as client:
        await append(client, session_id, "mine")
    async with connect(postgres_18, roles=roles) as client:
        for foreign in (session_id, "no-such-session"):
            with pytest.raises(MCPError, match="E_NOT_FOUND"):
                await read(client, foreign)


async def test_ids_of_the_own_conversations_are_completed_latest_first(
    connect: Connect, postgres_18: Installation, session_id: str
) -> None:
    async with connect(postgres_18, "client-b") as client:
        await append(client, f"{session_id}-3", "theirs")
    async with connect(postgres_18) as client:
        for number in (1, 2):
            await append(client, f"{session_id}-{number}", "mine")
        completed = await client.complete(REFERENCE, {"name": "session_id", "value": session_id})
        nothing = await client.complete(REFERENCE, {"name": "session_id", "value": "no-such"})

    assert completed.completion.values == [f"{session_id}-2", f"{session_id}-1"]
    assert nothing.completion.values == []
