"""What the audit trail costs: an entry alone, many callers at once, and a whole call with and without it.

    python benchmarks/audit_cost.py

It uses a data directory of its own and prints a Markdown table. Every entry is on disk before its call is answered, so
the figures are mostly those of the disk; compare the rows of one run with each other.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import anyio
from mcp.client import Client

from commission_mcp.app import open_administration, reach
from commission_mcp.logs import configure_logs
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client as Tenant
from commission_mcp.storage import LoginLimits, add_client
from commission_mcp.storage.audit import AuditLog, Entry, Phase, open_audit
from commission_mcp.storage.identifiers import mint
from unrecorded import keep_no_record

ROUNDS = 300
CALLERS = 16


def entry() -> Entry:
    """An entry like that of a query."""
    facts = '{"elapsed_ms":1.2,"arguments_hmac":"00000000000000000000000000000000","views":["sales"],"row_count":1}'
    of = ("client-abc", "issuer", "ada", "verified", "tools/call", "query")
    return Entry(mint(), mint(), *of, Phase.OUTCOME, "ok", facts)


async def p50_ms(work: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    """The median of some rounds after a few to warm up, in milliseconds."""
    for _ in range(10):
        await work()
    taken: list[float] = []
    for _ in range(rounds):
        started_s = perf_counter()
        await work()
        taken.append((perf_counter() - started_s) * 1000)
    return statistics.median(taken)


async def many_at_once(audit: AuditLog) -> tuple[float, float]:
    """p50 of an entry while 16 callers write all the time, in milliseconds, and entries a second."""
    taken: list[float] = []

    async def caller() -> None:
        for _ in range(ROUNDS):
            started_s = perf_counter()
            await audit.record(entry())
            taken.append((perf_counter() - started_s) * 1000)

    started_s = perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(caller)
    return statistics.median(taken), len(taken) / (perf_counter() - started_s)


async def calls(settings: Settings) -> tuple[float, float]:
    """p50 of a small `query` in memory, with the trail and without."""
    server = build_server(settings)
    async with Client(server) as client:
        ask = partial(client.call_tool, "query", {"sql": "SELECT 1"})
        recorded = await p50_ms(ask)
        keep_no_record(server)
        return recorded, await p50_ms(ask)


async def measure(data_directory: Path) -> None:
    """Print the table."""
    configure_logs("error")
    overrides = {"data_directory": data_directory, "client_id": "client-abc", "log_level": "error"}
    settings = load_settings(environment={}, overrides=overrides).settings
    async with open_administration(settings) as (connection, credentials):
        await add_client(connection, Tenant("client-abc", "ABC"), credentials, LoginLimits())
    async with reach(settings) as reached, open_audit(reached.address, reached.credentials) as audit:
        alone = await p50_ms(lambda: audit.record(entry()))
        together, rate = await many_at_once(audit)
    recorded, unrecorded = await calls(settings)
    print("| what | p50 ms |\n|---|---:|")
    print(f"| an entry alone | {alone:.2f} |")
    print(f"| an entry, {CALLERS} callers at once ({rate:.0f} entries a second) | {together:.2f} |")
    print(f"| a small `query` in memory, on record | {recorded:.2f} |")
    print(f"| the same without the trail | {unrecorded:.2f} |")


def main() -> None:
    """Measure in a folder that goes away."""
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    try:
        anyio.run(measure, folder / "data")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
