"""The explanations of what PostgreSQL refuses, by SQLSTATE; `{name}` is the place in the statement, in words."""

from __future__ import annotations

from collections.abc import Mapping

from commission_mcp.errors import Code

_TYPE_FIX = "Write the type at the placeholder or literal, such as $1::date or $1::numeric."
_LIMIT_FIX = "Aggregate, filter by date, or ask for fewer rows or columns."
_SUBQUERY = "Compute it in a subquery and filter outside: SELECT * FROM (SELECT ..., x AS n FROM ...) t WHERE n = 1."

BY_STATE: Mapping[str, tuple[Code, str, str]] = {
    "42804": (Code.SQL_PARAM_TYPE, "The types at {name} do not fit each other.", _TYPE_FIX),
    "42804 without placeholders": (
        Code.SQL_MEANING,
        "The types here do not fit: both sides need one type, and a condition must be true or false.",
        "Cast one side, as value::text; write conditions as comparisons, as value > 0.",
    ),
    "42725": (Code.SQL_PARAM_TYPE, "The operator or function at {name} is ambiguous for these types.", _TYPE_FIX),
    "42P08": (Code.SQL_PARAM_TYPE, "A placeholder is used with two different types.", _TYPE_FIX),
    "42P18": (Code.SQL_PARAM_TYPE, "The type of a placeholder cannot be told from its use.", _TYPE_FIX),
    "42P02": (Code.SQL_PARAMS, "A placeholder has no value.", "Give one value in `params` for each placeholder."),
    "08P01": (
        Code.SQL_PARAMS,
        "Placeholders and values do not match in number.",
        "Give one value for each placeholder.",
    ),
    "42803": (
        Code.SQL_MEANING,
        "{name} must be in GROUP BY or inside an aggregate.",
        "Add it to GROUP BY, or wrap it in sum(), max() or the like.",
    ),
    "42803 call": (
        Code.SQL_MEANING,
        "An aggregate cannot stand in WHERE, ON, GROUP BY or another aggregate.",
        "Filter groups with HAVING; aggregate again over a subquery.",
    ),
    "42P20": (
        Code.SQL_MEANING,
        "A window function needs OVER (...), and stands in SELECT or ORDER BY only.",
        _SUBQUERY,
    ),
    "42P10": (
        Code.SQL_MEANING,
        "{name} does not fit the SELECT list.",
        "Positions count the SELECT list from 1; DISTINCT sorts by selected columns; DISTINCT ON (a) needs ORDER BY a.",
    ),
    "42601": (
        Code.SQL_MEANING,
        "The numbers of columns do not match at {name}.",
        "Give both sides of UNION, IN or = as many columns as each other; give every column its name or none.",
    ),
    "42601 literal": (
        Code.SQL_VALUE,
        "The text here is not well-formed.",
        "Write JSON paths as '$.items[*] ? (@.price > 1)'.",
    ),
    "42P19": (
        Code.SQL_MEANING,
        "The recursive part may not aggregate, sort, or use the query twice or on the outer side of a join.",
        "Recurse plainly, and aggregate in the query outside.",
    ),
    "42704": (
        Code.SQL_MEANING,
        "There is nothing called {name} here.",
        'Define windows with WINDOW w AS (...); leave COLLATE out, or use COLLATE "C".',
    ),
    "42809": (
        Code.SQL_MEANING,
        "{name} is not used as what it is.",
        "Window functions need OVER (...); ordered aggregates WITHIN GROUP (ORDER BY value).",
    ),
    "42846": (
        Code.SQL_MEANING,
        "There is no cast between these types at {name}.",
        "Go through text: value::text::type.",
    ),
    "42P22": (Code.SQL_MEANING, "No collation is known for {name}.", 'Add COLLATE "C".'),
    "42702": (Code.SQL_MEANING, "{name} is ambiguous.", "Qualify it with the view's name or alias."),
    "42712": (Code.SQL_MEANING, "Two things have one name in FROM or WITH.", "Give each its own alias."),
    "42501": (
        Code.SQL_DENIED,
        "The database does not let a reader use this.",
        "Use only the views that `schema` lists and ordinary functions.",
    ),
    "42501 keys": (
        Code.SQL_DENIED,
        "Removing a list of keys from a jsonb is not offered.",
        "Remove one after the other, as document - 'a' - 'b'.",
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
    "22012": (Code.SQL_VALUE, "Division by zero.", "Write a / nullif(divisor, 0)."),
    "22003": (
        Code.SQL_VALUE,
        "A number is too large for its type.",
        "Use a larger type, as value::bigint or value::numeric; percentiles are between 0 and 1.",
    ),
    "2201E": (Code.SQL_VALUE, "There is no logarithm of this number.", "Write ln(nullif(greatest(value, 0), 0))."),
    "2201F": (Code.SQL_VALUE, "There is no such root or power.", "Write sqrt(greatest(value, 0))."),
    "2201B": (
        Code.SQL_VALUE,
        "The regular expression is not well-formed.",
        "Close brackets, and write a literal one as \\\\( or [(]; for plain parts use LIKE '%part%'.",
    ),
    "2201W": (Code.SQL_VALUE, "LIMIT may not be negative.", "Write LIMIT with 0 or more."),
    "2201X": (Code.SQL_VALUE, "OFFSET may not be negative.", "Write OFFSET with 0 or more."),
    "22023": (
        Code.SQL_VALUE,
        "A function does not take one of its arguments, such as a unit, a time zone or a step.",
        "Units are year, quarter, month, week, day, hour; zones 'Europe/Berlin'; steps not 0; JSON of the right kind.",
    ),
    "0A000": (
        Code.SQL_FORM,
        "PostgreSQL does not offer this for these types.",
        "Units of extract() are year, quarter, month, week, day, dow, hour, epoch; else write it in another way.",
    ),
}
"""By SQLSTATE; those with words behind it are told apart by the statement."""

BY_CLASS: Mapping[str, tuple[Code, str, str]] = {
    "22": (
        Code.SQL_VALUE,
        "A value cannot be computed or converted at {name}.",
        "Check literals, casts and parameters: dates as 2026-07-31, numbers without separators.",
    ),
    "42": (Code.SQL_MEANING, "The statement has no meaning at {name}.", "Check names, types and grouping there."),
    "21": (
        Code.SQL_MEANING,
        "A subquery used as a value gave several rows.",
        "Compare with IN, or add an aggregate or ORDER BY ... LIMIT 1.",
    ),
    "0A": (Code.SQL_FORM, "PostgreSQL does not offer this form here.", "Write it in another way."),
    "54": (Code.SQL_RESOURCES, "The statement exceeds a limit of the database.", _LIMIT_FIX),
    "53": (Code.SQL_RESOURCES, "The database ran out of a resource.", _LIMIT_FIX),
    "57": (Code.DATABASE_UNREACHABLE, "The database stopped the query.", "Try again; it restarts by itself."),
    "08": (Code.DATABASE_UNREACHABLE, "The connection to the database was lost.", "Try again."),
    "40": (Code.BUSY, "The query collided with a change.", "Try again."),
}
"""By the first two characters."""

FORMS: Mapping[str, str] = {
    "string_agg": "string_agg(value::text, ', ')",
    "percentile_cont": "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)",
    "percentile_disc": "percentile_disc(0.5) WITHIN GROUP (ORDER BY value)",
    "mode": "mode() WITHIN GROUP (ORDER BY value)",
    "count": "count(*), count(value) or count(DISTINCT (a, b))",
    "max": "max(value); of whole rows sort and LIMIT 1",
    "min": "min(value); of whole rows sort and LIMIT 1",
    "sum": "sum(value::numeric); only numbers and intervals have sums",
    "avg": "avg(value::numeric); of dates, avg(day - date '2000-01-01')",
    "to_char": "to_char(value, 'FM999,990.00') or to_char(day, 'YYYY-MM')",
    "to_date": "to_date(text, 'YYYY-MM-DD')",
    "to_number": "to_number(text, '999999.99')",
    "date_trunc": "date_trunc('month', day)",
    "date_part": "extract(month from day)",
    "round": "round(value::numeric, 2)",
    "substring": "substring(value::text, 1, 2)",
    "extract": "extract(month from day)",
    "age": "age(later, earlier)",
    "unnest": "unnest(array); of json, jsonb_array_elements(document)",
    "generate_series": "generate_series(date '2026-01-01', date '2026-12-31', interval '1 day')",
}
"""How functions are called that are often called otherwise."""

TYPE_FIXES: Mapping[str, str] = {
    "number": "Write numbers without quotes and separators, as 1234.50; beside text cast them, as value::text.",
    "date": "Write dates as '2026-07-31' and times as '2026-07-31 14:30'; relative ones as current_date - 30.",
    "interval": "Write intervals as interval '1 month' or '3 days'.",
    "boolean": "Write true or false.",
    "json": "Write JSON with double quotes, as '{\"a\": 1}'.",
    "jsonb": "Write JSON with double quotes, as '{\"a\": 1}'.",
    "uuid": "Write all 36 characters of the id.",
    "other": "Write arrays as ARRAY['a', 'b'], one element as 'a' = ANY(column); cast literals to what the column is.",
}
"""How literals of a type are written."""
