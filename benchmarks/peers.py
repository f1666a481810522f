"""The same questions to this server and to other MCP servers for PostgreSQL: same database, same run, over stdio.

    python benchmarks/peers.py [--programs DIR] [--rounds 200]

It starts a PostgreSQL of its own, loads the demo client, installs the others (from npm, with Node 22, and from PyPI)
into DIR, starts all servers at once and asks them in turns, so that whatever else the machine does falls on all of
them. This server reads its client's views through row security, masks, and has each call on disk in its audit trail
before it answers; it is shown without that trail too. The others do none of this: they log in as the database's
superuser and are asked on the tables with `WHERE client_id = ...`. So is bare psycopg, without any MCP.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

import anyio
import psycopg
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from commission_mcp.app import login_limits, open_administration
from commission_mcp.logs import configure_logs
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client as Tenant
from commission_mcp.storage import add_client, prepare
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows
from peer_programs import Program, installed_peers
from postgres_server import postgres_on_a_port
from unrecorded import keep_no_record

CLIENT, OTHER = "client-abc", "client-emea"
SECRET = "a secret of the benchmark, which is long enough"  # noqa: S105 - of a database that is gone afterwards
OURS, UNRECORDED, BARE = "commission-mcp", "commission-mcp, no audit trail", "bare psycopg"
QUESTIONS = {
    "one row by its key": "SELECT sale_id, sold_on, gross, net, quantity, currency FROM sales WHERE sale_id = '{key}'",
    "1,000 rows x 6": "SELECT sale_id, sold_on, gross, net, quantity, currency FROM sales ORDER BY sale_id LIMIT 1000",
    "sum by month": "SELECT date_trunc('month', sold_on) AS month, sum(net) AS net, count(*) AS n FROM sales "
    "GROUP BY 1 ORDER BY 1",
}
FEWER = 4  # rounds of the first question for one of the others
Work = Callable[[], Awaitable[None]]


@dataclass
class Measured:
    """What was seen of a server."""

    start_ms: float = 0.0
    taken_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    memory_mib: float = 0.0
    foreign: str = ""
    write: str = ""


def on_tables(sql: str) -> str:
    """The question as it is put to the tables: of one client, since they hold all of them."""
    return sql.replace("FROM sales", f"FROM cm.sale WHERE client_id = '{CLIENT}'").replace("' WHERE ", "' AND ")


async def main(folder: Path, programs: Path, rounds: int) -> None:
    """Load, ask, print."""
    configure_logs("error")
    with postgres_on_a_port() as url:
        variables = {
            "COMMISSION_POSTGRES_URL": url,
            "COMMISSION_MASTER_SECRET": SECRET,
            "COMMISSION_DATA_DIRECTORY": str(folder / "data"),
            "COMMISSION_CLIENT_ID": CLIENT,
            "COMMISSION_LOG_LEVEL": "error",
        }
        settings = load_settings(environment=variables, overrides={}).settings
        await load(settings)
        others, notes = await anyio.to_thread.run_sync(installed_peers, programs, url)
        serve, rows = ("-m", "commission_mcp", "serve"), {"max_rows": 1000, "max_chars": 1_000_000}
        ours = [
            Program(OURS, (sys.executable, *serve), "query", rows, on_tables=False, variables=variables),
            Program(
                UNRECORDED,
                (sys.executable, __file__, "--unrecorded"),
                "query",
                rows,
                on_tables=False,
                variables=variables,
            ),
        ]
        await report([*ours, *others], url, rounds, folder)
        print("\n" + "\n".join(notes) if notes else "")


async def load(settings: Settings) -> None:
    """Prepare the database, and fill two demo clients."""
    from commission_mcp.app import reach  # noqa: PLC0415 - beside its use
    from commission_mcp.storage.prepare import administration  # noqa: PLC0415 - as above

    async with reach(settings) as reached, administration(reached.address) as connection:
        await prepare(connection, reached.credentials)
    async with open_administration(settings) as (connection, credentials):
        for demo in DEMO_CLIENTS[:2]:
            async with connection.transaction():
                await add_client(connection, Tenant(demo.client_id, demo.name), credentials, login_limits(settings))
                await connection.execute("SET LOCAL ROLE cm_ops")
                await load_demo_rows(connection, demo)
        await connection.execute("ANALYZE")


async def report(programs: list[Program], url: str, rounds: int, folder: Path) -> None:
    """Ask everybody everything, and print the tables."""
    seen: dict[str, Measured] = {program.name: Measured() for program in programs} | {BARE: Measured()}
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w+"))
        bare = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
        found = await (await bare.execute("SELECT min(sale_id) FROM cm.sale WHERE client_id = %s", [CLIENT])).fetchone()
        key = str((found or ("",))[0])
        works: dict[str, Callable[[str], Awaitable[None]]] = {BARE: lambda sql: _fetch(bare, on_tables(sql))}
        for program in programs:
            measured = seen[program.name]
            client = await stack.enter_async_context(started(program, log, measured))
            works[program.name] = asking(client, program)
            measured.foreign, measured.write = await behaviour(client, program, bare)
        for question, sql in QUESTIONS.items():
            await in_turns(question, sql.replace("{key}", key), works, seen, rounds)
            rounds = max(rounds // FEWER, 3) if question in list(QUESTIONS)[:1] else rounds
        for program in programs:
            seen[program.name].memory_mib = memory_mib(program)
    print_tables(seen)


@asynccontextmanager
async def started(program: Program, log: TextIO, measured: Measured) -> AsyncGenerator[Client]:
    """A client of a server, which has listed its tools; the middle one of three starts is counted."""
    environment = {**os.environ, **program.variables}
    command = StdioServerParameters(command=program.command[0], args=list(program.command[1:]), env=environment)
    taken: list[float] = []
    for _ in range(3):
        started_s = perf_counter()
        async with Client(stdio_client(command, errlog=log), mode="legacy") as client:
            await client.list_tools()
            taken.append((perf_counter() - started_s) * 1000)
    measured.start_ms = statistics.median(taken)
    async with Client(stdio_client(command, errlog=log), mode="legacy") as client:
        yield client


def asking(client: Client, program: Program) -> Callable[[str], Awaitable[None]]:
    """Asks a question as another text each time and of each server, so that nothing is answered from what was kept."""
    numbers = count()

    async def ask(sql: str) -> None:
        text = f"{on_tables(sql) if program.on_tables else sql} -- {program.name} {next(numbers)}"
        answer = await client.call_tool(program.tool, {"sql": text, **program.arguments})
        if answer.is_error:
            raise RuntimeError(f"{program.name}: {answer.content}")

    return ask


async def _fetch(connection: psycopg.AsyncConnection[Any], sql: str) -> None:
    await (await connection.execute(sql.encode(), prepare=False)).fetchall()


async def in_turns(
    question: str,
    sql: str,
    works: dict[str, Callable[[str], Awaitable[None]]],
    seen: dict[str, Measured],
    rounds: int,
) -> None:
    """Ask one after the other, again and again."""
    for number in range(-5, rounds):
        for name, ask in works.items():
            started_s = perf_counter()
            await ask(sql)
            if number >= 0:
                seen[name].taken_ms.setdefault(question, []).append((perf_counter() - started_s) * 1000)


async def behaviour(client: Client, program: Program, bare: psycopg.AsyncConnection[Any]) -> tuple[str, str]:
    """Whether the rows of another client are seen, and whether a write is done: the database says, not the answer."""
    relation = "cm.client" if program.on_tables else "clients"
    clients = await said(client, program, f"SELECT string_agg(client_id, ' ') AS ids FROM {relation}")
    await said(client, program, f"UPDATE cm.client SET name = 'changed' WHERE client_id = '{CLIENT}'")
    undone = await bare.execute("UPDATE cm.client SET name = client_id WHERE name = 'changed' RETURNING client_id")
    return ("all clients" if OTHER in clients else "its own client"), ("done" if await undone.fetchone() else "refused")


async def said(client: Client, program: Program, sql: str) -> str:
    """What is answered; nothing when it is refused, each server in a way of its own."""
    try:
        answer = await client.call_tool(program.tool, {"sql": sql})
    except MCPError:
        return ""
    return "" if answer.is_error else "".join(getattr(part, "text", "") for part in answer.content)


def memory_mib(program: Program) -> float:
    """The resident memory of a server that runs, without what it started."""
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        try:
            arguments = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0") if entry.name.isdecimal() else []
            if arguments[-len(program.command) + 1 :] == [each.encode() for each in program.command[1:]]:
                return int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        except (OSError, ValueError):
            continue
    return 0.0


def print_tables(seen: dict[str, Measured]) -> None:
    """Times, as they are and as times of ours; and what each does."""
    print("| p50 ms over stdio | start | " + " | ".join(QUESTIONS) + " | memory MiB |\n|---|" + "---:|" * 5)
    ours = {question: statistics.median(taken) for question, taken in seen[OURS].taken_ms.items()}
    for name, measured in seen.items():
        cells = [f"{statistics.median(taken):.2f}" for taken in measured.taken_ms.values()]
        start, memory = (f"{value:.0f}" if value else "" for value in (measured.start_ms, measured.memory_mib))
        print(f"| {name} | {start} | {' | '.join(cells)} | {memory} |")
    print("\n| as a part of ours | " + " | ".join(QUESTIONS) + " |\n|---|" + "---:|" * 3)
    for name, measured in seen.items():
        ratios = [f"{statistics.median(taken) / ours[question]:.2f}" for question, taken in measured.taken_ms.items()]
        print(f"| {name} | {' | '.join(ratios)} |")
    print("\n| what it does | rows that a question can see | an UPDATE by the same tool |\n|---|---|---|")
    for name, measured in seen.items():
        print(f"| {name} | {measured.foreign or 'all clients'} | {measured.write or 'done'} |")


def serve_unrecorded() -> None:
    """This server, whose audit trail keeps nothing: only to see what the trail costs."""
    configure_logs("error")
    server = build_server(load_settings(environment=os.environ).settings)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(forget)
            await server.run_stdio_async()
            tasks.cancel_scope.cancel()

    async def forget() -> None:
        while True:
            await anyio.sleep(0.01)
            with suppress(RuntimeError):  # it is not running yet, or has not opened its database
                keep_no_record(server)
                return

    anyio.run(run)


if __name__ == "__main__":
    if "--unrecorded" in sys.argv:
        serve_unrecorded()
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, default=Path.home() / ".cache" / "commission-mcp-peers")
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="cm-peers-"))
    try:
        anyio.run(main, place, given.programs, given.rounds)
    finally:
        shutil.rmtree(place, ignore_errors=True)
