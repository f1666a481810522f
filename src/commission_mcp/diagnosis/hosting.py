"""The checks of what a host meets: a server over stdio, and its own entry."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import anyio
from anyio.abc import Process

from commission_mcp.app import open_administration
from commission_mcp.diagnosis.findings import Finding, Findings
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.hosts import claude_desktop_config, entry_problems
from commission_mcp.settings import Loaded, names

_PATIENCE_S, _ENDING_S = 60.0, 10.0
_MESSAGES = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "doctor", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)


async def stdio(loaded: Loaded) -> Findings:
    """Start a server as a host would: it answers, and nothing but the protocol comes out of its stdout."""
    arguments = ["-m", "commission_mcp", "serve", "--data-directory", str(loaded.settings.data_directory)]
    started_s = perf_counter()
    process = await anyio.open_process([sys.executable, *arguments], stderr=subprocess.DEVNULL)
    try:
        lines, answered_s = await _spoken(process)
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.kill()
        await process.wait()
    elapsed_ms = (answered_s - started_s) * 1000
    foreign = [line for line in lines if _message(line) is None]
    if foreign:
        message = f"Something else than the protocol comes out of stdout: {foreign[0][:80]!r}."
        fix = "Look for what prints at start: a wrapper script, sitecustomize.py, a .pth file. It must print to stderr."
        raise Refused(Problem(Code.STDOUT_POLLUTED, message, fix))
    answer = next((_message(line) for line in lines if _answers(line)), None)
    if answer is None or "result" not in answer:
        message = f"A server that was started did not list its tools within {_PATIENCE_S:g} s."
        raise Refused(
            Problem(Code.SERVER_START, message, "Run `commission-mcp serve` and read what it says on stderr.")
        )
    tools = answer["result"]["tools"]
    yield Finding.good("stdio", f"a server started and listed {len(tools)} tools in {elapsed_ms:.0f} ms")


async def host_entry(loaded: Loaded) -> Findings:
    """The entry in Claude Desktop's configuration, where there is one."""
    config = claude_desktop_config(Path.home())
    if not await anyio.Path(config).is_file():
        yield Finding.good(
            "host entry", "no Claude Desktop of this user", "`commission-mcp host-config` prints an entry."
        )
        return
    clients = await _clients(loaded)
    found, problems = entry_problems(
        config, None if clients is None else clients.__contains__, known=lambda key: not names.is_unknown(key)
    )
    for problem in problems:
        yield Finding.bad("host entry", problem)
    if not problems:
        listed = ", ".join(found) or "none of this program: `commission-mcp host-config` prints one"
        yield Finding.good("host entry", f"{config}: {listed}")


async def _clients(loaded: Loaded) -> set[str] | None:
    """The clients that the entry may name; None where they cannot be asked for."""
    settings = loaded.settings
    if settings.postgres_url is not None:
        return None
    async with open_administration(settings) as (connection, _):
        rows = await (await connection.execute("SELECT client_id FROM cm.client")).fetchall()
    return {str(row[0]) for row in rows}


async def _spoken(process: Process) -> tuple[list[str], float]:
    """What comes out of stdout, until the process has ended by itself; and when the tools were listed."""
    received = b""
    if process.stdin is None or process.stdout is None:
        return [], perf_counter()
    with anyio.move_on_after(_PATIENCE_S), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        for message in _MESSAGES:
            await process.stdin.send(json.dumps(message).encode() + b"\n")
        while not any(_answers(line) for line in received.decode(errors="replace").splitlines()):
            received += await process.stdout.receive()
    answered_s = perf_counter()
    with anyio.move_on_after(_ENDING_S), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        await process.stdin.aclose()
        while True:  # what was printed early may come out last
            received += await process.stdout.receive()
    return [line for line in received.decode(errors="replace").splitlines() if line.strip()], answered_s


def _answers(line: str) -> bool:
    found = _message(line)
    return found is not None and found.get("id") == _MESSAGES[-1]["id"]


def _message(line: str) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) and "jsonrpc" in found else None
