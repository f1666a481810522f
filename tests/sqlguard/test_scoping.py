"""Names mean what they mean in PostgreSQL: WITH queries, aliases, LATERAL, joins, rows."""

from collections.abc import Callable

import pytest

from commission_mcp.errors import Code, Refused

Codes = Callable[..., list[Code]]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid, pg_catalog.pg_authid",
        "SELECT * FROM (WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid) x, pg_authid",
        "WITH a AS (SELECT * FROM pg_authid), pg_authid AS (SELECT 1) SELECT * FROM a",
        "WITH pg_authid AS (SELECT * FROM pg_authid) SELECT * FROM pg_authid",
        "SELECT 1 UNION (WITH pg_authid AS (SELECT 1) SELECT 1 FROM pg_authid) UNION SELECT 1 FROM pg_authid",
        "SELECT EXISTS (WITH pg_authid AS (SELECT 1) TABLE pg_authid), EXISTS (TABLE pg_authid)",
    ],
)
def test_a_with_query_hides_a_catalog_only_where_it_is_in_scope(sql: str, codes: Codes) -> None:
    assert codes(sql) == [Code.SQL_RELATION]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid",
        "WITH RECURSIVE pg_authid AS (SELECT 1 n UNION ALL SELECT n + 1 FROM pg_authid WHERE n < 3) TABLE pg_authid",
        "WITH pg_authid AS (SELECT 1 n) SELECT (SELECT max(n) FROM pg_authid) UNION SELECT n FROM pg_authid",
        "WITH deals AS (SELECT 1 AS foo) SELECT deals.foo FROM deals",
        "WITH deals AS (SELECT rep_id AS foo FROM deals) SELECT deals.foo FROM deals",
    ],
)
def test_a_with_query_may_be_called_anything_in_its_scope(sql: str, codes: Codes) -> None:
    assert codes(sql) == []


def test_a_with_query_replaces_the_table_of_its_name(codes: Codes) -> None:
    assert codes("WITH deals AS (SELECT 1 AS foo) SELECT deals.amount FROM deals") == [Code.SQL_COLUMN]
    assert codes("WITH deals AS (SELECT 1 AS foo) SELECT d.amount FROM app.deals d") == []


def test_the_condition_of_a_join_does_not_see_sources_beside_it(codes: Codes) -> None:
    beside = "SELECT 1 FROM (SELECT 1 AS wipe) x, (reps b JOIN quotas c ON x.wipe = 1)"

    assert codes(f"SELECT 1 FROM reps x WHERE EXISTS ({beside})") == [Code.SQL_COLUMN]


def test_only_lateral_sees_the_sources_on_its_left(codes: Codes) -> None:
    assert codes("SELECT * FROM reps r, LATERAL (SELECT r.name) x") == []
    assert codes("SELECT * FROM reps r, (SELECT r.name) x") == [Code.SQL_RELATION]
    assert codes("SELECT * FROM reps r, unnest(r.tags) t") == []


def test_an_alias_hides_the_name_of_the_table(codes: Codes) -> None:
    assert codes("SELECT deals.amount FROM deals d") == [Code.SQL_RELATION]
    assert codes("SELECT app.deals.amount FROM app.deals d") == [Code.SQL_RELATION]


def test_a_subquery_sees_the_queries_around_it(codes: Codes) -> None:
    assert codes("SELECT (SELECT max(d.amount) FROM deals d WHERE d.rep_id = r.rep_id) FROM reps r") == []


def test_an_unknown_column_is_told_with_the_nearest_names(parse: Callable[..., object]) -> None:
    with pytest.raises(Refused) as refused:
        parse("SELECT amont FROM deals")

    assert "`amount`" in refused.value.problems[0].fix


def test_rows_can_be_looked_into_wherever_their_columns_are_known(codes: Codes) -> None:
    for row in ("r", "(SELECT r)", "(array_agg(r))[1]", "(ARRAY[r])[1]", "max(r)", "coalesce(r, r)", "s.r"):
        source = "(SELECT r FROM reps r) s" if row == "s.r" else "reps r"

        assert codes(f"SELECT ({row}).name FROM {source}") == [], row
        assert codes(f"SELECT ({row}).wipe FROM {source}") == [Code.SQL_FORM], row


def test_a_recursive_with_sees_the_queries_behind_it(codes: Codes) -> None:
    ahead = "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM b), b AS (SELECT 1 AS n) SELECT n FROM a"

    assert codes(ahead) == []
    assert codes(ahead.replace("n + 1 FROM b", "b.wipe FROM b")) == [Code.SQL_COLUMN]
    assert codes(ahead.replace("RECURSIVE ", "")) == [Code.SQL_RELATION]
