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
        "SELECT repeat('a', 900000) LIKE '%' || repeat('a', 900000) || 'b'",
        "SELECT repeat('a', 900000) NOT ILIKE '%' || repeat('a', 900000) || 'b'",
        "SELECT bytealike(repeat('a', 900000)::bytea, repeat('a', 900000)::bytea)",
        "SELECT strpos(string_agg(name, ''), string_agg(name, '')) FROM reps",
        "SELECT position(repeat('1', 900000)::varbit IN repeat('1', 900000)::varbit)",
        "SELECT replace(a, b, '') FROM (SELECT string_agg(name, '') a, string_agg(name, '') b FROM reps) x",
        "SELECT split_part(repeat('a', 900000), 'b' || repeat('a', 900000), -1)",
        "SELECT string_to_array(repeat('a', 900000), 'b' || repeat('a', 900000))",
        "SELECT * FROM string_to_table(repeat('a', 900000), 'b' || repeat('a', 900000))",
        "SELECT to_date(repeat('1', 900000), repeat('Y', 900000))",
        "SELECT to_timestamp(repeat('1', 900000), repeat('Y', 900000))",
        "SELECT normalize(repeat(U&'\\0315', 300000) || repeat(U&'\\0301', 300000))",
        "SELECT repeat(U&'\\0315\\0301', 300000) IS NFC NORMALIZED",
        "SELECT jsonb_agg(name) ?| array_agg(name) FROM reps",
        "SELECT jsonb_agg(name) ?& array_agg(name) FROM reps",
        "SELECT jsonb_path_exists(jsonb_agg(rep_id), '$ ? (@[*] == $[*])') FROM reps",
        "SELECT jsonb_agg(rep_id) @? '$ ? (@[*] > @[*])' FROM reps",
        "SELECT jsonb_agg(rep_id) @@ '$[*] == $[*]' FROM reps",
        (
            "SELECT jsonb_path_exists(jsonb_agg(rep_id), '$[*] == $x', jsonb_build_object('x', "
            "jsonb_agg(rep_id))) FROM reps"
        ),
        "SELECT jsonb_path_match(jsonb_agg(rep_id), (SELECT string_agg(name, '')::jsonpath FROM reps)) FROM reps",
        "SELECT JSON_EXISTS(jsonb_agg(rep_id), '$[*] == $[*]') FROM reps",
        (
            "SELECT * FROM (SELECT jsonb_agg(rep_id) a FROM reps) x, JSON_TABLE(a, '$ ? (@[*] == $[*])' "
            "COLUMNS (b int PATH '$'))"
        ),
        "SELECT ts_rank(string_agg(name, ' ')::tsvector, string_agg(name, ' & ')::tsquery) FROM reps",
        (
            "SELECT ts_rank_cd('{1,1,1,1}', string_agg(name, ' ')::tsvector, string_agg(name, ' & "
            "')::tsquery, 2) FROM reps"
        ),
        (
            "WITH RECURSIVE a AS (SELECT ARRAY[1] x UNION ALL SELECT x || x FROM a WHERE cardinality(x) < 300000) "
            "SELECT a.x && b.x FROM a, a b"
        ),
        (
            "WITH RECURSIVE a AS (SELECT 'a' x UNION ALL SELECT concat(x, x) FROM a WHERE length(x) < 300000) "
            "SELECT a.x LIKE b.x FROM a, a b"
        ),
        f"WITH a0 AS (SELECT '{'a' * 900}'::text x)"
        + "".join(f", a{n + 1} AS (SELECT x || x AS x FROM a{n})" for n in range(10))
        + " SELECT a.x LIKE b.x FROM a10 a, a10 b",
        f"SELECT strpos(x, x) FROM (SELECT replace('{'a' * 900}', 'a', '{'a' * 900}') x) y",
        (
            "SELECT a <@ b FROM (SELECT JSON_ARRAYAGG(i RETURNING jsonb) a, JSON_ARRAYAGG(i RETURNING jsonb) b "
            "FROM generate_series(1, 300000) i) x"
        ),
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
        "SELECT string_agg(a.name, ', ') FROM reps a JOIN reps b ON a.name LIKE b.name || '%'",
        "SELECT string_agg(name, ', ') FROM reps WHERE name ILIKE '%' || $1 || '%' OR lower(name) LIKE lower($2)",
        "SELECT array_agg(replace(split_part(name, ' ', 1), 'x', 'y')), array_agg(strpos(name, ',')) FROM reps",
        "SELECT a.name FROM reps a, (SELECT name || '%' AS pattern FROM reps) b WHERE a.name LIKE b.pattern",
        "SELECT jsonb_agg(rep_id) FROM reps WHERE jsonb_path_exists(profile, '$.a[*] ? (@ > $min)', '{\"min\": 1}')",
        "SELECT jsonb_path_query_array(jsonb_agg(rep_id), '$[*] ? (@ > 5)') FROM reps",
        (
            "SELECT string_agg(name, ',' ORDER BY ts_rank(to_tsvector('english', name), "
            "plainto_tsquery('english', $1))) FROM reps"
        ),
        (
            "SELECT array_agg(to_date(name, 'YYYY-MM-DD')), array_agg(to_timestamp(rep_id)), "
            "array_agg(normalize(name)) FROM reps"
        ),
        (
            "WITH RECURSIVE t AS (SELECT rep_id, name::text AS path FROM reps UNION ALL SELECT r.rep_id, "
            "t.path || r.name FROM t JOIN reps r ON r.rep_id = t.rep_id + 1 WHERE r.name LIKE 'R%') "
            "SELECT path FROM t WHERE path LIKE '%x%'"
        ),
        "SELECT (xpath('/a/b[c=1]/text()', '<a/>'))[1], array_agg(name) FROM reps",
    ],
)
def test_one_small_side_is_enough(sql: str) -> None:
    parse_select(sql, RELATIONS)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT xpath('//*[//*[//*[1=2]]]', '<a/>')",
        "SELECT xpath(name, '<a/>') FROM reps",
        "SELECT xmlexists('//*[//*[1=2]]' PASSING '<a/>')",
        "SELECT * FROM XMLTABLE('//*[//*[1=2]]' PASSING '<a/>' COLUMNS x text PATH '.')",
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x text PATH '//*[//*[1=2]]')",
    ],
)
def test_a_path_that_looks_at_everything_for_everything_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_select(sql, RELATIONS)

    assert {problem.code for problem in refused.value.problems} == {Code.SQL_COST}


def test_parameters_that_have_to_be_small_are_named() -> None:
    sql = "SELECT $1 LIKE $2, $3::text[] && $4::text[], rep_id = ANY($5), ts_rank('a', $6), name LIKE $7 FROM reps"

    assert parse_select(sql, RELATIONS).small == {1: 1000, 3: 1000, 6: 200}


def test_types_whose_comparison_nothing_stops_are_not_offered() -> None:
    for sql in ("SELECT '((0,0),(1,1))'::path", "SELECT '((0,0),(1,1))'::polygon", "SELECT path('((0,0),(1,1))')"):
        with pytest.raises(Refused):
            parse_select(sql, RELATIONS)
