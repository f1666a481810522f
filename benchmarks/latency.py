"""How long the program takes to start and to answer, beside a trivial tool and bare psycopg in the same run.

    python benchmarks/latency.py

It loads the demo data into a data directory of its own and prints a Markdown table. Everything is p50; compare the rows
of one run with each other, not with another run.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import psycopg
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.server import MCPServer
from redis.asyncio import Redis

from commission_mcp.app import open_app, operator, reach
from commission_mcp.logs import configure_logs
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.sqlguard import parse_select
from unrecorded import keep_no_record

ROUNDS = 300
ONE_ROW = "SELECT sale_id, sold_on, gross, net, quantity, currency FROM sales WHERE sale_id = $1"
MANY_ROWS = "SELECT sale_id, sold_on, gross, net, quantity, currency FROM sales ORDER BY sale_id LIMIT 1000"


def trivial_server() -> MCPServer:
    """A server whose only tool gives back what it got."""
    server = MCPServer(name="trivial")

    @server.tool()
    async def echo(text: str) -> str:
        return text

    return server


Work = Callable[[], Awaitable[object]]


async def p50_ms(work: Work, rounds: int = ROUNDS) -> float:
    """The median of some rounds after a few to warm up, in milliseconds."""
    (taken,) = await p50s_ms([work], rounds)
    return taken


async def p50s_ms(works: Sequence[Work], rounds: int = ROUNDS) -> list[float]:
    """The medians of several, taken in turns, so that whatever else the machine does falls on all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for number in range(-10, rounds):
        for work, times in zip(works, taken, strict=True):
            started_s = perf_counter()
            await work()
            if number >= 0:
                times.append((perf_counter() - started_s) * 1000)
    return [statistics.median(times) for times in taken]


def asked_anew(client: Client, arguments: dict[str, Any]) -> Work:
    """A `query` that is another question each time, so that no answer is kept of it."""
    numbers = count()
    sql = arguments["sql"]

    async def ask() -> None:
        await client.call_tool("query", {**arguments, "sql": f"{sql} -- {next(numbers)}"})

    return ask


async def tools_table(settings: Settings, key: str) -> list[tuple[str, float]]:
    """p50 of a trivial tool and of `query`, in memory and over stdio, and of the same rows by bare psycopg."""
    rows: list[tuple[str, float]] = []
    one = {"sql": ONE_ROW, "params": [key]}
    many = {"sql": MANY_ROWS, "max_rows": 1000, "max_chars": 1_000_000}
    serve = [
        "-m",
        "commission_mcp",
        "serve",
        "--data-directory",
        str(settings.data_directory),
        "--client",
        "client-abc",
    ]
    with tempfile.TemporaryFile("w+") as log:
        transports = (
            ("in memory", lambda: Client(trivial_server()), lambda: Client(build_server(settings))),
            (
                "over stdio",
                lambda: Client(stdio_client(_python([__file__, "--trivial"]), errlog=log)),
                lambda: Client(stdio_client(_python(serve), errlog=log)),
            ),
        )
        for name, trivial, commission in transports:
            async with trivial() as echo, commission() as client:
                small = await p50s_ms(
                    [
                        partial(echo.call_tool, "echo", {"text": "x"}),
                        partial(client.call_tool, "query", one),
                        asked_anew(client, one),
                    ]
                )
                large = await p50s_ms([partial(client.call_tool, "query", many), asked_anew(client, many)], 60)
                names = ("trivial tool", "`query`, 1 row, hit", "`query`, 1 row, miss")
                names += ("`query`, 1,000 rows x 6, hit", "`query`, 1,000 rows x 6, miss")
                rows += [(f"{what}, {name}", taken) for what, taken in zip(names, small + large, strict=True)]
    return rows


async def unrecorded_table(settings: Settings, key: str) -> list[tuple[str, float]]:
    """p50 of `query` in memory when no call is put on record, which is what the audit trail adds to the rows above."""
    one = {"sql": ONE_ROW, "params": [key]}
    server = build_server(settings)
    async with Client(trivial_server()) as echo, Client(server) as client:
        await client.call_tool("query", one)
        keep_no_record(server)
        works = [
            partial(echo.call_tool, "echo", {"text": "x"}),
            partial(client.call_tool, "query", one),
            asked_anew(client, one),
        ]
        names = ("trivial tool, in memory, again", "`query`, 1 row, hit, off the record", "the same, miss")
        return list(zip(names, await p50s_ms(works), strict=True))


async def storage_table(settings: Settings, key: str) -> list[tuple[str, float]]:
    """p50 of the parts of a call, and of bare psycopg as the administrator."""
    async with open_app(settings) as app, reach(settings) as reached:
        database = await app.database()
        caller = operator(settings)
        one = parse_select(ONE_ROW, database.relations, parameter_count=1)

        async def guard() -> None:
            parse_select(ONE_ROW, database.relations, parameter_count=1)

        async def read() -> None:
            async with database.reading(caller) as reading:
                await reading.fetch(one, [key], rows_max=100)

        rows = [
            ("the guard alone", await p50_ms(guard)),
            ("admission alone", await p50_ms(lambda: database.admit(caller))),
            ("admission and read, 1 row", await p50_ms(read)),
        ]
        conninfo = reached.address.conninfo("benchmark")
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            await connection.execute("SET search_path = commission, cm")
            columns = "sale_id, sold_on, gross, net, quantity, currency"
            where = "client_id = 'client-abc'"

            async def bare(sql: str, parameters: list[str]) -> None:
                await (await connection.execute(sql.encode(), parameters)).fetchall()

            one_sql = f"SELECT {columns} FROM cm.sale WHERE {where} AND sale_id = %s"
            many_sql = f"SELECT {columns} FROM cm.sale WHERE {where} ORDER BY sale_id LIMIT 1000"
            rows.append(("bare psycopg, 1 row", await p50_ms(lambda: bare(one_sql, [key]))))
            async with Redis.from_url(reached.cache_url) as server:  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
                await server.set("benchmark", b"x" * 300, ex=60)
                rows.append(("bare Redis GET", await p50_ms(lambda: server.get("benchmark"))))
            rows.append(("bare psycopg, 1,000 rows x 6", await p50_ms(lambda: bare(many_sql, []), 60)))
    return rows


async def startup_table(settings: Settings) -> list[tuple[str, float]]:
    """p50 of `--help` and of a stdio server from its start to its tool list, with the servers up."""

    async def help_text() -> None:
        await anyio.run_process([sys.executable, "-m", "commission_mcp", "--help"])

    async def list_tools() -> None:
        arguments = ["-m", "commission_mcp", "serve", "--data-directory", str(settings.data_directory)]
        with tempfile.TemporaryFile("w+") as log:
            async with Client(stdio_client(_python(arguments), errlog=log)) as client:
                await client.list_tools()

    async with reach(settings):
        return [
            ("`--help`", await p50_ms(help_text, 10)),
            ("start, `initialize` and `tools/list` over stdio", await p50_ms(list_tools, 10)),
        ]


def _python(arguments: list[str]) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=arguments)


async def measure(data_directory: Path) -> None:
    """Print the table."""
    configure_logs("error")
    overrides = {"data_directory": data_directory, "client_id": "client-abc", "log_level": "error"}
    settings = load_settings(environment={}, overrides=overrides).settings
    async with open_app(settings) as app:
        database = await app.database()
        any_sale = parse_select("SELECT sale_id FROM sales ORDER BY sale_id LIMIT 1", database.relations)
        async with database.reading(operator(settings)) as reading:
            key = str((await reading.fetch(any_sale, [], rows_max=1)).rows[0][0])
    tables = [*await tools_table(settings, key), *await unrecorded_table(settings, key)]
    tables += [*await storage_table(settings, key), *await startup_table(settings)]
    print("| what | p50 ms |\n|---|---:|")
    for name, taken_ms in tables:
        print(f"| {name} | {taken_ms:.2f} |")


def main() -> None:
    """Measure, or be the trivial server."""
    if "--trivial" in sys.argv:
        trivial_server().run("stdio")
        return
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    try:
        demo = [sys.executable, "-m", "commission_mcp", "demo", "--data-directory", str(folder / "data")]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
        anyio.run(measure, folder / "data")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
