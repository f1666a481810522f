"""What the record of a call says about its arguments and its answer, without saying what was in them.

Parameter values may be of masked columns, texts may hold anything: neither is kept. Kept are a keyed hash of all
arguments, so that the same call can be told again, names that say what a call was about, and the size of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from mcp.types import CallToolResult

from commission_mcp.app import Storage

_NAMING = (
    "action",
    "phase",
    "scope",
    "table",
    "period",
    "plan",
    "plan_id",
    "draft_id",
    "session_id",
    "payee",
    "decision",
    "revision",
    "document",
    "client_id",
    "max_rows",
    "limit",
)
_NAME = re.compile(r"[\w.:/-]{1,80}")
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_VIEWS_MAX = 30


def facts_of(storage: Storage, arguments: Mapping[str, Any], result: object, measured: Mapping[str, float]) -> str:
    """The facts as a JSON object.

    Args:
        storage: What the names of views and the key of the hash come from.
        arguments: The call's arguments.
        result: Its answer, if there is one.
        measured: What was measured of the call itself.
    """
    facts: dict[str, object] = {**measured}
    if arguments:
        facts["arguments_hmac"] = storage.audit.digest(arguments)
        facts |= {name: arguments[name] for name in _NAMING if _names_something(arguments.get(name))}
    if isinstance(arguments.get("sql"), str):
        words = set(_WORD.findall(arguments["sql"].lower()))
        facts["views"] = sorted(words & storage.database.catalog.views.keys())[:_VIEWS_MAX]
    if isinstance(result, CallToolResult):
        facts |= _sizes(result.structured_content or {})
    return orjson.dumps(facts).decode()


def _names_something(value: object) -> bool:
    """Whether a value is a number of ordinary size, or one word."""
    if isinstance(value, bool) or value is None:
        return False
    return abs(value) < 2**53 if isinstance(value, int) else isinstance(value, str) and bool(_NAME.fullmatch(value))


def _sizes(answer: Mapping[str, Any]) -> dict[str, object]:
    return {name: answer[name] for name in ("row_count", "truncated", "cache", "revision") if name in answer}
