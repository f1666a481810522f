"""`check_statements`: many statements at once, a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard.parse import parse_select
from commission_mcp.sqlguard.relations import Relations


def check_statements(lines: Iterable[str], relations: Relations) -> Iterator[dict[str, Any]]:
    """Tell for each line ``{"id": ..., "sql": ...}`` whether the guard lets the statement through.

    Yields:
        ``{"id", "verdict", "code", "message", "position"}``; the verdict is ``accept`` (the rest is None) or
        ``refuse``. A line that is not such an object is refused under its line number. Empty lines are passed over.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _verdict(number, line, relations)


def _verdict(number: int, line: str, relations: Relations) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
        identity, sql = entry["id"], entry["sql"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _refusal(number, Code.ARGUMENT, f"Line {number} is no JSON object with `id` and `sql`.", None)
    if not isinstance(sql, str):
        return _refusal(identity, Code.ARGUMENT, "`sql` is no text.", None)
    try:
        parse_select(sql, relations)
    except Refused as refused:
        first = refused.problems[0]
        return _refusal(identity, first.code, first.message, first.position)
    return {"id": identity, "verdict": "accept", "code": None, "message": None, "position": None}


def _refusal(identity: object, code: Code, message: str, position: int | None) -> dict[str, Any]:
    return {"id": identity, "verdict": "refuse", "code": str(code), "message": message, "position": position}
