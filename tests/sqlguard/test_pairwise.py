"""Statements whose work nothing could stop are refused; the same operators with a small side are not."""

from __future__ import annotations

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard import Relations, parse_select

RELATIONS = Relations({"app.reps": {"rep_id": "int4", "name": "text", "tags": "text[]", "profile": "jsonb"}})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a && b FROM (SELECT array_fill(1, ARRAY[100000]) a, array_fill(2, ARRAY[100000]) b) x",
        "SELECT a <@ b FROM (SELECT array_agg(i) a, array_agg(i) b FROM generate_series(1, 300000) i) x",
        "SELECT a @> b FROM (SELECT ARRAY(SELECT name FROM reps) a, ARRAY(SELECT name FROM reps) b) x",
        "SELECT arrayoverlap(array_agg(rep_id), array_agg(rep_id)) FROM reps",
        "SELECT string_to_array(a, ',') OPERATOR(pg_catalog.&&) string_to_array(a, ',') FROM (SELECT name a FROM reps)",
        "SELECT btrim(repeat('a', 1000000), repeat('b', 100000) || 'a')",
        "SELECT trim(both lpad('x', 90000) from rpad('y', 90000))",
        "SELECT translate(string_agg(name, ''), string_agg(name, ''), 'x') FROM reps",
    ],
)
def test_two_sides_of_any_size_are_refused(sql: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_select(sql, RELATIONS)

    assert Code.SQL_COST in {problem.code for problem in refused.value.problems}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM reps WHERE tags && ARRAY['a', 'b']",
        "SELECT name, array_agg(rep_id) FROM reps WHERE tags @> '{a}' GROUP BY name",
        "SELECT name FROM reps GROUP BY name HAVING array_agg(rep_id) @> ARRAY[1, 2]",
        "SELECT a.name FROM reps a JOIN reps b ON a.tags && b.tags",
        "SELECT name, json_agg(rep_id) FROM reps WHERE profile @> '{\"level\": 1}'::jsonb GROUP BY name",
        "SELECT string_agg(btrim(name), ',') FROM reps WHERE btrim(name, ' .') <> $1 AND tags <@ $2::text[]",
    ],
)
def test_one_small_side_is_enough(sql: str) -> None:
    parse_select(sql, RELATIONS)


def test_types_whose_comparison_nothing_stops_are_not_offered() -> None:
    for sql in ("SELECT '((0,0),(1,1))'::path", "SELECT '((0,0),(1,1))'::polygon", "SELECT path('((0,0),(1,1))')"):
        with pytest.raises(Refused):
            parse_select(sql, RELATIONS)
