from __future__ import annotations

from pathlib import Path

import pytest

from commission_mcp.errors import Code, Problem, Refused

PUBLISHED = Path(__file__).with_name("published_codes.txt")


def test_published_codes_stay() -> None:
    """A program that matches a code must not break: codes are added, never renamed or taken away."""
    published = PUBLISHED.read_text("utf-8").split()

    assert [code for code in published if code not in set(Code)] == []
    assert [code for code in Code if code not in published] == [], "add new codes to published_codes.txt"


def test_a_problem_says_code_place_message_and_fix() -> None:
    problem = Problem(Code.SQL_COLUMN, "There is no column `x`.", "Did you mean `y`?", "sql", 7)

    assert str(problem) == "E_SQL_COLUMN (sql) (at character 7): There is no column `x`. Fix: Did you mean `y`?"


def test_a_refusal_needs_a_problem() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Refused()
