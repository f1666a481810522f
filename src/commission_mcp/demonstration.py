"""The demonstration behind `commission-mcp demo`: a story in steps, each of which checks what came back."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from tempfile import TemporaryFile
from time import perf_counter
from typing import Any

from anyio import to_thread
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from rich.console import Console
from rich.table import Table
from rich.text import Text

from commission_mcp.app import document_places, login_limits, open_administration, open_documents
from commission_mcp.documents.demo import copy_demo_documents
from commission_mcp.errors import PROBLEMS_META, Code
from commission_mcp.hosts import Host, native_launch, started_entry
from commission_mcp.search.jobs import Job
from commission_mcp.settings import Settings
from commission_mcp.storage import Client as TenantClient
from commission_mcp.storage import add_client, find_client
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows

_ROWS_SHOWN = 8
_PAYOUTS = """
SELECT y.name, p.period_id AS month, round(sum(s.gross * c.share), 2) AS credited, p.amount AS payout, p.currency
FROM payouts p
JOIN payees y USING (payee_id)
JOIN periods m USING (period_id)
JOIN credits c USING (payee_id)
JOIN sales s ON s.sale_id = c.sale_id AND s.sold_on BETWEEN m.starts_on AND m.ends_on
WHERE p.period_id = $1
GROUP BY y.name, p.period_id, p.amount, p.currency
ORDER BY p.amount DESC
LIMIT 8
"""
_SEED_QUERY = "SELECT * FROM commission_plans WHERE client_id = %s AND status = 'active'"

_SEED_QUESTION = "Find information about Q4 performance bonuses"
_SEED_SOURCES = frozenset({"client-abc/q4-bonuses.pdf", "client-abc/performance-metrics.xlsx"})


class Unexpected(Exception):  # noqa: N818 - what the demonstration ends with, said to a person
    """An answer is not what it should be."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing shown: what is done, and the check of what came back, which says it in words."""

    title: str
    run: Callable[[Client, Console], Awaitable[str]]


async def demonstrate(settings: Settings) -> bool:
    """Load the demo data where it is missing, then show every step.

    Returns:
        Whether every answer was as it should be.
    """
    console = Console()
    console.rule("commission-mcp demo")
    started_s = perf_counter()
    await _load(settings, console)
    await _index_documents(settings, console)
    arguments = ["-m", "commission_mcp", "serve", "--data-directory", str(settings.data_directory)]
    server = StdioServerParameters(command=sys.executable, args=[*arguments, "--client", "client-abc"])
    good = True
    with TemporaryFile("w+", encoding="utf-8") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            for step in _STEPS:
                good = await _show(step, client, console) and good
    _farewell(settings, console, perf_counter() - started_s, good=good)
    return good


async def _load(settings: Settings, console: Console) -> None:
    started_s = perf_counter()
    console.print(f"PostgreSQL and Valkey start in [bold]{settings.data_directory}[/bold] ...")
    async with open_administration(settings) as (connection, credentials):
        console.print(f"  up after {perf_counter() - started_s:.1f} s")
        for demo in DEMO_CLIENTS:
            if await find_client(connection, demo.client_id) is not None:
                continue
            started_s = perf_counter()
            async with connection.transaction():
                profile = TenantClient(
                    demo.client_id,
                    demo.name,
                    demo.base_currency,
                    demo.time_zone,
                    demo.region,
                    demo.tier,
                    demo.commission_model,
                    demo.compliance_level,
                )
                await add_client(connection, profile, credentials, login_limits(settings))
                await connection.execute("SET LOCAL ROLE cm_ops")
                rows = await load_demo_rows(connection, demo)
            loaded = f"{rows['sale']:,} sales, {rows['payee']} payees, {rows['payout']:,} payouts"
            console.print(f"  {demo.name} ({demo.client_id}): {loaded} in {perf_counter() - started_s:.1f} s")
        if settings.postgres_url is None:
            await connection.execute("ANALYZE")


async def _index_documents(settings: Settings, console: Console) -> None:
    """Put the demo documents where they are missing, and index all of them."""
    if not settings.documents_directory.is_relative_to(settings.data_directory):
        console.print(f"  demo documents are not put into {settings.documents_directory}, which is a folder of yours")
        return
    started_s = perf_counter()
    copied = await to_thread.run_sync(copy_demo_documents, settings.documents_directory)
    unwatched = settings.model_copy(update={"documents_watch_s": 0})
    with console.status("reading documents ...") as status:

        async def tell(job: Job) -> None:
            at = job.progress
            status.update(f"documents: {at.phase}, {at.done:,} of {at.total:,}")

        async with open_documents(unwatched) as library:
            places = document_places(settings)
            own = [places.client_collection(demo.client_id) for demo in DEMO_CLIENTS]
            for collection in (places.shared_collection(), *own):
                library.jobs.start(collection)
                await library.jobs.follow(collection, tell)
            listed = await library.listing("client-abc")
            failures = [len(await library.failures(each)) for each in library.collections("client-abc")]
            job = library.jobs.last(library.collections("client-abc")[0])
    console.print(
        f"  {len(copied)} documents copied; {len(listed)} of client-abc and for all are indexed, {sum(failures)} "
        f"cannot be read, in {perf_counter() - started_s:.1f} s. {job.progress.note if job else ''}".rstrip()
    )


async def _show(step: Step, client: Client, console: Console) -> bool:
    console.print(f"\n[bold cyan]{step.title}[/bold cyan]")
    try:
        console.print(f"[green]ok[/green] {await step.run(client, console)}")
    except Unexpected as unexpected:
        console.print(f"[red]FAILED[/red] {unexpected}")
        return False
    return True


def _expect(condition: bool, what: str) -> None:  # noqa: FBT001 - the condition is the point
    if not condition:
        raise Unexpected(what)


async def _call(client: Client, tool: str, **arguments: object) -> tuple[dict[str, Any], float]:
    started_s = perf_counter()
    result = await client.call_tool(tool, arguments)
    elapsed_ms = (perf_counter() - started_s) * 1000
    if result.is_error or result.structured_content is None:
        raise Unexpected(f"`{tool}` answered: {getattr(result.content[0], 'text', '')}")
    return result.structured_content, elapsed_ms


async def _refused(client: Client, code: Code, sql: str) -> str:
    result = await client.call_tool("query", {"sql": sql})
    codes = [problem["code"] for problem in (result.meta or {}).get(PROBLEMS_META, [])]
    _expect(result.is_error and code in codes, f"{sql!r} was not refused")
    return str(getattr(result.content[0], "text", ""))


def _print_rows(console: Console, answer: dict[str, Any]) -> None:
    table = Table(show_edge=False, header_style="bold")
    for column in answer["columns"]:
        right = column["type"] in {"numeric", "int4", "int8"}
        table.add_column(column["name"], justify="right" if right else "left", overflow="fold")
    for row in answer["rows"][:_ROWS_SHOWN]:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


async def _tools(client: Client, console: Console) -> str:
    listed = await client.list_tools()
    for tool in listed.tools:
        console.print(f"  {tool.name}: {(tool.description or '').splitlines()[0]}")
    names = {tool.name for tool in listed.tools}
    _expect({"query", "schema"} <= names, "`query` and `schema` are not both listed")
    return f"{len(names)} tools"


async def _schema(client: Client, console: Console) -> str:
    answer, elapsed_ms = await _call(client, "schema", table="payouts")
    for column in answer["views"][0]["columns"]:
        console.print(f"  {column['name']} [dim]{column['type']}[/dim] {column['meaning']}")
    _expect(
        {"amount", "payee_id"} <= {column["name"] for column in answer["views"][0]["columns"]}, "columns are missing"
    )
    return f"the view `payouts` explained, in {elapsed_ms:.1f} ms"


async def _join(client: Client, console: Console) -> str:
    answer, elapsed_ms = await _call(client, "query", sql=_PAYOUTS, params=["2026-05"])
    _print_rows(console, answer)
    _expect(answer["row_count"] > 0, "there are no payouts in May 2026")
    return f"sales joined to payouts, in {elapsed_ms:.1f} ms"


async def _seed_query(client: Client, console: Console) -> str:
    console.print(f"  {_SEED_QUERY}  with ['client-abc']")
    answer, elapsed_ms = await _call(client, "query", sql=_SEED_QUERY, params=["client-abc"])
    names = [row[2] for row in answer["rows"]]
    _expect("Q3 Sales Incentives" in names, f"the plan 'Q3 Sales Incentives' is not among {names}")
    return f"{', '.join(names)}, in {elapsed_ms:.1f} ms"


async def _write(client: Client, console: Console) -> str:
    console.print("  " + await _refused(client, Code.SQL_NOT_SELECT, "DELETE FROM sales"))
    return "refused, with the reason"


async def _foreign(client: Client, console: Console) -> str:
    others = [demo.client_id for demo in DEMO_CLIENTS if demo.client_id != "client-abc"]
    answer, _ = await _call(
        client, "query", sql="SELECT count(*) FROM sales WHERE client_id = ANY($1)", params=[others]
    )
    _expect(answer["rows"] == [[0]], f"rows of {others} are visible")
    own, _ = await _call(client, "query", sql="SELECT client_id, count(*) AS sales FROM sales GROUP BY client_id")
    _expect([row[0] for row in own["rows"]] == ["client-abc"], "rows of another client are visible")
    console.print("  " + await _refused(client, Code.SQL_FUNCTION, "SELECT set_config('role', 'cm_owner', false)"))
    return f"0 rows of {', '.join(others)} can be seen; {own['rows'][0][1]:,} sales of client-abc can"


async def _documents(client: Client, console: Console) -> str:
    console.print(f"  {_SEED_QUESTION}")
    answer, elapsed_ms = await _call(client, "rag_search", query=_SEED_QUESTION)
    for result in answer["results"][:3]:
        console.print(f"  [{result['document']}, {result['location']}]", markup=False)
        console.print("    " + " ".join(result["text"].split())[:160], markup=False, style="dim")
    missing = _SEED_SOURCES - set(answer["sources"])
    _expect(not missing, f"{sorted(missing)} are not among the sources {answer['sources']}")
    foreign = [source for source in answer["sources"] if not source.startswith(("client-abc/", "shared/"))]
    _expect(not foreign, f"{foreign} are another client's")
    return f"from {', '.join(sorted(_SEED_SOURCES))}, {answer['mode']}, in {elapsed_ms:.1f} ms"


_STEPS = (
    Step("The tools, as a host sees them", _tools),
    Step("What is there to ask? (schema)", _schema),
    Step("Who was paid what in May 2026? (query)", _join),
    Step("The query of the older dashboard, as written", _seed_query),
    Step("A question to the documents, as the older dashboard was asked", _documents),
    Step("A write", _write),
    Step("Another client's rows", _foreign),
)


def _farewell(settings: Settings, console: Console, elapsed_s: float, *, good: bool) -> None:
    console.rule("all of it as it should be" if good else "[red]something is wrong[/red]")
    shown = "SELECT name, currency FROM clients"
    console.print(
        f"Took {elapsed_s:.1f} s. To ask at this terminal, in the environment that this was installed into:\n"
    )
    asked = f'commission-mcp query --client client-abc --data-directory {settings.data_directory} "{shown}"'
    console.print(Text(asked), soft_wrap=True)
    console.print("\nFor Claude Desktop, put this into claude_desktop_config.json and restart it:\n")
    entry = started_entry(Host.CLAUDE_DESKTOP, native_launch(settings.data_directory, "client-abc"))
    console.print_json(json.dumps(entry))
