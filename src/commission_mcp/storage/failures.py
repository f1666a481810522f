"""What a failure of the database means to the person who asked, in our own words; its text never passes through.

Of the server's message only the names of plain types are taken over, and of functions that the statement itself names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from psycopg import pq

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.explanations import BY_CLASS, BY_STATE, FORMS, TYPE_FIXES

_IDENTIFIER = re.compile(r'"(?:[^"]|"")+"|[\w$]+(?:\.[\w$]+)*')
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|?]+|(?:not\s+)?i?like\b", re.IGNORECASE)
_CALLED = re.compile(r"[\w.]+\s*\(")
_TYPE = re.compile(
    r"\b(?:timestamp|time) with(?:out)? time zone\b|\bcharacter varying\b|\bdouble precision\b"
    r"|\b(?:smallint|integer|bigint|numeric|real|money|text|character|boolean|bytea|date|interval|uuid|jsonb?|xml|record"
    r"|unknown|jsonpath|tsvector|tsquery|inet|bit|int4range|int8range|numrange|daterange|tsrange|tstzrange)\b"
)
_TYPES = re.compile(rf"(?:{_TYPE.pattern})(?:\[\])?")
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "money"})
_MOMENTS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_KEYS_REMOVED = re.compile(r"-\s*(?:array\s*\[|'\{|\()", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the server reports it: its class, where in the text it lies, and the plain types it speaks of."""

    sqlstate: str
    position: int | None
    types: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: pq.abc.PGresult, *, prefix_chars: int) -> Failure:
        """Read the error of a result whose statement began with so many characters of our own."""
        sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"XX000").decode()
        raw = result.error_field(pq.DiagnosticField.STATEMENT_POSITION)
        position = int(raw) - 1 - prefix_chars if raw else None
        said = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
        # What stands in quotes is a value or a name of somebody's.
        types = tuple(_TYPES.findall(re.sub(r'"[^"]*"?', "", said)))
        return cls(sqlstate, position if position is not None and position >= 0 else None, types)


@dataclass(frozen=True, slots=True)
class _Place:
    """What the statement has where it failed: a name, an operator, a call; empty where that is not known."""

    name: str
    operator: str
    is_call: bool

    @classmethod
    def of(cls, sql: str, position: int | None) -> _Place:
        if position is None:
            return cls("", "", is_call=False)
        operator = _OPERATOR.match(sql, position)
        found = None if operator else _IDENTIFIER.match(sql, position)
        name = found.group().strip('"') if found else ""
        return cls(name, operator.group() if operator else "", is_call=bool(_CALLED.match(sql, position)))

    @property
    def words(self) -> str:
        """The place in words."""
        shown = self.name or self.operator
        return f"`{shown}`" if shown else "the expression"


def refusal(failure: Failure, sql: str, names: Iterable[str]) -> Refused:
    """The refusal for a failed SELECT.

    Args:
        failure: What the server reported.
        sql: The SELECT.
        names: The columns and views that exist, for suggestions.
    """
    place = _Place.of(sql, failure.position)
    code, message, fix = _explain(failure, place, sql, names)
    return Refused(Problem(code, message, fix, "sql", failure.position))


def _explain(failure: Failure, place: _Place, sql: str, names: Iterable[str]) -> tuple[Code, str, str]:
    match failure.sqlstate:
        case "42703" | "42P01":
            return _unknown_name(failure.sqlstate, place.name, sql, names)
        case "42883":
            return _no_such_function(failure, place)
        case "22P02" | "22007" | "22008":
            return _bad_value(failure, sql)
        case _:
            return _by_table(_told_apart(failure, place, sql), place)


def _told_apart(failure: Failure, place: _Place, sql: str) -> str:
    """The SQLSTATE, with words behind it where the statement tells which of its meanings it has."""
    at = failure.position
    apart = {
        "42601": " literal" if at is not None and sql[at : at + 1] == "'" else "",
        "42803": " call" if place.is_call else "",
        "42804": "" if "$" in sql else " without placeholders",
        "42501": " keys" if _KEYS_REMOVED.search(sql) else "",
    }
    return failure.sqlstate + apart.get(failure.sqlstate, "")


def _by_table(sqlstate: str, place: _Place) -> tuple[Code, str, str]:
    known = BY_STATE.get(sqlstate) or BY_CLASS.get(sqlstate[:2])
    if known is None:
        message = f"PostgreSQL refuses the statement (SQLSTATE {sqlstate})."
        return Code.SQL_MEANING, message, "Simplify it and try again."
    code, message, fix = known
    text = message.format(name=place.words)
    return code, text[0].upper() + text[1:], fix


def _unknown_name(sqlstate: str, named: str, sql: str, names: Iterable[str]) -> tuple[Code, str, str]:
    if not named:
        return (
            Code.SQL_COLUMN,
            "A column that the statement names, perhaps in USING, is not there on both sides.",
            "Call `schema` with the views' names, and join with ON a.x = b.y.",
        )
    near = get_close_matches(named.rpartition(".")[2].lower(), sorted(set(names)), n=3)
    suggestion = f"Did you mean {', '.join(near)}? " if near else ""
    if sqlstate == "42P01":
        return Code.SQL_RELATION, f"There is no view `{named}`.", f"{suggestion}Call `schema` to see the views."
    if len(re.findall(rf"\b{re.escape(named)}\b", sql)) > 1:
        fix = "WHERE and HAVING do not see aliases of SELECT: repeat the expression, or filter a subquery from outside."
        return Code.SQL_COLUMN, f"There is no column `{named}` at this place.", fix
    return Code.SQL_COLUMN, f"There is no column `{named}`.", f"{suggestion}Call `schema` with the view's name."


def _no_such_function(failure: Failure, place: _Place) -> tuple[Code, str, str]:
    types = failure.types
    if not place.is_call:
        between = f" between {' and '.join(types)}" if types else " for these types"
        return Code.SQL_MEANING, f"There is no operator {place.words}{between}.", _operator_fix(place, set(types))
    name = place.name.rpartition(".")[2].lower()
    message = f"There is no function `{name}({', '.join(types)})`."
    if name == "round" and "double precision" in types:
        return Code.SQL_MEANING, message, "Write round(value::numeric, 2)."
    form = FORMS.get(name)
    if form is not None:
        return Code.SQL_MEANING, message, f"Write {form}."
    return Code.SQL_MEANING, message, f"Check number and order of the arguments, or cast one, as {name}(value::text)."


def _operator_fix(place: _Place, types: set[str]) -> str:
    if "like" in place.operator.lower():
        return "LIKE compares texts: write value::text LIKE '1%'."
    if types & _MOMENTS and types & _NUMBERS:
        return "Write dates in quotes, as '2026-07-31'; count days as day + 7, or + interval '1 month'."
    if types & _NUMBERS and types & {"text", "character varying", "unknown"}:
        return "Cast the text, as value::numeric, or put texts together with ||."
    if place.operator.startswith("-") and types & {"json", "jsonb"}:
        return "Take a number out first: (document ->> 'key')::numeric."
    if place.operator.startswith(("->", "#>", "@>", "?")):
        return "Only json and jsonb have keys; take an element of an array as values[1]."
    return "Cast one side, so that both are of one type, as value::text or value::date."


def _bad_value(failure: Failure, sql: str) -> tuple[Code, str, str]:
    wanted = failure.types[0] if failure.types else ""
    what = wanted or "a value of its type"
    if failure.position is None:
        return _bad_row(failure.sqlstate, wanted, has_placeholders="$" in sql)
    kind = wanted if wanted in TYPE_FIXES else ("number" if wanted in _NUMBERS else "other")
    if wanted in _MOMENTS or (not wanted and failure.sqlstate in {"22007", "22008"}):
        kind = "date"
    return Code.SQL_VALUE, f"The text here cannot be read as {what}.", TYPE_FIXES[kind]


def _bad_row(sqlstate: str, wanted: str, *, has_placeholders: bool) -> tuple[Code, str, str]:
    if sqlstate == "22008":
        return Code.SQL_VALUE, "There is no such date or time, or it is out of range.", "Check days, months and hours."
    what = wanted or "a value of its type"
    pattern = r"^\d{4}-\d\d-\d\d$" if wanted in _MOMENTS else r"^-?\d+(\.\d+)?$"
    fix = f"Convert only what fits, as CASE WHEN text ~ '{pattern}' THEN text::{wanted or 'numeric'} END."
    if has_placeholders:
        fix = f"Send dates as 2026-07-31 and numbers without separators. {fix}"
        return Code.SQL_VALUE, f"One of `params`, or a text in the rows, cannot be read as {what}.", fix
    return Code.SQL_VALUE, f"A text in the rows cannot be read as {what}.", fix
