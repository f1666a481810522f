"""`audit_log` shows an auditor the own client's trail, filtered and paged, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.types import CallToolResult

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in (result.meta or {}).get("commission-mcp/problems", [])}


async def entries(client: Client, **arguments: object) -> tuple[list[dict[str, Any]], str | None]:
    result = await client.call_tool("audit_log", dict(arguments))
    assert not result.is_error, result.content
    content: dict[str, Any] = result.structured_content or {}
    names = [column["name"] for column in content["columns"]]
    assert content["row_count"] == len(content["rows"])
    assert content["truncated"] == (content["next_cursor"] is not None)
    return [dict(zip(names, row, strict=True)) for row in content["rows"]], content["next_cursor"]


async def test_an_auditor_sees_calls_and_refusals_the_newest_first(
    connect: Connect, installation: Installation
) -> None:
    async with connect(installation, roles="analyst,auditor") as client:
        await client.call_tool("query", {"sql": "SELECT 1"})
        await client.call_tool("query", {"sql": "DROP TABLE sales"})
        seen, _ = await entries(client, limit=2)

    assert [(entry["object"], entry["outcome"]) for entry in seen] == [("query", "E_SQL_NOT_SELECT"), ("query", "ok")]
    assert seen[1]["facts"]["row_count"] == 1
    assert seen[0]["seq"] == seen[1]["seq"] + 1


async def test_filters_narrow_by_time_subject_object_and_outcome(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="analyst,auditor") as client:
        await client.call_tool("query", {"sql": "SELECT nothing"})
        await client.call_tool("schema", {})
        now = datetime.now(UTC)
        refused, _ = await entries(client, outcome="refused", limit=500)
        coded, _ = await entries(client, outcome="E_SQL_COLUMN")
        schemas, _ = await entries(client, object="schema")
        strangers, _ = await entries(client, subject="nobody-at-all-of-this-name")
        future, _ = await entries(client, since=(now + timedelta(days=1)).isoformat())
        past, _ = await entries(client, until=(now - timedelta(days=1)).strftime("%Y-%m-%d"))
        recent, _ = await entries(client, since=(now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%MZ"), limit=1)

    assert all(entry["outcome"].startswith("E_") for entry in refused)
    assert {entry["outcome"] for entry in coded} == {"E_SQL_COLUMN"}
    assert {entry["object"] for entry in schemas} == {"schema"}
    assert (strangers, future, past) == ([], [], [])
    assert len(recent) == 1


async def test_pages_follow_each_other_without_a_gap(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="analyst,auditor") as client:
        for _ in range(7):
            await client.call_tool("schema", {"table": "sales"})
        whole, _ = await entries(client, object="schema", limit=6)
        paged: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(paged) < 6:
            page, cursor = await entries(client, object="schema", limit=2, **({"cursor": cursor} if cursor else {}))
            paged += page

    assert [entry["seq"] for entry in paged] == [entry["seq"] for entry in whole]


async def test_a_cursor_of_another_question_or_caller_is_refused(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="analyst,auditor") as client:
        for _ in range(3):
            await client.call_tool("schema", {})
        _, cursor = await entries(client, limit=1)
        other_question = await client.call_tool("audit_log", {"limit": 1, "cursor": cursor, "outcome": "ok"})
        no_cursor = await client.call_tool("audit_log", {"cursor": "no-cursor"})
    async with connect(postgres_18, "client-b", roles="auditor") as client:
        other_client = await client.call_tool("audit_log", {"limit": 1, "cursor": cursor})

    assert [codes(result) for result in (other_question, no_cursor, other_client)] == [{"E_CURSOR_INVALID"}] * 3


async def test_a_trail_is_its_own_clients(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, "client-b", roles="analyst") as client:
        await client.call_tool("schema", {"search": "only-client-b-asked-this"})
    async with connect(postgres_18, "client-a", roles="auditor") as client:
        seen, _ = await entries(client, limit=500, outcome="E_NOT_FOUND", object="schema")
    async with connect(postgres_18, "client-b", roles="auditor") as client:
        own, _ = await entries(client, limit=500, outcome="E_NOT_FOUND", object="schema")

    assert {entry["call_id"] for entry in own} & {entry["call_id"] for entry in seen} == set()
    assert own


@pytest.mark.parametrize("role", ["analyst", "finance", "payee"])
async def test_others_than_auditors_are_refused(connect: Connect, postgres_18: Installation, role: str) -> None:
    async with connect(postgres_18, roles=role) as client:
        result = await client.call_tool("audit_log", {})

    assert codes(result) == {"E_ROLE_REQUIRED"}


async def test_times_that_are_none_are_refused_together(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="auditor") as client:
        result = await client.call_tool("audit_log", {"since": "yesterday", "until": "tomorrow"})

    problems = (result.meta or {})["commission-mcp/problems"]
    assert [(problem["code"], problem["path"]) for problem in problems] == [("E_DATE", "since"), ("E_DATE", "until")]


async def test_an_answer_stays_within_its_length(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="analyst,auditor") as client:
        for _ in range(70):
            await client.call_tool("schema", {"table": "sales"})
        result = await client.call_tool("audit_log", {"limit": 500})

    assert len(str(result.content[0])) <= 21_000
    assert (result.structured_content or {})["truncated"]
