"""What a `Select` tells, and that only the guard can make one."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from commission_mcp.sqlguard import Relations, Select

Parse = Callable[..., Select]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("SELECT 1;", "SELECT 1"),
        (" ;; SELECT 1 ;; -- end", "SELECT 1"),
        ("SELECT 1 -- end", "SELECT 1 -- end\n"),
        ("SELECT 1 -- a\n + 1", "SELECT 1 -- a\n + 1"),
        ("SELECT 1 /* end */ ;", "SELECT 1 /* end */"),
        ("SELECT '; --'\n;", "SELECT '; --'\n"),
        ("SELECT 'ü; ö' ; ", "SELECT 'ü; ö'"),
    ],
)
def test_the_text_to_send_is_the_one_statement(text: str, sql: str, parse: Parse) -> None:
    assert parse(text).sql == sql


def test_it_knows_what_it_reads(parse: Parse) -> None:
    select = parse("WITH x AS (SELECT 1 FROM deals) SELECT * FROM x, app.reps WHERE EXISTS (TABLE quotas)")

    assert select.relations == {"app.deals", "app.reps", "app.quotas"}


def test_only_the_outermost_order_counts(parse: Parse) -> None:
    assert parse("SELECT 1 UNION SELECT 2 ORDER BY 1").ordered
    assert not parse("SELECT * FROM (SELECT 1 ORDER BY 1) x").ordered


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT now()",
        "SELECT current_date",
        "SELECT localtimestamp(0)",
        "SELECT random()",
        "SELECT age(closed_at) FROM deals",
        "SELECT 'today'::date",
        "SELECT date ' Tomorrow '",
        "SELECT 1 WHERE EXISTS (SELECT gen_random_uuid())",
    ],
)
def test_clock_and_chance_make_it_volatile(sql: str, parse: Parse) -> None:
    assert parse(sql).volatile


def test_data_alone_does_not(parse: Parse) -> None:
    assert not parse("SELECT age(closed_at, '2025-01-01'), date_trunc('month', closed_at) FROM deals").volatile


def test_nobody_else_can_make_one(parse: Parse) -> None:
    with pytest.raises(TypeError):
        Select("DROP TABLE x", 0, frozenset(), ordered=False, volatile=False, seal=object())
    with pytest.raises((TypeError, ValueError)):
        replace(parse("SELECT 1"), sql="DROP TABLE x")
    with pytest.raises(FrozenInstanceError):
        parse("SELECT 1").sql = "DROP TABLE x"  # pyright: ignore[reportAttributeAccessIssue] - the point of the test


def test_relations_are_frozen_and_well_named() -> None:
    relations = Relations({"app.deals": {"amount": "numeric"}})

    with pytest.raises(AttributeError):
        relations.column_names = frozenset()
    with pytest.raises(ValueError, match=r"schema\.table"):
        Relations({"deals": {}})
