"""`commission-mcp check-sql`: what the guard says of statements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check_sql(
    relations: Annotated[
        Path,
        typer.Option("--relations", help='JSON: {"schema.table": {"column": "type"}}.', exists=True, dir_okay=False),
    ],
) -> None:
    """Read statements as JSON lines {"id", "sql"} from stdin and print the guard's verdict on each as a JSON line."""
    import io
    import json
    import sys

    from commission_mcp.errors import Code, Problem, Refused
    from commission_mcp.sqlguard import Relations, check_statements

    try:
        known = Relations(json.loads(relations.read_text("utf-8")))
    except (ValueError, TypeError, AttributeError):
        raise Refused(
            Problem(
                Code.ARGUMENT,
                f"{relations} does not map relations to columns.",
                'Write JSON such as {"app.deals": {"amount": "numeric"}}.',
                "--relations",
            )
        ) from None
    # Bytes that are no UTF-8 become lone surrogates, which the guard refuses by name.
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="surrogateescape", newline="\n")
    for verdict in check_statements(lines, known):
        typer.echo(json.dumps(verdict))
