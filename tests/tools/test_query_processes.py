"""Many callers in several processes who want the same answer at once wait for one execution of it."""

from __future__ import annotations

import sys
import tempfile
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio

PROCESSES, CALLERS = 4, 250
# Work enough for all to come in time.
SQL = "SELECT count(*) FROM sales a, sales b, payees WHERE a.gross > b.gross -- {token}"


async def test_a_thousand_callers_in_four_processes_are_one_execution(postgres_18: Installation) -> None:
    arguments = ["-m", "commission_mcp", "serve", "--client", "client-a"]
    variables = {**postgres_18.variables, "COMMISSION_LOG_LEVEL": "error", "COMMISSION_CALL_TIMEOUT_S": "120"}
    variables["COMMISSION_QUERY_CACHE_WAIT_MS"] = "5000"
    server = StdioServerParameters(command=sys.executable, args=arguments, env=variables)
    token, outcomes = uuid.uuid4().hex, list[str]()
    sql = SQL.format(token=token)

    async def call(client: Client) -> None:
        result = await client.call_tool("query", {"sql": sql})
        answer: dict[str, Any] = result.structured_content or {}
        outcomes.append(answer.get("cache", "refused"))

    with tempfile.TemporaryFile("w+") as log:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Client(stdio_client(server, errlog=log))) for _ in range(PROCESSES)
            ]
            for client in clients:
                await client.call_tool("query", {"sql": "SELECT 1"})
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    for _ in range(CALLERS):
                        tasks.start_soon(call, client)

    assert len(outcomes) == PROCESSES * CALLERS
    assert (outcomes.count("miss"), outcomes.count("hit")) == (1, PROCESSES * CALLERS - 1)
