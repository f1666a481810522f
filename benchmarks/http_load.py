"""Many sessions over HTTP on two workers: errors, latency and memory; and a quiet client beside a noisy one.

    python benchmarks/http_load.py [SESSIONS] [CALLS_A_SECOND] [SECONDS]

It starts a server with data of its own, two workers, and tokens for each of the sessions (users of two clients). Every
session keeps a connection, and calls `query` for one row, each at its own moments, so that the calls of all sessions
together come at the given rate; `auto` tries rates for 20 seconds each first, and takes 70 % of the highest that was
answered without an error and with 99 of 100 calls within a second. Then sixteen sessions of one client call at a low
rate, alone for a third of the time, and beside sixteen of the other client that call as fast as they are answered. The
load is made on the same machine, so the figures hold the cost of making it too. Default: 1000 sessions, auto, 180 s;
that takes about eight minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic import SecretStr

from commission_mcp.app import open_administration
from commission_mcp.domain.caller import Role
from commission_mcp.identity import SharedKey, mint_token
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client, LoginLimits, add_client
from commission_mcp.storage.users import User, set_user
from commission_mcp.verification import token_rules

KEY = "a key for the tokens of the benchmark, which is long enough"
CLIENTS = ("acme", "umbrella")
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}
MESSAGE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "query", "arguments": {"sql": "SELECT name, currency FROM clients"}},
}
CALL = json.dumps(MESSAGE).encode()
RATES = (20.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0)
DICE = random.Random(20261123)  # noqa: S311 - moments in time, no secrets


@dataclass
class Seen:
    """What came of the calls."""

    taken_ms: list[float] = field(default_factory=list[float])
    outcomes: Counter[str] = field(default_factory=Counter[str])

    def show(self, name: str) -> str:
        """One row of the table."""
        ordered = sorted(self.taken_ms) or [0.0]
        p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return f"| {name} | {p50:.1f} | {p99:.1f} | {outcomes} |"


class Session:
    """A connection that is kept, and a token: an HTTP client that costs little beside the server."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        head = {**HEADERS, "host": parts.netloc, "authorization": f"Bearer {token}", "content-length": str(len(CALL))}
        lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        self._request = "\r\n".join(lines).encode() + CALL
        self._address = (parts.hostname or "", parts.port or 80)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, seen: Seen) -> None:
        """One call, and what came of it."""
        started_s = perf_counter()
        try:
            with anyio.fail_after(60):
                outcome = await self._ask()
        except (OSError, EOFError, TimeoutError) as error:
            outcome = type(error).__name__
            self.close()
        seen.taken_ms.append((perf_counter() - started_s) * 1000)
        seen.outcomes[outcome] += 1

    async def _ask(self) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = head.split(b" ", 2)[1].decode()
        body = await _body(reader, head)
        if b"connection: close" in head:
            self.close()
        return _outcome(body) if status == "200" else status

    def close(self) -> None:
        """Give the connection up; the next call makes a new one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head:
        return await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return bytes(body)


def _outcome(body: bytes) -> str:
    data = next(line for line in body.splitlines() if line.startswith(b"data:"))
    result = json.loads(data.removeprefix(b"data:"))["result"]
    problems = result.get("_meta", {}).get("commission-mcp/problems", [])
    return problems[0]["code"] if problems else "ok"


async def calling(session: Session, every_s: float, until_s: float, seen: Seen) -> None:
    """Call now and then, over one connection."""
    next_s = perf_counter() + DICE.uniform(0, every_s)
    while next_s < until_s:
        await anyio.sleep(max(0.0, next_s - perf_counter()))
        await session.call(seen)
        next_s += DICE.uniform(0.5, 1.5) * every_s


async def calling_on(session: Session, until_s: float, seen: Seen) -> None:
    """Call as fast as there are answers."""
    while perf_counter() < until_s:
        await session.call(seen)


def memory_mb(process_id: int) -> dict[int, int]:
    """The resident memory of each of a server's workers."""
    found: dict[int, int] = {}
    for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text("ascii").split():
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                pages = int(Path(f"/proc/{child}/statm").read_text("ascii").split()[1])
                found[int(child)] = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
    return found


async def prepare(settings: Settings, sessions: int) -> list[str]:
    """Clients, users, and a token for each session."""
    rules, key = token_rules(settings), SharedKey(KEY.encode())
    async with open_administration(settings) as (connection, credentials):
        for client in CLIENTS:
            await add_client(connection, Client(client, client), credentials, LoginLimits())
        for number in range(sessions):
            user = User(f"u{number}", rules.issuer, f"u{number}", frozenset({Role.ANALYST}))
            await set_user(connection, CLIENTS[number % 2], user)
    now = int(load_time())
    return [
        mint_token(
            rules,
            key,
            subject=f"u{number}",
            clients=[CLIENTS[number % 2]],
            roles=[Role.ANALYST],
            issued_at=now,
            lifetime_s=3600,
        )
        for number in range(sessions)
    ]


def load_time() -> float:
    """Seconds since 1970."""
    from time import time  # noqa: PLC0415 - beside the monotonic clock of everything else

    return time()


async def measure(folder: Path, sessions: int, rate: float | None, seconds: float) -> None:
    """Start a server, load it, print the table."""
    variables = {
        "COMMISSION_DATA_DIRECTORY": str(folder / "data"),
        "COMMISSION_TOKEN_KEY": KEY,
        "COMMISSION_HTTP_PORT": "0",
        "COMMISSION_LOG_LEVEL": "info",
        "COMMISSION_RATE_CLIENT_PER_MINUTE": "10000000",
        "COMMISSION_RATE_SUBJECT_PER_MINUTE": "1000000",
        "COMMISSION_CONCURRENT_CALLS_PER_CLIENT": "64",
    }
    settings = load_settings(environment=variables, overrides={"token_key": SecretStr(KEY)}).settings
    tokens = await prepare(settings, sessions)
    command = [sys.executable, "-m", "commission_mcp", "serve", "--http", "--workers", "2"]
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("COMMISSION_")}, **variables}
    with (folder / "log").open("wb") as log:
        process = await anyio.open_process(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        try:
            url = await _url(folder / "log")
            await _load(url, process.pid, tokens, rate, seconds)
        finally:
            process.terminate()
            await process.wait()


async def _together(sessions: list[Session], rate: float, seconds: float) -> Seen:
    seen = Seen()
    until_s = perf_counter() + seconds
    async with anyio.create_task_group() as tasks:
        for session in sessions:
            tasks.start_soon(calling, session, len(sessions) / rate, until_s, seen)
    return seen


async def _sustained(sessions: list[Session]) -> float:
    """The highest of the rates that the server keeps up with."""
    best = RATES[0]
    for rate in RATES:
        seen = await _together(sessions, rate, 20)
        print(seen.show(f"{rate:g} calls a second, 20 s"), flush=True)
        ordered = sorted(seen.taken_ms)
        if set(seen.outcomes) != {"ok"} or ordered[int(len(ordered) * 0.99)] > 1000:
            break
        best = rate
    return best


async def _load(url: str, process_id: int, tokens: list[str], rate: float | None, seconds: float) -> None:
    sessions = [Session(url, token) for token in tokens]
    await _together(sessions[:40], 20, 4)  # warm
    print("| what | p50 ms | p99 ms | outcomes |\n|---|---:|---:|---|")
    if rate is None:
        rate = 0.7 * await _sustained(sessions)
    memory = [memory_mb(process_id)]

    async def watch() -> None:
        while True:
            await anyio.sleep(seconds / 6)
            memory.append(memory_mb(process_id))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        together = await _together(sessions, rate, seconds)
        print(together.show(f"{len(tokens)} sessions, {rate:g} calls a second together, {seconds:g} s"))
        tasks.cancel_scope.cancel()
    alone = await _together(sessions[1:32:2], 5, seconds / 3)
    print(alone.show("16 sessions of one client, 5 calls a second together, alone"))
    noisy, beside = Seen(), Seen()
    async with anyio.create_task_group() as tasks:
        until_s = perf_counter() + seconds / 3
        for session in sessions[0:32:2]:
            tasks.start_soon(calling_on, session, until_s, noisy)
        for session in sessions[1:32:2]:
            tasks.start_soon(calling, session, 3.2, until_s, beside)
    print(beside.show("the same beside the next"))
    print(noisy.show("16 sessions of another client, as fast as they are answered"))
    print("\nmemory of each worker in MB, over the long run:")
    for worker in memory[0]:
        print(worker, *(sample.get(worker, 0) for sample in memory))


async def _url(log: Path) -> str:
    with anyio.fail_after(120):
        while True:
            for line in (await anyio.Path(log).read_text("utf-8")).splitlines():
                if '"message":"serving"' in line:
                    url: str = json.loads(line)["url"]
                    async with httpx2.AsyncClient() as http:
                        try:
                            if (await http.get(url.replace("/mcp", "/readyz"))).status_code == 200:
                                return url
                        except httpx2.HTTPError:
                            pass
            await anyio.sleep(0.1)


def main() -> None:
    """Measure in a folder that goes away."""
    sessions, rate, seconds = (*sys.argv[1:], *("1000", "auto", "180")[len(sys.argv) - 1 :])
    folder = Path(tempfile.mkdtemp(prefix="cm-load-"))
    try:
        anyio.run(measure, folder, int(sessions), None if rate == "auto" else float(rate), float(seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
