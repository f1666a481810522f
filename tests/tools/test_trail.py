"""What was asked of the tools is found in the next window, although nobody wrote it down."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from redis.asyncio import Redis

from commission_mcp.embedded import open_servers

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def history(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("chat_history", arguments)
    return result.structured_content or {}


async def messages(client: Client, wanted: int) -> list[dict[str, Any]]:
    """The messages of the latest session, once there are so many; entries are written behind the answers."""
    with anyio.fail_after(30):
        while len(found := (await history(client, action="read"))["messages"]) < wanted:
            await anyio.sleep(0.01)
    return found


async def begin(client: Client) -> str:
    """A conversation that is the caller's latest."""
    return (await history(client, action="append", role="user", content=f"begin {uuid.uuid4()}"))["session_id"]


async def test_a_call_leaves_its_question_and_no_answer(connect: Connect, installation: Installation) -> None:
    sql = "SELECT DISTINCT name FROM territories WHERE territory_id = $1"
    async with connect(installation, history_trail=True) as client:
        await begin(client)
        await client.call_tool("query", {"sql": sql, "params": ["north"]})
        entry = (await messages(client, 2))[1]

    assert entry["role"] == "tool"
    assert sql in entry["content"]
    assert "north" in entry["content"]
    assert "North of client-a" not in str(entry)
    assert entry["client_context"] == {"tool": "query", "row_count": 1}


async def test_a_conversation_has_every_call_since_it_began_and_none_before(
    connect: Connect, installation: Installation
) -> None:
    """Although entries are written behind the answers, whoever opens the conversation next does not see that."""
    async with connect(installation, history_trail=True) as client:
        await begin(client)
        await client.call_tool("query", {"sql": "SELECT 'before'"})
        latest = await begin(client)
        await client.call_tool("query", {"sql": "SELECT 'since'"})
        read = await history(client, action="read")

    assert read["session_id"] == latest
    assert [message["role"] for message in read["messages"]] == ["user", "tool"]
    assert "since" in read["messages"][1]["content"]


async def test_the_next_window_finds_what_was_asked_without_any_id(
    connect: Connect, installation: Installation
) -> None:
    token = uuid.uuid4().hex
    async with connect(installation, history_trail=True) as first:
        await history(first, action="append", role="user", content=f"Rates for North Region? {token}")
        await first.call_tool("query", {"sql": f"SELECT plan_id FROM commission_plans -- {token}"})
        await messages(first, 2)
    async with connect(installation, history_trail=True) as second:
        found = (await history(second, action="read"))["messages"]

    assert sum(token in message["content"] for message in found[-2:]) == 2


async def test_the_last_call_before_the_server_stops_leaves_its_question_too(
    connect: Connect, installation: Installation
) -> None:
    token = uuid.uuid4().hex
    async with connect(installation, history_trail=True) as client:
        await client.call_tool("query", {"sql": f"SELECT 1 -- {token}"})
    async with connect(installation) as client:
        found = (await history(client, action="read"))["messages"]

    assert token in found[-1]["content"]


async def test_refused_calls_and_the_history_itself_leave_none(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, history_trail=True) as client:
        await begin(client)
        await client.call_tool("query", {"sql": "DELETE FROM sales"})
        await client.call_tool("health", {})
        await client.call_tool("chat_history", {"action": "sessions"})
        await client.call_tool("schema", {"search": "quota"})
        found = await messages(client, 2)

    assert [message["content"].split()[0] for message in found[1:]] == ["schema"]


async def test_personal_data_in_a_question_is_covered(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, history_trail=True) as client:
        await begin(client)
        sql = "SELECT payee_id FROM payees WHERE email = $1"
        await client.call_tool("query", {"sql": sql, "params": ["p1@client-a.example.com"]})
        entry = (await messages(client, 2))[1]

    assert "example.com" not in str(entry)
    assert sql in entry["content"]


async def test_a_long_question_is_cut(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, history_trail=True) as client:
        await begin(client)
        await client.call_tool("query", {"sql": f"SELECT 1 -- {'x' * 15_000}"})
        entry = (await messages(client, 2))[1]

    assert len(entry["content"]) < 1_100


async def test_sealed_conversations_hold_no_readable_text_and_keys_rotate(
    connect: Connect, postgres_18: Installation
) -> None:
    old, new, secret = "01" * 32, "02" * 32, f"secret-{uuid.uuid4().hex}"
    directory = postgres_18.settings(None).data_directory
    async with connect(postgres_18, history_keys=old, history_trail=True) as client:
        await history(client, action="append", role="user", content=secret, sources=[f"{secret}.pdf"])
        await client.call_tool("query", {"sql": f"SELECT 1 -- {secret}"})
        await messages(client, 2)
    async with open_servers(directory, grace_s=0.1) as servers:
        for url in (servers.history_url, servers.cache_url):
            assert not await holds(url, secret.encode())
    async with connect(postgres_18, history_keys=f"{new},{old}") as rotated:
        assert (await history(rotated, action="read"))["messages"][0]["content"] == secret
        await history(rotated, action="clear", session_id=(await history(rotated, action="read"))["session_id"])
    for wrong in ("", "xy", f"{old},{old}", "01" * 16):
        with pytest.raises(Exception, match=r"hexadecimal|twice"):
            postgres_18.settings(None, history_keys=wrong or ",")


async def holds(url: str, text: bytes) -> bool:
    """Whether the text stands anywhere in what a server keeps."""
    async with Redis.from_url(url) as server:  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        names: list[bytes] = [name async for name in server.scan_iter()]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - as above
        dumps: list[bytes | None] = [await server.dump(name) for name in names]
    return any(text in name or text in (dump or b"") for name, dump in zip(names, dumps, strict=True))
