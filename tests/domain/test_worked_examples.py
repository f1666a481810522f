"""The published examples, each written in the inline form and paid to the cent."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.money import loads
from commission_mcp.domain.parsing import parse_form

_HERE = Path(__file__).parent
PUBLISHED = {
    example["id"]: example
    for line in (_HERE / "worked_examples.jsonl").read_text(encoding="utf-8").splitlines()
    for example in [cast("dict[str, Any]", json.loads(line))]
}
INLINE = cast("dict[str, object]", loads((_HERE / "worked_examples_inline.json").read_text(encoding="utf-8")))
# Published as what they are not: money.
NOT_MONEY = {"masters-goal-day15": "a quota in units", "oracle-notsplit-rate-60000": "a rate in percent"}
EXPECTED = {
    id_: example["recomputed"]
    for id_, example in PUBLISHED.items()
    if example["status"].startswith("consistent") and example["unit"] == "money"
}


@pytest.mark.parametrize("example", EXPECTED)
def test_a_published_example_is_paid_to_the_cent(example: str) -> None:
    inputs = parse_form(INLINE[example])

    outcome = calculate(inputs.plan, inputs.sales, inputs.situation)

    assert outcome.total == Decimal(EXPECTED[example])
    assert outcome.complete
    assert sum(line.amount for line in outcome.lines) == outcome.total


def test_every_consistent_example_about_money_is_expressed() -> None:
    assert set(INLINE) == set(EXPECTED)


def test_the_other_consistent_examples_are_not_about_money() -> None:
    others = {id_ for id_, example in PUBLISHED.items() if example["status"].startswith("consistent")} - set(EXPECTED)

    assert others == set(NOT_MONEY)
