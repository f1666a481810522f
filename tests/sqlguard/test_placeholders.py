"""Placeholders: $n and the `%s` habit, and positions that point into the text as it was sent."""

from collections.abc import Callable

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard import Select

Codes = Callable[..., list[Code]]
Parse = Callable[..., Select]


def test_the_habit_becomes_numbers(parse: Parse) -> None:
    select = parse("SELECT * FROM deals WHERE stage = %s AND amount>%s::numeric", 2)

    assert select.sql == "SELECT * FROM deals WHERE stage = $1 AND amount>$2::numeric"
    assert select.parameter_count == 2


def test_percent_signs_stay_without_placeholders(parse: Parse) -> None:
    for sql in (
        "SELECT 5 % 2",
        "SELECT 1 FROM deals WHERE stage LIKE 'a%%'",
        'SELECT \'%s\', "x%s" FROM (SELECT 1 "x%s") x',
    ):
        assert parse(sql, 0).sql == sql


def test_a_doubled_percent_sign_is_one_beside_placeholders(parse: Parse) -> None:
    assert parse("SELECT 5 %% %s::int, 'a%%'", 1).sql == "SELECT 5 % $1::int, 'a%'"


@pytest.mark.parametrize(
    "literal",
    ["'%s'", "'it''s %s'", "E'\\'%s'", "$$%s$$", "$a$ $$ %s $a$", "/* /* %s */ %s */ 1", "'a' -- %s\n", "like'%s'"],
)
def test_only_code_has_placeholders(literal: str, parse: Parse) -> None:
    prefix = "'a' " if literal.startswith("like") else ""

    assert parse(f"SELECT {prefix}{literal}, %s::int", 1).sql.endswith(", $1::int")


def test_a_modulo_of_a_column_s_is_no_placeholder(parse: Parse) -> None:
    assert parse("SELECT 5 %s FROM (SELECT 3 AS s) x", 0).sql == "SELECT 5 %s FROM (SELECT 3 AS s) x"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT $1::int", 0),
        ("SELECT $1::int", 2),
        ("SELECT $2::int", 2),
        ("SELECT $1::int, $3::int", 2),
        ("SELECT 1", 1),
        ("SELECT %s", 2),
        ("SELECT * FROM deals WHERE stage = %s AND amount = %s", 1),
        ("SELECT $0", None),
        ("SELECT $70000", None),
    ],
)
def test_placeholders_and_values_must_match(sql: str, count: int | None, codes: Codes) -> None:
    assert Code.SQL_PARAMS in codes(sql, count)


def test_without_a_count_any_placeholder_is_fine(parse: Parse) -> None:
    assert parse("SELECT $1::int, $2::int").parameter_count == 2
    assert parse("SELECT %s::int, %s::int").parameter_count == 2


@pytest.mark.parametrize(
    ("sql", "count", "wrong"),
    [
        ("SELECT 'größte Prämie €', wipe() FROM deals", None, "wipe"),
        ("SELECT 'é', amont FROM deals", None, "amont"),
        ("SELECT %s::int, %s::text, '%%', 'ü', wipe()", 2, "wipe"),
        ("SELECT '€' AS a frm deals", None, "frm deals"),
        ("  -- größer\n DELETE FROM deals", None, "DELETE"),
        ("SELECT 'é' FROM deals FOR UPDATE", None, "FOR UPDATE"),
        ("SELECT 'é'; DROP TABLE deals", None, "DROP"),
        ("SELECT 'é' AS 🙂, 'x'::regclass", None, "regclass"),
        ("SELECT %s AS a frm deals", 1, "frm deals"),
    ],
)
def test_positions_count_characters_of_the_text_as_sent(sql: str, count: int | None, wrong: str, parse: Parse) -> None:
    with pytest.raises(Refused) as refused:
        parse(sql, count)

    position = refused.value.problems[0].position
    assert position is not None
    assert sql[position:].startswith(wrong)


def test_all_problems_come_in_the_order_of_the_text(codes: Codes) -> None:
    sql = "SELECT wipe(), 'x'::regclass, amont FROM deals FOR UPDATE"

    assert codes(sql) == [Code.SQL_FUNCTION, Code.SQL_TYPE, Code.SQL_COLUMN, Code.SQL_LOCKING]


def test_a_flood_of_problems_is_cut(codes: Codes) -> None:
    assert len(codes("SELECT " + ", ".join(f"f{n}()" for n in range(1000)))) == 10
