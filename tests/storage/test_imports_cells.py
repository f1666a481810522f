from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.storage.imports import cells
from commission_mcp.storage.imports.cells import Fault, Shares

SIX_DECIMALS = st.decimals(min_value=-(10**13), max_value=10**13, places=6, allow_nan=False, allow_infinity=False)


@given(SIX_DECIMALS)
def test_a_number_keeps_its_value(amount: Decimal) -> None:
    read = cells.number(f"{amount:f}")

    assert isinstance(read, str)
    assert Decimal(read) == amount


@given(SIX_DECIMALS)
def test_what_was_read_is_read_the_same_again(amount: Decimal) -> None:
    read = cells.number(f"{amount:f}")

    assert isinstance(read, str)
    assert cells.number(read) == read


@given(st.text(max_size=30))
def test_a_number_is_read_as_decimal_digits_or_refused_with_a_reason(text: str) -> None:
    read = cells.number(text)

    if isinstance(read, Fault):
        assert read.message
        assert read.fix
    else:
        assert text.isascii()
        assert Decimal(read) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [("12", "12"), ("+12.50", "12.50"), ("-0012.5", "-12.5"), ("-0.00", "0.00"), ("1.2000000", "1.200000")],
)
def test_a_number_has_one_form(text: str, read: str) -> None:
    assert cells.number(text) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,234.50", "thousands separators"),
        ("1,234,567", "thousands separators"),
        ("1 234.50", "thousands separator"),
        ("1\u00a0234", "thousands separator"),
        ("1'234.50", "thousands separator"),
        ("1,234", "could separate thousands or decimals"),
        ("1234,5", "decimal comma"),
        ("1.234,50", "decimal comma"),
        ("1e5", "exponent"),
        ("$12", "currency"),
        ("12 USD", "currency"),
        ("12%", "percent"),
        ("(12.50)", "parentheses"),
        ("NaN", "not an amount"),
        ("-Infinity", "not an amount"),
        (".5", "no digit"),
        ("\u221212", "typographic minus"),
        ("\u0661\u0662", "not a number"),
        ("--1", "not a number"),
        ("1.2345678", "7 decimals"),
        ("123456789012345", "out of range"),
    ],
)
def test_a_number_in_another_form_is_refused_with_the_reason_and_what_was_read(text: str, reason: str) -> None:
    fault = cells.number(text)

    assert isinstance(fault, Fault)
    assert reason in fault.message
    assert cells.shown(text) in fault.message
    assert fault.fix


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31)))
def test_an_iso_day_is_read_as_it_is(day: date) -> None:
    assert cells.day(day.isoformat()) == day.isoformat()


@given(st.text(max_size=30))
def test_a_day_is_an_iso_day_or_refused(text: str) -> None:
    read = cells.day(text)

    assert isinstance(read, Fault) or date.fromisoformat(text).isoformat() == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01/02/2026", "ambiguous"),
        ("31.01.2026", "does not start with the year"),
        ("2026-01-31T10:00", "time of day"),
        ("2026-01-31 10:00:00", "time of day"),
        ("2026-02-30", "not a day of the calendar"),
        ("20260131", "not a date"),
        ("2026-W05-1", "not a date"),
        ("46053", "day number"),
        ("0026-01-31", "out of range"),
    ],
)
def test_a_day_in_another_form_is_refused_with_the_reason(text: str, reason: str) -> None:
    fault = cells.day(text)

    assert isinstance(fault, Fault)
    assert reason in fault.message


def test_credits_are_fractions_that_sum_to_exactly_one() -> None:
    assert cells.shares("b:0.4; a:0.6") == Shares(("a", "b"), ("0.6", "0.4"))
    assert cells.shares("x:y:1") == Shares(("x:y",), ("1",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a:0.5;b:0.4", "sums to 0.9, not 1"),
        ("a:0.333333;b:0.333333;c:0.333333", "sums to 0.999999"),
        ("a:0.5;a:0.5", "twice"),
        ("a", "not a payee and a fraction"),
        ("a:50%;b:50%", "not a payee and a fraction"),
        ("a:1.5;b:-0.5", "not a payee and a fraction"),
        (";", "sums to 0"),
    ],
)
def test_credits_that_do_not_add_up_are_refused(text: str, reason: str) -> None:
    fault = cells.shares(text)

    assert isinstance(fault, Fault)
    assert reason in fault.message


def test_thirds_are_written_with_twelve_decimals() -> None:
    assert isinstance(cells.shares("a:0.333333333333;b:0.333333333333;c:0.333333333334"), Shares)


def test_words_of_a_choice_and_flags_may_be_in_any_case() -> None:
    assert cells.choice("Sales Orders")("sales orders") == "Sales Orders"
    assert cells.flag("YES") == "true"
    assert isinstance(cells.flag("maybe"), Fault)


def test_text_is_one_visible_line() -> None:
    assert cells.text("Müller & Söhne") == "Müller & Söhne"
    assert isinstance(cells.text("two\nlines"), Fault)
    assert isinstance(cells.text("bell\x07"), Fault)
    assert isinstance(cells.text("x" * 1001), Fault)
