"""Short texts that PostgreSQL would plan as huge statements are refused, and what analysts chain is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commission_mcp.errors import Code


def nested(inner: str, outer: str, levels: int) -> str:
    """A query in FROM of the same query, and so on."""
    for _ in range(levels):
        inner = outer.format(inner)
    return inner


def chained(first: str, following: str, levels: int, how: str = "") -> str:
    """Queries of WITH, each over the one before."""
    ctes = [f"c0 AS {how} ({first})"]
    ctes += [f"c{number} AS {how} ({following.format(f'c{number - 1}')})" for number in range(1, levels)]
    return f"WITH {', '.join(ctes)} SELECT * FROM c{levels - 1}"


COPIES = "SELECT a.x FROM {0} a, {0} b"
HUGE = {
    "a column used twice in each of thirty subqueries": nested(
        "SELECT 'a'::text x", "SELECT s.x || s.x AS x FROM ({}) s", 25
    ),
    "whole rows": nested("SELECT 1 a, 2 b", "SELECT s AS a, s AS b FROM ({}) s", 30),
    "used in a subquery of an expression": nested("SELECT 1 x", "SELECT (SELECT s.x + s.x) x FROM ({}) s", 25),
    "used in conditions": nested("SELECT 1 x", "SELECT x + x x FROM ({}) s WHERE x + x > 1", 22),
    "in both halves of unions": nested("SELECT 1 x", "(SELECT x + x x FROM ({}) s) UNION ALL SELECT 1", 25),
    "queries of WITH": chained("SELECT 1 x", "SELECT x + x x FROM {0}", 25),
    "tables by copies of queries": chained("SELECT 1 x", COPIES, 20, "NOT MATERIALIZED"),
    "under RECURSIVE though none is": chained("SELECT 1 x", COPIES, 20, "NOT MATERIALIZED").replace(
        "WITH", "WITH RECURSIVE", 1
    ),
    "the last one first": "WITH RECURSIVE "
    + ", ".join(f"c{number} AS NOT MATERIALIZED ({COPIES.format(f'c{number - 1}')})" for number in range(20, 0, -1))
    + ", c0 AS NOT MATERIALIZED (SELECT 1 x) SELECT * FROM c20",
    "beside one that reads itself": "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 2), "
    + chained("SELECT x FROM r", COPIES, 20, "NOT MATERIALIZED").removeprefix("WITH "),
}


@pytest.mark.parametrize("sql", HUGE.values(), ids=HUGE.keys())
def test_what_grows_while_it_is_planned_is_refused(sql: str, codes: Callable[..., list[Code]]) -> None:
    assert Code.SQL_COST in codes(sql)


USUAL = {
    "steps of their own": chained("SELECT 1 x", COPIES, 20, "MATERIALIZED"),
    "groups in between": nested("SELECT 1 x, 2 y", "SELECT x, sum(y + y) y FROM ({}) s GROUP BY x", 25),
    "six queries, each used twice": chained(
        "SELECT deal_id x, amount y FROM deals",
        "SELECT a.x, CASE WHEN a.y > b.y THEN a.y * 2 + b.y ELSE a.y END y FROM {0} a JOIN {0} b ON a.x = b.x",
        6,
    ),
    "a long list": "SELECT " + ", ".join(f"s.x + {number}" for number in range(1_000)) + " FROM (SELECT 1 x) s",
    "one that reads itself": "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 9) TABLE r",
}


@pytest.mark.parametrize("sql", USUAL.values(), ids=USUAL.keys())
def test_what_stays_of_its_size_passes(sql: str, codes: Callable[..., list[Code]]) -> None:
    assert codes(sql) == []


def test_looking_takes_no_longer_than_the_text_is_deep(codes: Callable[..., list[Code]]) -> None:
    """Each subquery of an expression is looked at once for each query around it, not twice as often for each."""
    assert codes(nested("SELECT 1", "SELECT ({})", 35)) == []
