"""What each tool that uses Redis answers, and how soon, while Redis does not serve.

    python benchmarks/redis_faults.py [SECONDS_FROZEN]

It loads the demo data into a data directory of its own, starts a Valkey beside it for conversations and cache, breaks
that in several ways, and asks each tool again and again, each time with another question. Afterwards every tool has to
work again. The trail of calls is off, so that only what is asked writes.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
from mcp.client import Client
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commission_mcp.embedded.binaries import valkey_server
from commission_mcp.errors import PROBLEMS_META
from commission_mcp.logs import configure_logs
from commission_mcp.server import build_server
from commission_mcp.settings import load_settings

ROUNDS = 10
FROZEN_S = 30.0
SAID = {"role": "user", "content": "What are our Q3 rates?"}
CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "`chat_history` append": ("chat_history", {"action": "append", "session_id": "kept", **SAID}),
    "`chat_history` read": ("chat_history", {"action": "read", "session_id": "kept"}),
    "`chat_history` sessions": ("chat_history", {"action": "sessions"}),
    "`chat_history` clear": ("chat_history", {"action": "clear", "session_id": "cleared"}),
    "`query`": ("query", {"sql": "SELECT count(*) FROM payees"}),
    "`cache_clear` client": ("cache_clear", {"scope": "client"}),
    "`health`": ("health", {}),
}


@dataclass
class Server:
    """A Valkey that can be broken."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self.folder / 'socket'}"

    async def start(self) -> None:
        """Start it and wait until it answers; every write is on disk before its answer."""
        options = ("--port", "0", "--unixsocket", str(self.folder / "socket"), "--save", "", "--dir", str(self.folder))
        keeps = ("--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning")
        self.process = subprocess.Popen([valkey_server(), *options, *keeps], stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - returns at once
        with anyio.fail_after(30):
            while not await self._answers():  # noqa: ASYNC110 - another process gives no event
                await anyio.sleep(0.01)

    async def say(self, *command: str) -> None:
        """Send it a command."""
        async with Redis.from_url(self.url) as client:  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
            await client.execute_command(*command)  # pyright: ignore[reportUnknownMemberType] - as above

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def _answers(self) -> bool:
        with suppress(RedisError):
            await self.say("PING")
            return True
        return False


@asynccontextmanager
async def stopped(server: Server) -> AsyncGenerator[None]:
    """It is not there."""
    server.kill()
    yield
    await server.start()


@asynccontextmanager
async def frozen(server: Server) -> AsyncGenerator[None]:
    """It takes connections, and answers nothing."""
    server.signal(signal.SIGSTOP)
    yield
    server.signal(signal.SIGCONT)


@asynccontextmanager
async def full(server: Server) -> AsyncGenerator[None]:
    """It has no memory left, and may not evict."""
    await server.say("CONFIG", "SET", "maxmemory", "1")
    yield
    await server.say("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def replica(server: Server) -> AsyncGenerator[None]:
    """It has become a replica, as the old primary after a failover."""
    await server.say("REPLICAOF", "127.0.0.1", "1")
    yield
    await server.say("REPLICAOF", "NO", "ONE")


async def asked(client: Client, numbers: count[int]) -> dict[str, tuple[str, float]]:
    """What each call came to, and after how many milliseconds."""
    found: dict[str, tuple[str, float]] = {}
    for name, (tool, arguments) in CALLS.items():
        sent = dict(arguments)
        if "sql" in sent:
            sent["sql"] += f" -- {next(numbers)}"
        started_s = perf_counter()
        answer = await client.call_tool(tool, sent)
        taken_ms = (perf_counter() - started_s) * 1000
        found[name] = (_said(answer.structured_content or {}, (answer.meta or {}).get(PROBLEMS_META, [])), taken_ms)
    return found


def _said(content: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> str:
    """The code of a refusal; else how the cache or `health` put it."""
    codes = {str(problem["code"]) for problem in problems} - {"E_NOT_FOUND"}  # there is nothing to clear any more
    if codes:
        return " ".join(sorted(codes))
    parts = {str(part["part"]) for part in content.get("degraded", [])} & {"history", "cache"}
    return f"degraded: {' and '.join(sorted(parts))}" if parts else str(content.get("cache", "ok"))


Breaking = Callable[[Server], Any]


async def table(client: Client, server: Server, frozen_s: float) -> list[list[str]]:
    """A row for each call: how it ended and how long that took at most, in order of the ways to break the server."""
    numbers: count[int] = count()
    columns: list[dict[str, list[tuple[str, float]]]] = []
    for breaking in (stopped, frozen, full, replica):
        gathered: dict[str, list[tuple[str, float]]] = {name: [] for name in CALLS}
        async with breaking(server):
            until_s = perf_counter() + (frozen_s if breaking is frozen else 0.0)
            rounds = 0
            while rounds < ROUNDS or perf_counter() < until_s:
                rounds += 1
                for name, outcome in (await asked(client, numbers)).items():
                    gathered[name].append(outcome)
        columns.append(gathered)
        await until_well(lambda: asked(client, numbers))
    return [[name, *(_cell(column[name]) for column in columns)] for name in CALLS]


async def until_well(ask: Callable[[], Awaitable[dict[str, tuple[str, float]]]]) -> None:
    """Wait until every tool works again."""
    with anyio.fail_after(30):
        while True:
            found = await ask()
            if not any(said.startswith(("E_", "degraded", "bypass")) for said, _ in found.values()):
                return
            await anyio.sleep(0.1)


def _cell(outcomes: list[tuple[str, float]]) -> str:
    kinds = " or ".join(sorted({said for said, _ in outcomes}))
    return f"{kinds}, {max(taken for _, taken in outcomes):.0f} ms"


async def measure(folder: Path, frozen_s: float) -> None:
    """Print the table."""
    configure_logs("critical")
    server = Server(folder)
    await server.start()
    try:
        settings = load_settings(
            environment={"COMMISSION_REDIS_URL": server.url, "COMMISSION_HISTORY_TRAIL": "false"},
            overrides={
                "data_directory": folder / "data",
                "client_id": "client-abc",
                "roles": frozenset({"analyst", "admin"}),
                "log_level": "error",
            },
        ).settings
        async with Client(build_server(settings)) as client:
            await until_well(lambda: asked(client, count(10**6)))
            rows = await table(client, server, frozen_s)
        print(f"| | down | frozen, {frozen_s:g} s | out of memory | a replica |\n|---|---|---|---|---|")
        for row in rows:
            print(f"| {' | '.join(row)} |")
    finally:
        server.signal(signal.SIGCONT)
        server.kill()


def main() -> None:
    """Measure."""
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    try:
        demo = [sys.executable, "-m", "commission_mcp", "demo", "--data-directory", str(folder / "data")]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
        anyio.run(measure, folder, float(sys.argv[1]) if sys.argv[1:] else FROZEN_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
