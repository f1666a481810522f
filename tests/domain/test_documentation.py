"""Every example of docs/plans.md pays what the page says."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.money import loads
from commission_mcp.domain.parsing import parse_form

PAGE = (Path(__file__).parents[2] / "docs" / "plans.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)\n```\nPays (-?[0-9.]+)\.\n", PAGE, re.DOTALL)


@pytest.mark.parametrize(("form", "paid"), EXAMPLES)
def test_an_example_pays_what_the_page_says(form: str, paid: str) -> None:
    inputs = parse_form(loads(form))

    outcome = calculate(inputs.plan, inputs.sales, inputs.situation)

    assert outcome.total == Decimal(paid)
    assert sum(line.amount for line in outcome.lines) == outcome.total
    assert outcome.complete


def test_no_example_is_left_out() -> None:
    assert len(EXAMPLES) == PAGE.count("```json") > 25
