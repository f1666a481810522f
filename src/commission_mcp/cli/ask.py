"""`commission-mcp query`, `history` and `calculate`: the tools for a person at a terminal, and for pipes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile
from commission_mcp.cli.output import AsCsv, AsJson, Form, form, print_json, print_rows, printable
from commission_mcp.cli.reaching import NOT_FOUND, ClientId, TokenFile, Url, asking
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commission_mcp.client import ChatHistory, Rows, SearchResult

_ROWS = 1_000
_PAGE_ROWS_MAX = 10_000


def query(
    sql: Annotated[
        str | None, typer.Argument(help="One SELECT; without it, or as -, it is read from stdin.", show_default=False)
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="The value of $1, $2, ...; repeatable.", show_default=False),
    ] = None,
    max_rows: Annotated[int, typer.Option("--max-rows", help="Rows to print.", min=1, max=_PAGE_ROWS_MAX)] = _ROWS,
    all_rows: Annotated[bool, typer.Option("--all", help="Print every row, page by page.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Read commission data with one SELECT.

    Exit codes: 0 answered, 1 the server failed, 2 refused, 3 not allowed, 4 not found, 5 unavailable or out of time.
    """
    statement = sys.stdin.read() if sql in (None, "-") else str(sql)
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        wanted = form(as_json=as_json, as_csv=as_csv)
        if all_rows:
            print_rows(client.pages(statement, parameters, page_rows=_PAGE_ROWS_MAX), wanted)
            return
        rows = client.query(statement, parameters, max_rows=max_rows)
        print_rows([rows], wanted)
        _remark(rows)


def history(
    session_id: Annotated[
        str | None, typer.Argument(help="The conversation; without it, your latest.", show_default=False)
    ] = None,
    sessions: Annotated[bool, typer.Option("--list", help="List your conversations instead.")] = False,
    limit: Annotated[int, typer.Option("--limit", help="Messages or conversations.", min=1, max=200)] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Show what a conversation said, or list the conversations that are kept."""
    wanted = form(as_json=as_json, as_csv=as_csv)
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        read = client.chat_history("sessions" if sessions else "read", session_id=session_id, limit=limit)
    if sessions or wanted is not Form.TABLE:
        print_rows([_sessions(read) if sessions else _messages(read)], wanted)
    else:
        _print_conversation(read)
    if read.next_cursor is not None:
        typer.echo("There is more: raise --limit.", err=True)


def search(
    question: Annotated[str, typer.Argument(help="What to look for, in its own words.")],
    limit: Annotated[int, typer.Option("--limit", help="Passages.", min=1, max=20)] = 5,
    documents: Annotated[
        list[str] | None,
        typer.Option("--document", help="Only this: a name or pattern; repeatable.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Find passages in the client's documents and the shared ones. Exit code 4 when there are none."""
    from dataclasses import asdict

    from commission_mcp.client import Rows

    wanted = form(as_json=as_json, as_csv=as_csv)
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        found = client.rag_search(question, limit=limit, documents=documents)
    if wanted is Form.TABLE:
        _print_passages(found)
    else:
        types = {"document": "text", "location": "text", "score": "float8", "text": "text", "uri": "text"}
        print_rows([Rows.of_records(types, [asdict(passage) for passage in found.passages])], wanted)
    for note in found.notes:
        typer.echo(note, err=True)
    if not found.passages:
        raise typer.Exit(NOT_FOUND)


def calculate(
    plan: Annotated[
        Path,
        typer.Argument(
            help='JSON: a plan, or {"plan": ..., "sales": [...], "context": {...}}; - is stdin.', metavar="PLAN"
        ),
    ],
    sales: Annotated[
        Path | None, typer.Option("--sales", help="Sales: a JSON array, or CSV with a header.", show_default=False)
    ] = None,
    payee: Annotated[str | None, typer.Option("--payee", help="Show this payee only.", show_default=False)] = None,
    steps: Annotated[bool, typer.Option("--steps", help="Show each piece of arithmetic (on stderr).")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Calculate what a plan pays for sales; nothing is stored. The form is in docs/plans.md.

    The lines go to stdout, the total and what is to be known to stderr. Exit code 1 if the result is incomplete.
    """
    given = _inputs(plan, sales)
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        paid = client.calculate_commission(
            given["plan"], given["sales"], payee=payee, context=given.get("context") or None
        )
    print_rows([paid.lines], form(as_json=as_json, as_csv=as_csv))
    for step in paid.steps if steps else ():
        typer.echo(step, err=True)
    for problem in paid.problems:
        typer.echo(str(problem), err=True)
    typer.echo(f"Total {paid.total} {paid.currency}; {paid.counts['unmatched']} sales not paid.", err=True)
    if not paid.complete:
        raise typer.Exit(1)


def health(
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Print the state of a server as JSON; exit code 1 when a part of it does not work. `doctor` looks closer."""
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        found = client.health()
    print_json(found.facts)
    if found.degraded:
        raise typer.Exit(1)


def _remark(rows: Rows) -> None:
    for warning in rows.warnings:
        typer.echo(warning, err=True)
    if rows.truncated:
        typer.echo(f"{len(rows)} rows; there are more: --all prints them.", err=True)


def _sessions(read: ChatHistory) -> Rows:
    from dataclasses import asdict

    from commission_mcp.client import Rows

    types = {
        "session_id": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "total_messages": "int4",
        "ttl_remaining": "int4",
    }
    records = [asdict(session) for session in read.sessions]
    times = {"created_at", "updated_at"}
    return Rows.of_records(
        types, [{k: v.isoformat() if k in times else v for k, v in record.items()} for record in records]
    )


def _messages(read: ChatHistory) -> Rows:
    from commission_mcp.client import Rows

    types = {"timestamp": "timestamptz", "role": "text", "content": "text", "sources": "text[]"}
    return Rows.of_records(
        types,
        [
            {
                "timestamp": message.timestamp.isoformat(),
                "role": message.role,
                "content": message.content,
                "sources": list(message.sources),
            }
            for message in read.messages
        ],
    )


def _print_conversation(read: ChatHistory) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if read.session_id is None:
        typer.echo("There is no conversation yet.", err=True)
        return
    left = f"forgotten in {read.ttl_remaining} s"
    console.print(Text(f"{read.session_id}: {read.total_messages} messages, {left}", style="dim"))
    for message in read.messages:
        console.print(Text(f"{message.timestamp:%Y-%m-%d %H:%M} {message.role}", style="bold"))
        console.print(Text(printable(message.content)))
        if message.sources:
            console.print(Text(printable(f"sources: {', '.join(message.sources)}"), style="dim"))


def _print_passages(found: SearchResult) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for passage in found.passages:
        console.print(Text(printable(f"{passage.document}, {passage.location}"), style="bold"))
        console.print(Text(printable(passage.text)))
        console.print()


def _inputs(plan: Path, sales: Path | None) -> dict[str, Any]:
    read = _json(sys.stdin.read() if str(plan) == "-" else _text(plan, "PLAN"), "PLAN")
    given: dict[str, Any] = {"plan": read}
    if isinstance(read, dict) and "plan" in read:
        given = cast("dict[str, Any]", read)
    if sales is not None:
        given["sales"] = _csv(sales) if sales.suffix.lower() == ".csv" else _json(_text(sales, "--sales"), "--sales")
    if not isinstance(given.get("sales"), list):
        raise Refused(
            Problem(Code.ARGUMENT, "There are no sales.", "Name a file by --sales, or write them into PLAN.", "--sales")
        )
    return given


def _text(file: Path, option: str) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Refused(Problem(Code.ARGUMENT, f"{file} cannot be read: {reason}.", path=option)) from None


def _json(text: str, option: str) -> object:
    import json

    try:
        return json.loads(text, parse_float=str)  # a rate of 7.1 stays 7.1
    except ValueError as error:
        raise Refused(Problem(Code.JSON, f"This is not JSON: {error}.", path=option)) from None


def _csv(file: Path) -> Iterable[object]:
    import csv
    import io

    rows = csv.DictReader(io.StringIO(_text(file, "--sales")))
    return [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]
