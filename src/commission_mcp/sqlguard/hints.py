"""What to write instead: the fixes that refusals carry."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

REWRITES: dict[str, str] = {
    "ifnull": "coalesce(a, b)",
    "nvl": "coalesce(a, b)",
    "isnull": "coalesce(a, b)",
    "iif": "CASE WHEN condition THEN a ELSE b END",
    "if": "CASE WHEN condition THEN a ELSE b END",
    "getdate": "now()",
    "sysdate": "now()",
    "curdate": "current_date",
    "today": "current_date",
    "datediff": "end_date - start_date, or age(a, b)",
    "date_diff": "end_date - start_date, or age(a, b)",
    "dateadd": "day + interval '1 month'",
    "datepart": "extract(month from day)",
    "year": "extract(year from day)",
    "quarter": "extract(quarter from day)",
    "month": "extract(month from day)",
    "day": "extract(day from day)",
    "strftime": "to_char(day, 'YYYY-MM')",
    "date_format": "to_char(day, 'YYYY-MM')",
    "str_to_date": "to_date(text, 'YYYY-MM-DD')",
    "group_concat": "string_agg(name, ', ')",
    "listagg": "string_agg(name, ', ')",
    "len": "length(text)",
    "instr": "strpos(text, part)",
    "charindex": "strpos(text, part)",
    "locate": "strpos(text, part)",
    "ucase": "upper(text)",
    "lcase": "lower(text)",
    "rand": "random()",
    "newid": "gen_random_uuid()",
    "median": "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)",
    "try_cast": "value::type",
    "safe_divide": "a / nullif(b, 0)",
}
"""How this database says what other databases have a function for."""

_SYNTAX: tuple[tuple[str, str], ...] = (
    ("`", 'Quote names with double quotes, as in "name".'),
    ("?", "Write placeholders as $1, $2 and send the values in `params`."),
    (":", "Write placeholders as $1, $2 and send the values in `params`."),
    ("[", 'Quote names with double quotes, as in "name".'),
    ("%", "Write placeholders as $1, $2, or as %s with as many values."),
    (",", "For a page write LIMIT count OFFSET start; check for a comma too many."),
)

_NEAR = re.compile(r'at or near "(.)')
_TOP = re.compile(r"\s*select\s+top\s+\d", re.IGNORECASE)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names most like `name`, as ``a`, `b``; empty if none is close."""
    found = difflib.get_close_matches(name.lower(), sorted(set(known)), n=3, cutoff=0.6)
    return ", ".join(f"`{match}`" for match in found)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A fix that offers the nearest known names, or else `otherwise`."""
    found = nearest(name, known)
    return f"Did you mean {found}?" if found else otherwise


def syntax_fix(message: str, text: str) -> str:
    """What most likely helps against a syntax error."""
    if _TOP.match(text):
        return "Write LIMIT n at the end instead of TOP n."
    near = _NEAR.search(message)
    if near is not None:
        for token, fix in _SYNTAX:
            if near[1] == token:
                return fix
    if message.endswith("end of input"):
        return "The statement stops too early; complete it."
    return "Correct the statement at the given character; the dialect is PostgreSQL's."
