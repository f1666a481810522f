"""Kinds of commission arithmetic that are published and taught, each in the inline form and to the cent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.money import loads
from commission_mcp.domain.parsing import parse_form

KINDS = [
    cast("dict[str, Any]", loads(line))
    for line in (Path(__file__).parent / "kinds.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind["kind"] for kind in KINDS])
def test_a_kind_pays_to_the_cent(kind: dict[str, Any]) -> None:
    inputs = parse_form(kind["form"])

    outcome = calculate(inputs.plan, inputs.sales, inputs.situation)

    assert (str(outcome.total), outcome.complete) == (kind["pays"], True)
    assert sum(line.amount for line in outcome.lines) == outcome.total


def test_no_kind_is_there_twice() -> None:
    assert len({json.dumps(kind["form"]) for kind in KINDS}) == len({kind["kind"] for kind in KINDS}) == len(KINDS)
