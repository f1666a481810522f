"""Many sessions over HTTP on two workers: errors, latency and memory; and a quiet client beside a noisy one.

    python benchmarks/http_load.py [SESSIONS] [CALLS_A_SECOND] [SECONDS]

It starts a server with data of its own, two workers, and tokens for each of the sessions (users of two clients). Every
session keeps a connection, and calls `query` for one row, each at its own moments, so that the calls of all sessions
together come at the given rate. Then one client calls as fast as it can, while the other goes on at a low rate. The
load is made on the same machine, so the figures hold the cost of making it too.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import anyio
import httpx2
from pydantic import SecretStr

from commission_mcp.app import open_administration
from commission_mcp.domain.caller import Role
from commission_mcp.identity import SharedKey, mint_token
from commission_mcp.serving.identity import token_rules
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client, LoginLimits, add_client
from commission_mcp.storage.users import User, set_user

KEY = "a key for the tokens of the benchmark, which is long enough"
TLS = ssl.create_default_context()  # one for all: making it takes longer than a call, and nothing here is encrypted
CLIENTS = ("acme", "umbrella")
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "query", "arguments": {"sql": "SELECT name, currency FROM clients"}},
}


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


async def call(http: httpx2.AsyncClient, url: str, token: str, seen: Seen) -> None:
    """One call, and what came of it."""
    started_s = perf_counter()
    try:
        response = await http.post(url, json=CALL, headers={**HEADERS, "authorization": f"Bearer {token}"})
        outcome = _outcome(response)
    except httpx2.HTTPError as error:
        outcome = type(error).__name__
    seen.taken_ms.append((perf_counter() - started_s) * 1000)
    seen.outcomes[outcome] += 1


def _outcome(response: httpx2.Response) -> str:
    if response.status_code != 200:
        return str(response.status_code)
    data = next(line for line in response.text.splitlines() if line.startswith("data:"))
    result = json.loads(data.removeprefix("data:"))["result"]
    problems = result.get("_meta", {}).get("commission-mcp/problems", [])
    return problems[0]["code"] if problems else "ok"


async def session(url: str, token: str, every_s: float, until_s: float, seen: Seen) -> None:
    """A session that calls now and then, over a connection of its own."""
    dice = random.Random(token)  # noqa: S311 - moments in time, no secrets
    async with httpx2.AsyncClient(timeout=60, verify=TLS) as http:
        next_s = perf_counter() + dice.uniform(0, every_s)
        while next_s < until_s:
            await anyio.sleep(max(0.0, next_s - perf_counter()))
            await call(http, url, token, seen)
            next_s += dice.uniform(0.5, 1.5) * every_s


async def busy(url: str, token: str, until_s: float, seen: Seen) -> None:
    """A session that calls as fast as it is answered."""
    async with httpx2.AsyncClient(timeout=60) as http:
        while perf_counter() < until_s:
            await call(http, url, token, seen)


def memory_mb(process_id: int) -> int:
    """The resident memory of a server's workers."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1] if entry.name.isdecimal() else ""
            if parent == str(process_id) and b"spawn_main" in (entry / "cmdline").read_bytes():
                total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total // 2**20


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


async def measure(folder: Path, sessions: int, rate: float, seconds: float) -> None:
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


async def _load(url: str, process_id: int, tokens: list[str], rate: float, seconds: float) -> None:
    warm, together, noisy, quiet = Seen(), Seen(), Seen(), Seen()
    async with httpx2.AsyncClient(timeout=60) as http:
        for token in tokens[:40]:
            await call(http, url, token, warm)
    before_mb = memory_mb(process_id)
    every_s, until_s = len(tokens) / rate, perf_counter() + seconds
    async with anyio.create_task_group() as tasks:
        for token in tokens:
            tasks.start_soon(session, url, token, every_s, until_s, together)
    after_mb = memory_mb(process_id)
    until_s = perf_counter() + seconds / 3
    async with anyio.create_task_group() as tasks:
        for token in tokens[0:32:2]:
            tasks.start_soon(busy, url, token, until_s, noisy)
        for token in tokens[1:32:2]:
            tasks.start_soon(session, url, token, 3.2, until_s, quiet)
    print("| what | p50 ms | p99 ms | outcomes |\n|---|---:|---:|---|")
    print(together.show(f"{len(tokens)} sessions, {rate:g} calls a second together, {seconds:g} s"))
    print(noisy.show("16 sessions of one client, as fast as they can"))
    print(quiet.show("16 sessions of another, 5 calls a second together, at the same time"))
    print(f"\nmemory of both workers: {before_mb} MB before, {after_mb} MB after")


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
    sessions, rate, seconds = (float(value) for value in (*sys.argv[1:], *("1000", "100", "60")[len(sys.argv) - 1 :]))
    folder = Path(tempfile.mkdtemp(prefix="cm-load-"))
    try:
        anyio.run(measure, folder, int(sessions), rate, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
