"""The server as a host runs it: a process that speaks over stdin and stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from commission_mcp.app import open_administration, open_operations
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client as Tenant
from commission_mcp.storage import LoginLimits, add_client

pytestmark = pytest.mark.anyio

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cm-stdio-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
async def settings(folder: Path) -> Settings:
    """Settings of a data directory with one client."""
    overrides = {"data_directory": folder / "data", "client_id": "acme"}
    loaded = load_settings(environment={}, overrides=overrides).settings
    async with open_administration(loaded) as (connection, credentials):
        await add_client(connection, Tenant("acme", "Acme"), credentials, LoginLimits())
    return loaded


def serving(settings: Settings) -> list[str]:
    data_directory = str(settings.data_directory)
    return [sys.executable, "-m", "commission_mcp", "serve", "--data-directory", data_directory, "--client", "acme"]


@asynccontextmanager
async def host(settings: Settings, variables: dict[str, str] | None = None) -> AsyncGenerator[Client]:
    command, *arguments = serving(settings)
    with tempfile.TemporaryFile("w+") as log:
        server = StdioServerParameters(command=command, args=arguments, env=variables)
        async with Client(stdio_client(server, errlog=log)) as client:
            yield client


async def ask(client: Client, sql: str) -> dict[str, Any]:
    result = await client.call_tool("query", {"sql": sql})
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


async def until_answered(client: Client, sql: str) -> dict[str, Any]:
    """The answer, as soon as the servers are back; refusals until then."""
    with anyio.fail_after(60):
        while "rows" not in (answer := await ask(client, sql)):
            assert answer["problems"][0]["code"] in {"E_DATABASE_UNREACHABLE", "E_SERVER_START", "E_TIMEOUT"}
            await anyio.sleep(0.05)
    return answer


def processes_of(settings: Settings, *parts: str) -> list[int]:
    """Processes whose command line names the data directory and all of these parts."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(settings.data_directory) in command and all(part in command for part in parts):
                found.append(int(entry.name))
    return found


async def test_nothing_but_the_protocol_comes_out_of_stdout(settings: Settings) -> None:
    messages = [
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "query", "arguments": {"sql": "SELECT 1"}},
        },
    ]
    process = await anyio.open_process(serving(settings), stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    received = b""
    for message in messages:
        await process.stdin.send(json.dumps(message).encode() + b"\n")
    with anyio.fail_after(60):
        while b'"id":2' not in received:
            received += await process.stdout.receive()
        await process.stdin.aclose()
        async for chunk in process.stdout:
            received += chunk
        await process.wait()

    assert {json.loads(line)["jsonrpc"] for line in received.splitlines()} == {"2.0"}


async def test_a_server_that_is_killed_leaves_a_directory_that_works(settings: Settings) -> None:
    for _ in range(3):
        process = await anyio.open_process(serving(settings), stderr=subprocess.DEVNULL)
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send(json.dumps(INITIALIZE).encode() + b"\n")
        await process.stdout.receive()
        process.kill()
        await process.wait()
    async with host(settings) as client:
        assert (await ask(client, "SELECT name FROM clients"))["rows"] == [["Acme"]]


@pytest.mark.parametrize("victim", ["supervisor", "postgres"])
async def test_a_server_answers_again_after_its_servers_were_killed(settings: Settings, victim: str) -> None:
    async with host(settings) as client:
        async with open_operations(settings) as connection:
            await connection.execute(
                "INSERT INTO cm.uom VALUES ('acme', %s, 'acknowledged before the kill')", [f"uom-{victim}"]
            )
        assert "rows" in await ask(client, "SELECT 1")
        for process_id in _victims(settings, victim):
            os.kill(process_id, signal.SIGKILL)
        answer = await until_answered(client, f"SELECT name FROM uoms WHERE uom = 'uom-{victim}'")

    assert answer["rows"] == [["acknowledged before the kill"]]


def _victims(settings: Settings, victim: str) -> list[int]:
    if victim == "supervisor":
        return processes_of(settings, "supervisor")
    first_line = (settings.data_directory / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    return [int(first_line)]


async def test_a_cancelled_call_ends_its_query_in_the_database(settings: Settings) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 9000) a, generate_series(1, 9000) b"
    counting = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'cm_r_%' AND state = 'active'"
    async with host(settings) as client, open_administration(settings) as (connection, _):

        async def active() -> int:
            row = await (await connection.execute(counting)).fetchone()
            return int(row[0]) if row else 0

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client, slow)
            with anyio.fail_after(20):
                while not await active():
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            while await active():
                await anyio.sleep(0.01)
        assert (await ask(client, "SELECT 1"))["rows"] == [[1]]


async def test_what_was_discussed_is_found_in_a_new_host_after_the_first_was_killed(settings: Settings) -> None:
    """The dashboard's dialogue: rates asked, the host gone, later "those rates" without any id."""
    question = "SELECT t.rate FROM (SELECT 5 AS rate) t -- rates of North Region"
    async with host(settings) as first:
        await ask(first, question)
        with anyio.fail_after(30):
            while question not in (await conversation(first)):
                await anyio.sleep(0.02)
        for pid in processes_of(settings, "serve"):
            os.kill(pid, signal.SIGKILL)
    async with host(settings) as second:
        assert question in await conversation(second)


async def conversation(client: Client) -> str:
    """The caller's latest conversation, as JSON, with nothing said about which."""
    result = await client.call_tool("chat_history", {})
    answer: dict[str, Any] = result.structured_content or {}
    messages: list[dict[str, Any]] = answer.get("messages", [])
    return " ".join(str(message["content"]) for message in messages)


async def test_a_token_in_the_environment_says_who_calls(settings: Settings) -> None:
    key = "a key for the tokens of this installation, long enough for it"
    environment = {**os.environ, "COMMISSION_DATA_DIRECTORY": str(settings.data_directory), "COMMISSION_TOKEN_KEY": key}
    for arguments in (
        ("user", "set", "hopper", "--client", "acme", "--roles", "analyst,auditor"),
        ("token", "--subject", "hopper", "--client", "acme", "--roles", "auditor"),
    ):
        command = [sys.executable, "-m", "commission_mcp", *arguments]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    async with host(settings, {"COMMISSION_TOKEN": done.stdout.strip(), "COMMISSION_TOKEN_KEY": key}) as client:
        refused = await client.call_tool("query", {"sql": "SELECT 1"})
        result = await client.call_tool("audit_log", {"subject": "hopper"})
    content: dict[str, Any] = result.structured_content or {}
    row = content["rows"][0]

    assert refused.is_error
    assert row[2:5] == ["hopper", "commission-mcp", "verified"]
    assert row[8] == "E_ROLE_REQUIRED"
