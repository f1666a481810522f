"""What a failure of the database means to the person who asked, in our own words; its text never passes through."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from psycopg import pq

from commission_mcp.errors import Code, Problem, Refused

_IDENTIFIER = re.compile(r'"(?:[^"]|"")+"|[\w$]+(?:\.[\w$]+)*')


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the server reports it: its class, and where in the text it lies."""

    sqlstate: str
    position: int | None

    @classmethod
    def of(cls, result: pq.abc.PGresult, *, prefix_chars: int) -> Failure:
        """Read the error of a result whose statement began with so many characters of our own."""
        sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"XX000").decode()
        raw = result.error_field(pq.DiagnosticField.STATEMENT_POSITION)
        position = int(raw) - 1 - prefix_chars if raw else None
        return cls(sqlstate, position if position is not None and position >= 0 else None)


def refusal(failure: Failure, sql: str, names: Iterable[str]) -> Refused:
    """The refusal for a failed SELECT.

    Args:
        failure: What the server reported.
        sql: The SELECT.
        names: The columns and views that exist, for suggestions.
    """
    named = _identifier(sql, failure.position)
    code, message, fix = _explain(failure.sqlstate, named, names)
    return Refused(Problem(code, message, fix, "sql", failure.position))


def _identifier(sql: str, position: int | None) -> str:
    found = _IDENTIFIER.match(sql, position) if position is not None else None
    return found.group().strip('"') if found else ""


def _explain(sqlstate: str, named: str, names: Iterable[str]) -> tuple[Code, str, str]:
    if sqlstate in {"42703", "42P01"}:
        return _unknown_name(sqlstate, named, names)
    known = _BY_STATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
    if known is None:
        return (
            Code.SQL_MEANING,
            f"PostgreSQL refuses the statement (SQLSTATE {sqlstate}).",
            "Simplify it and try again.",
        )
    code, message, fix = known
    return code, message.format(name=f"`{named}`" if named else "the expression"), fix


def _unknown_name(sqlstate: str, named: str, names: Iterable[str]) -> tuple[Code, str, str]:
    near = get_close_matches(named.rpartition(".")[2].lower(), sorted(set(names)), n=3)
    suggestion = f"Did you mean {', '.join(near)}? " if near else ""
    if sqlstate == "42703":
        return Code.SQL_COLUMN, f"There is no column `{named}`.", f"{suggestion}Call `schema` with the view's name."
    return Code.SQL_RELATION, f"There is no view `{named}`.", f"{suggestion}Call `schema` to see the views."


_TYPE_FIX = "Write the type at the placeholder or literal, such as $1::date or $1::numeric."
_LIMIT_FIX = "Aggregate, filter by date, or ask for fewer rows or columns."

_BY_STATE: dict[str, tuple[Code, str, str]] = {
    "42804": (Code.SQL_PARAM_TYPE, "The types at {name} do not fit each other.", _TYPE_FIX),
    "42725": (Code.SQL_PARAM_TYPE, "The operator or function at {name} is ambiguous for these types.", _TYPE_FIX),
    "42P08": (Code.SQL_PARAM_TYPE, "A placeholder is used with two different types.", _TYPE_FIX),
    "42P18": (Code.SQL_PARAM_TYPE, "The type of a placeholder cannot be told from its use.", _TYPE_FIX),
    "42P02": (Code.SQL_PARAMS, "A placeholder has no value.", "Give one value in `params` for each placeholder."),
    "08P01": (
        Code.SQL_PARAMS,
        "Placeholders and values do not match in number.",
        "Give one value for each placeholder.",
    ),
    "42883": (
        Code.SQL_MEANING,
        "There is no function or operator for these types at {name}.",
        "Cast an operand, such as amount::text LIKE '1%', or check the arguments of the function.",
    ),
    "42803": (
        Code.SQL_MEANING,
        "{name} must be in GROUP BY or inside an aggregate.",
        "Add it to GROUP BY, or wrap it in sum(), max() or the like.",
    ),
    "42702": (Code.SQL_MEANING, "{name} is ambiguous.", "Qualify it with the view's name or alias."),
    "42712": (Code.SQL_MEANING, "{name} names two things in FROM.", "Give each its own alias."),
    "42501": (
        Code.SQL_DENIED,
        "The database does not let a reader use this.",
        "Use only the views that `schema` lists and ordinary functions.",
    ),
    "57014": (Code.SQL_TIMEOUT, "The query was stopped at the time limit.", _LIMIT_FIX),
    "55P03": (Code.SQL_TIMEOUT, "The query waited too long for a lock.", "Try again in a moment."),
    "53400": (Code.SQL_RESOURCES, "The query needed more temporary disk space than is allowed.", _LIMIT_FIX),
    "53200": (Code.SQL_RESOURCES, "The query needed more memory than is allowed.", _LIMIT_FIX),
    "54001": (Code.SQL_TOO_DEEP, "The statement is nested too deeply.", "Break it into common table expressions."),
    "25006": (
        Code.SQL_NOT_SELECT,
        "Only reading is possible.",
        "Read with one SELECT; nothing is written through `query`.",
    ),
    "22012": (Code.SQL_VALUE, "Division by zero.", "Write nullif(divisor, 0)."),
}
_BY_CLASS: dict[str, tuple[Code, str, str]] = {
    "22": (
        Code.SQL_VALUE,
        "A value cannot be computed or converted at {name}.",
        "Check literals, casts and parameters: dates as 2026-07-31, numbers without separators.",
    ),
    "42": (Code.SQL_MEANING, "The statement has no meaning at {name}.", "Check names, types and grouping there."),
    "21": (Code.SQL_MEANING, "A subquery used as a value gave several rows.", "Add LIMIT 1 or an aggregate."),
    "0A": (Code.SQL_FORM, "PostgreSQL does not offer this form here.", "Write it in another way."),
    "54": (Code.SQL_RESOURCES, "The statement exceeds a limit of the database.", _LIMIT_FIX),
    "53": (Code.SQL_RESOURCES, "The database ran out of a resource.", _LIMIT_FIX),
    "57": (Code.DATABASE_UNREACHABLE, "The database stopped the query.", "Try again; it restarts by itself."),
    "08": (Code.DATABASE_UNREACHABLE, "The connection to the database was lost.", "Try again."),
    "40": (Code.BUSY, "The query collided with a change.", "Try again."),
}
