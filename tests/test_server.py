from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp.client import Client

from commission_mcp.app import Opening
from commission_mcp.domain.caller import Role
from commission_mcp.errors import PROBLEMS_META, Code, Problem, Refused
from commission_mcp.logs import JsonLines
from commission_mcp.server import INSTRUCTIONS, build_server
from commission_mcp.tools import TOOLS

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

TOOL_LIST_BYTES_MAX = 60_000
HOST_TEXT_BYTES_MAX = 2048  # hosts cut descriptions and instructions there


def problems(result: CallToolResult) -> list[dict[str, str]]:
    return (result.meta or {}).get(PROBLEMS_META, [])


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in problems(result)}


async def test_unknown_arguments_are_refused_with_the_nearest_name(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        result = await client.call_tool("query", {"sql": "SELECT 1", "max_row": 5, "client_id": "client-b"})

    assert result.is_error
    assert codes(result) == {"E_ARGUMENT_UNKNOWN"}
    assert [problem["path"] for problem in problems(result)] == ["max_row", "client_id"]
    assert "max_rows" in problems(result)[0]["fix"]


async def test_every_tool_refuses_an_unknown_argument(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        for tool in TOOLS:
            result = await client.call_tool(tool.function.__name__, {"no_such_argument": 1})
            assert "E_ARGUMENT_UNKNOWN" in str(result.meta)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sql": 5},
        {"sql": "SELECT 1", "max_rows": 0},
        {"sql": "SELECT 1", "max_rows": 10_001},
        {"sql": "SELECT 1", "max_chars": 10},
        {"sql": "SELECT 1", "max_chars": 1_000_001},
        {"sql": "SELECT 1", "params": {}},
    ],
)
async def test_wrong_arguments_are_refused_without_echoing_them(
    connect: Connect, postgres_18: Installation, arguments: dict[str, object]
) -> None:
    async with connect(postgres_18) as client:
        result = await client.call_tool("query", arguments)

    assert codes(result) == {"E_ARGUMENT"}
    assert "pydantic" not in str(result)


async def test_an_unknown_tool_is_refused(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        result = await client.call_tool("querry", {})

    assert codes(result) == {"E_TOOL_UNKNOWN"}


async def test_a_call_beyond_the_time_limit_is_refused(connect: Connect, postgres_18: Installation) -> None:
    sql = "SELECT count(*) FROM sales a, sales b, sales c, sales d WHERE a.gross + b.gross < c.gross + d.gross"
    async with connect(postgres_18, call_timeout_s=1, query_timeout_ms=60_000) as client:
        result = await client.call_tool("query", {"sql": sql})

    assert codes(result) == {"E_TIMEOUT"}


async def test_every_call_is_logged_with_caller_tool_and_outcome_and_without_values(
    connect: Connect, postgres_18: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "commission_mcp.calls"):
        async with connect(postgres_18) as client:
            await client.call_tool("query", {"sql": "SELECT $1::text", "params": ["a private value"]})
            await client.call_tool("query", {"sql": "DELETE FROM sales"})

    records = [record for record in caplog.records if record.name == "commission_mcp.calls"]
    lines = [json.loads(JsonLines().format(record)) for record in records]
    assert [(line["tool"], line["outcome"], line["caller"]) for line in lines] == [
        ("query", "ok", "client-a/local"),
        ("query", "E_SQL_NOT_SELECT", "client-a/local"),
    ]
    assert "a private value" not in str(lines)


async def test_the_tool_list_is_within_its_budget_and_complete(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles=",".join(Role)) as client:
        tools = (await client.list_tools()).tools

    assert len(tools) == len(TOOLS)
    assert len(json.dumps([tool.model_dump(mode="json") for tool in tools])) <= TOOL_LIST_BYTES_MAX
    assert len(INSTRUCTIONS.encode()) <= HOST_TEXT_BYTES_MAX
    for tool in tools:
        assert tool.description
        assert len(tool.description.encode()) <= HOST_TEXT_BYTES_MAX
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is not None
        assert tool.output_schema is not None
        undescribed = [name for name, schema in tool.input_schema["properties"].items() if "description" not in schema]
        assert undescribed == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_both_protocol_eras_list_and_call(postgres_18: Installation, mode: str) -> None:
    async with Client(build_server(postgres_18.settings("client-a")), mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("query", {"sql": "SELECT count(*) FROM sales"})

    assert {"query", "schema"} <= set(tools)
    assert (result.structured_content or {})["rows"] == [[400]]


async def test_a_database_that_is_down_is_a_refusal_without_its_address(postgres_18: Installation) -> None:
    variables = {
        "COMMISSION_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2",
        "COMMISSION_MASTER_SECRET": "x" * 40,
        "COMMISSION_DATA_DIRECTORY": postgres_18.variables["COMMISSION_DATA_DIRECTORY"],
    }
    down = replace(postgres_18, variables=variables).settings("client-a")
    async with Client(build_server(down)) as client:
        for _ in range(2):
            result = await client.call_tool("query", {"sql": "SELECT 1"})
            assert codes(result) == {"E_DATABASE_UNREACHABLE"}
            assert "nobody" not in str(result)


async def test_an_opening_that_failed_is_tried_again_when_asked() -> None:
    attempts: list[int] = []

    @asynccontextmanager
    async def open_it() -> AsyncGenerator[str]:
        attempts.append(1)
        if len(attempts) == 1:
            raise Refused(Problem(Code.DATABASE_UNREACHABLE, "not yet"))
        yield "open"

    opening = Opening(open_it)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opening.run)
        with pytest.raises(Refused):
            await opening.get()
        assert await opening.get() == "open"
        tasks.cancel_scope.cancel()
