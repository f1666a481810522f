from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.search.words import plain_number, words


def told(text: str, language: str = "en") -> list[str]:
    return [word for word, _ in words(text, language)]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1577", "1577"),
        ("1,577", "1577"),
        ("1,577.50", "1577.5"),
        ("1.577,50", "1577.5"),
        ("12.345.678", "12345678"),
        ("1,000,000.00", "1000000"),
        ("7.5", "7.5"),
        ("7,5", "7.5"),
        ("7.50", "7.5"),
        ("5.0", "5"),
        ("0.05", "0.05"),
        ("1.577", "1.577"),  # one dot is a decimal point
        ("3.2.1", "3.2.1"),  # a section's number stays
        ("10", "10"),
        ("2018", "2018"),
    ],
)
def test_a_number_has_one_form_however_it_is_written(written: str, plain: str) -> None:
    assert plain_number(written) == plain
    assert list(words(written)) == [(plain, True)]


def test_numbers_inside_signs_are_found_and_told_from_words() -> None:
    assert list(words("7.5% of $1,577 (2018)")) == [("7.5", True), ("1577", True), ("2018", True)]
    assert list(words("Q4 3M FY2018")) == [("q4", False), ("3m", False), ("fy2018", False)]


def test_words_are_compared_without_case_accents_endings_and_possessives() -> None:
    assert told("Commissions, COMMISSION\u2019s résumés") == ["commiss", "commiss", "resum"]
    assert told("don't they'll l'équipe") == ["don", "l", "equip"]


def test_stop_words_are_left_out() -> None:
    assert told("What is the rate of the bonus?") == ["rate", "bonus"]


def test_other_languages_have_their_own_stems() -> None:
    assert told("Provisionen", "de") == told("Provision", "de")
    assert told("commissioni", "xx") == told("commissioni", "en")


def test_scripts_without_spaces_are_searched_by_pairs() -> None:
    assert told("第4四半期の賞与") == ["第", "4", "四半", "半期", "期の", "の賞", "賞与"]
    assert set(told("賞与")) <= set(told("第4四半期の賞与"))


@given(st.text(max_size=300))
def test_any_text_gives_the_same_words_again(text: str) -> None:
    """Nothing crashes, no word is empty, and words do not depend on what was read before."""
    once = told(text)

    assert all(once)
    assert told(text) == once
