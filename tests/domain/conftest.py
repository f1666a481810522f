"""How the tests of the engine state a calculation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import pytest

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.parsing import parse_form
from commission_mcp.errors import Problem, Refused

Pay: TypeAlias = Callable[..., Outcome]
Refusals: TypeAlias = Callable[..., list[tuple[str, str]]]


def form(rules: object, sales: object, context: object = None, **plan: object) -> dict[str, object]:
    """A form; one rule or several, and sales as amounts or objects."""
    listed = cast("list[object]", rules) if isinstance(rules, list) else [rules]
    return {"plan": {"rules": listed, **plan}, "sales": sales, "context": {} if context is None else context}


def calculated(stated: object) -> Outcome:
    """What a form pays."""
    inputs = parse_form(stated)
    return calculate(inputs.plan, inputs.sales, inputs.situation)


@pytest.fixture(scope="session")
def pay() -> Pay:
    """Calculates; lines that do not sum to the total fail every test."""

    def run(rules: object, sales: Sequence[object], context: object = None, **plan: object) -> Outcome:
        rows = [cast("object", sale) if isinstance(sale, dict) else {"amount": str(sale)} for sale in sales]
        outcome = calculated(form(rules, rows, context, **plan))
        assert sum(line.amount for line in outcome.lines) == outcome.total
        return outcome

    return run


@pytest.fixture(scope="session")
def refusals() -> Refusals:
    """The codes and paths with which a form is refused."""

    def run(
        rules: object, sales: Sequence[object] = (), context: object = None, **plan: object
    ) -> list[tuple[str, str]]:
        try:
            parse_form(form(rules, list(sales), context, **plan))
        except Refused as refused:
            return [_told(problem) for problem in refused.problems]
        return []

    return run


@pytest.fixture(scope="session")
def warnings_of() -> Refusals:
    """The codes and paths of the warnings of a form that is accepted."""

    def run(
        rules: object, sales: Sequence[object] = (), context: object = None, **plan: object
    ) -> list[tuple[str, str]]:
        return [_told(problem) for problem in parse_form(form(rules, list(sales), context, **plan)).warnings]

    return run


def _told(problem: Problem) -> tuple[str, str]:
    return str(problem.code), problem.path
