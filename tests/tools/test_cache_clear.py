"""`cache_clear` removes what its scope says, counts it, and touches nothing else."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    problems: list[dict[str, Any]] = (result.meta or {}).get("commission-mcp/problems", [])
    return result.structured_content or {"codes": [problem["code"] for problem in problems]}


def unasked(number: int) -> str:
    return f"SELECT {number}, count(*) FROM sales -- {uuid.uuid4()}"


async def test_a_client_forgets_its_own_answers_and_nothing_else(connect: Connect, installation: Installation) -> None:
    mine, others = [unasked(number) for number in range(3)], unasked(4)
    async with connect(installation) as client, connect(installation, "client-b") as other:
        session = await call(client, "chat_history", action="append", role="user", content="hello")
        await call(client, "cache_clear", scope="client")
        for sql in mine:
            await call(client, "query", sql=sql)
        await call(other, "query", sql=others)

        cleared = await call(client, "cache_clear", scope="client", client_id="client-a")
        again = [(await call(client, "query", sql=sql))["cache"] for sql in mine]
        kept = await call(other, "query", sql=others)
        page = await call(client, "chat_history", action="read", session_id=session["session_id"])

    assert cleared == {"scope": "client", "keys_removed": 3}
    assert again == ["miss"] * 3
    assert kept["cache"] == "hit"
    assert page["total_messages"] == 1


async def test_all_clients_answers_are_forgotten_for_an_administrator_only(
    connect: Connect, postgres_18: Installation
) -> None:
    sql = unasked(1)
    async with connect(postgres_18, "client-b") as other, connect(postgres_18, roles="admin,analyst") as admin:
        await call(other, "query", sql=sql)
        refused = await call(other, "cache_clear", scope="global")
        still = (await call(other, "query", sql=sql))["cache"]
        cleared = await call(admin, "cache_clear", scope="global")
        after = (await call(other, "query", sql=sql))["cache"]

    assert refused["codes"] == ["E_ROLE_REQUIRED"]
    assert (still, after) == ("hit", "miss")
    assert cleared["keys_removed"] >= 1


async def test_a_conversation_is_forgotten_by_its_owner_only(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client, connect(postgres_18, "client-b") as stranger:
        session = (await call(client, "chat_history", action="append", role="user", content="x"))["session_id"]
        refused = await call(stranger, "cache_clear", scope="session", session_id=session)
        cleared = await call(client, "cache_clear", scope="session", session_id=session)
        again = await call(client, "cache_clear", scope="session", session_id=session)

    assert refused["codes"] == ["E_NOT_FOUND"]
    assert cleared == {"scope": "session", "keys_removed": 2}
    assert again["codes"] == ["E_NOT_FOUND"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"scope": "session"}, "E_ARGUMENT"),
        ({"scope": "client", "session_id": "s"}, "E_ARGUMENT"),
        ({"scope": "everything"}, "E_ARGUMENT"),
        ({}, "E_ARGUMENT"),
        ({"scope": "client", "client_id": "client-b"}, "E_CLIENT_MISMATCH"),
        ({"scope": "client", "key": "*"}, "E_ARGUMENT_UNKNOWN"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    connect: Connect, postgres_18: Installation, arguments: dict[str, str], code: str
) -> None:
    async with connect(postgres_18) as client:
        assert (await call(client, "cache_clear", **arguments))["codes"] == [code]
