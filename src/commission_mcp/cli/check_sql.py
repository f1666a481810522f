"""`commission-mcp check-sql`: what the guard says of statements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check_sql(
    relations: Annotated[
        Path, typer.Option("--relations", help='JSON: {"schema.table": {"column": "type"}}.', exists=True, dir_okay=False)
    ],
) -> None:
    """Read statements as JSON lines {"id", "sql"} from stdin and print the guard's verdict on each as a JSON line."""
    import json  # noqa: PLC0415 - imports of this command only
    import sys  # noqa: PLC0415

    from commission_mcp.errors import Code, Problem, Refused  # noqa: PLC0415
    from commission_mcp.sqlguard import Relations, check_statements  # noqa: PLC0415

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
    for verdict in check_statements(sys.stdin.buffer, known):
        typer.echo(json.dumps(verdict, ensure_ascii=False))
