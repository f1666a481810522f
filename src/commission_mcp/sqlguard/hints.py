"""What to write instead: the fixes that refusals carry."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from commission_mcp.sqlguard.lexing import code_spans

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
    "unix_timestamp": "extract(epoch from moment)",
    "from_unixtime": "to_timestamp(seconds)",
    "format_date": "to_char(day, 'YYYY-MM')",
    "parse_date": "to_date(text, 'YYYY-MM-DD')",
    "last_day": "(date_trunc('month', day) + interval '1 month - 1 day')::date",
    "eomonth": "(date_trunc('month', day) + interval '1 month - 1 day')::date",
    "date_sub": "day - interval '1 month'",
    "timestampdiff": "end_time - start_time, or age(a, b)",
    "weekday": "extract(isodow from day)",
    "dayofweek": "extract(dow from day)",
    "week": "extract(week from day)",
    "hour": "extract(hour from moment)",
    "approx_count_distinct": "count(DISTINCT value)",
    "countif": "count(*) FILTER (WHERE condition)",
    "count_if": "count(*) FILTER (WHERE condition)",
    "sumif": "sum(value) FILTER (WHERE condition)",
    "sum_if": "sum(value) FILTER (WHERE condition)",
    "arg_max": "(array_agg(what ORDER BY value DESC))[1]",
    "max_by": "(array_agg(what ORDER BY value DESC))[1]",
    "min_by": "(array_agg(what ORDER BY value))[1]",
    "decode": "CASE value WHEN a THEN b ELSE c END",
    "zeroifnull": "coalesce(a, 0)",
    "nvl2": "CASE WHEN a IS NOT NULL THEN b ELSE c END",
    "regexp_extract": "substring(text from 'pattern')",
    "json_extract": "document #>> '{a,b}'",
    "json_unquote": "document ->> 'key'",
    "json_extract_scalar": "document #>> '{a,b}'",
    "array_contains": "value = ANY(array)",
    "array_size": "cardinality(array)",
    "explode": "unnest(array)",
    "sequence": "generate_series(start, stop)",
    "date_from_parts": "make_date(year, month, day)",
    "to_varchar": "to_char(value, format), or value::text",
    "char_index": "strpos(text, part)",
    "isdate": "text ~ '^\\d{4}-\\d{2}-\\d{2}$'",
    "isnumeric": "text ~ '^-?\\d+([.]\\d+)?$'",
    "square": "value ^ 2",
}
"""How this database says what other databases have a function for."""

_SERVER = "Leave it out: a query sees the rows of its tables, not the server or its session."
_WAYS_ROUND: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(version|pg_.*|inet_(server|client)_.*|current_(setting|database|schemas))\Z"), _SERVER),
    (re.compile(r"(set_config|setseed|txid_.*|dblink.*|lo_.*|.*_to_xml.*)\Z"), _SERVER),
    (re.compile(r"(nextval|currval|lastval|setval)\Z"), "Number rows with row_number() OVER (ORDER BY ...)."),
    (re.compile(r"((obj|col|shobj)_description|to_reg.*|format_type|has_.*)\Z"), "Call `schema` for what there is."),
)

PARTS_OF_DATES = frozenset(
    "year years quarter month months week day days hour minute second dow isodow doy epoch decade".split()  # noqa: SIM905 - words
)
"""What people write without quotes, as other databases have it."""

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")

_HABITS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fix)
    for pattern, fix in (
        (r"`", 'Quote names with double quotes, as in "name".'),
        (r"\{\{|\$\{", "Write placeholders as $1, $2 and send the values in `params`."),
        (r"(?:[=<>(,]|\blike|\bin)\s*\?(?:[\s),]|\Z)", "Write placeholders as $1, $2; send the values in `params`."),
        (r"\blimit\s+\S+\s*,", "For a page write LIMIT count OFFSET start."),
        (r"\bqualify\b", "Put the window function into a subquery and filter it with WHERE outside."),
        (r"\b(?:ignore|respect)\s+nulls\b", "Filter NULLs out first, or use max(value) OVER with a running count."),
        (r"\*\s*(?:except|exclude|replace)\s*\(", "Name the columns that you want."),
        (r"\bwith\s+(?:rollup|cube)\b", "Write GROUP BY ROLLUP (a, b)."),
        (r"\b(?:try_cast|safe_cast)\s*\(", "Write CAST(value AS type); filter what cannot be cast first."),
        (r"\b(?:rlike|regexp)\b", "Write value ~ 'pattern', or ~* to ignore case."),
        (r"\bcontains\s+'", "Write value LIKE '%part%'."),
        (r"\bgroup\s+by\s+[^)]*\bwhere\b", "Put WHERE before GROUP BY; filter groups with HAVING."),
        (r"\border\s+by\s+[^()]*\b(?:group\s+by|where)\b", "The order is WHERE, GROUP BY, HAVING, ORDER BY, LIMIT."),
        (r"\blimit\s+\S+\s+(?:where|order|group)\b", "The order is WHERE, GROUP BY, HAVING, ORDER BY, LIMIT."),
        (r"\bpivot\s*\(", "Write sum(value) FILTER (WHERE column = 'x') AS x for each column of the result."),
        (r",\s*(?:from|where|group|order|limit|\))", "Remove the comma before this word."),
    )
)
"""Marks of other dialects, and of slips, in the text of a statement that does not parse."""

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


def function_fix(name: str, known: Iterable[str]) -> str:
    """What to do instead of calling a function that is not offered."""
    if name in REWRITES:
        return f"Write {REWRITES[name]}."
    for pattern, fix in _WAYS_ROUND:
        if pattern.match(name):
            return fix
    return did_you_mean(name, known, "Use PostgreSQL's own functions for numbers, text, dates and json.")


def column_fix(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about a name that is no column here."""
    if name in PARTS_OF_DATES and name not in set(known):
        return f"Write '{name}' in single quotes, as in date_trunc('{name}', day)."
    if _PLAIN_NAME.match(name):
        return did_you_mean(name, known, otherwise)
    # Only quoted names have blanks and capitals; most who write them mean a text.
    found = nearest(name, known)
    meant = f"For the column write {found}. " if found else ""
    return f"{meant}Write text in single quotes, as in '{name[:40]}'; double quotes are for names."


def relation_fix(name: str, known: Iterable[str]) -> str:
    """What to do about a table that does not exist here."""
    if name.startswith(("pg_", "information_schema.")):
        return "Call `schema` to see the tables and their columns; the catalogs are not offered."
    return did_you_mean(name, known, "Call `schema` to see the tables.")


def syntax_fix(message: str, text: str) -> str:
    """What most likely helps against a syntax error."""
    if _TOP.match(text):
        return "Write LIMIT n at the end instead of TOP n."
    code = "''".join(text[start:end] for start, end in code_spans(text))
    for pattern, fix in _HABITS:
        if pattern.search(code):
            return fix
    near = _NEAR.search(message)
    if near is not None:
        for token, fix in _SYNTAX:
            if near[1] == token:
                return fix
    if message.endswith("end of input"):
        return "The statement stops too early; complete it."
    return "Correct the statement at the given character; the dialect is PostgreSQL's."
