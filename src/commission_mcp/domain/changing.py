"""A plan with all its rates changed alike: by per cent of themselves, or by points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.money import HUNDRED, ONE, RATE_DECIMALS_MAX, ZERO, exact, plain
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import Curve, Flat, Rule, Scheme, ValueType
from commission_mcp.errors import Code, Problem, Refused

_CHANGE = re.compile(r"([+-])\s?([0-9]{1,6}(?:\.[0-9]{1,8})?)\s?(%|pt|pts|point|points)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to every rate: it is multiplied by `factor`, then `points` are added."""

    factor: Decimal = ONE
    points: Decimal = ZERO

    def of(self, rate: Decimal) -> Decimal:
        """The changed rate, exact to the decimals that rates have."""
        with exact():
            return round(rate * self.factor + self.points, RATE_DECIMALS_MAX)


def read_change(text: str) -> Change:
    """A change in words: `+10%` multiplies every rate by 1.10, `+1pt` adds one point to every percentage.

    Raises:
        Refused: with `E_NUMBER`, saying how to write it.
    """
    match = _CHANGE.fullmatch(text.strip().lower())
    if match is None:
        raise Refused(
            Problem(
                Code.NUMBER,
                f"{text[:40]!r} is no change.",
                'Write "+10%" to multiply rates (5 becomes 5.5) or "+1pt" to add points (5 becomes 6).',
                "change",
            )
        )
    amount = Decimal(match[2]) * (1 if match[1] == "+" else -1)
    return Change(factor=ONE + amount / HUNDRED) if match[3] == "%" else Change(points=amount)


def changed(plan: Plan, change: Change) -> Plan:
    """The plan with its commissions changed; SPIFFs and bonuses stay as they are.

    Points are added to percentages only; a plan without any cannot be changed by points.

    Raises:
        Refused: with `E_NEGATIVE` where a rate would fall below 0, or `E_FIELD_FORBIDDEN`.
    """
    if change.points and not any(_in_points(rule) for rule in plan.rules if rule.stage == 0):
        raise Refused(
            Problem(
                Code.FIELD_FORBIDDEN,
                "The plan has no percentages that points could be added to.",
                'Change it by per cent, such as "+10%".',
                "change",
            )
        )
    rules = tuple(_rule(rule, change) for rule in plan.rules)
    alike = not change.points or all(_in_points(rule) for rule in plan.rules if rule.stage == 0)
    assignments = tuple(_assignment(found, change) if alike else found for found in plan.assignments)
    below = [rate for rule in rules for rate in rates(rule) if rate < ZERO]
    if below:
        raise Refused(
            Problem(
                Code.NEGATIVE,
                f"A rate would become {plain(min(below))}, which is below 0.",
                "Change the plan by less.",
                "change",
            )
        )
    return replace(plan, rules=rules, assignments=assignments)


def rates(rule: Rule) -> Iterator[Decimal]:
    """Every value that a rule pays, in order."""
    for scheme in (rule.scheme,) if rule.columns is None else rule.columns.schemes:
        if isinstance(scheme, Flat):
            yield scheme.value
            yield from (value for _, value in scheme.by_scope)
        else:
            yield from scheme.values if isinstance(scheme, Curve) else scheme.bands.values


def _in_points(rule: Rule) -> bool:
    return rule.value_type in {ValueType.PERCENTAGE, ValueType.OF_TARGET}


def _rule(rule: Rule, change: Change) -> Rule:
    if rule.stage or (change.points and not _in_points(rule)):
        return rule
    columns = rule.columns
    if columns is not None:
        columns = replace(columns, schemes=tuple(_scheme(scheme, change) for scheme in columns.schemes))
    return replace(rule, scheme=_scheme(rule.scheme, change), columns=columns)


def _scheme(scheme: Scheme, change: Change) -> Scheme:
    match scheme:
        case Flat():
            scoped = tuple((scope, change.of(value)) for scope, value in scheme.by_scope)
            return Flat(change.of(scheme.value), scoped)
        case Curve():
            slope = scheme.slope if scheme.slope is None or change.points else change.of(scheme.slope)
            return replace(scheme, values=tuple(change.of(value) for value in scheme.values), slope=slope)
        case _:
            return replace(scheme, bands=_bands(scheme.bands, change))


def _bands(bands: Bands, change: Change) -> Bands:
    return replace(bands, values=tuple(change.of(value) for value in bands.values))


def _assignment(assignment: Assignment, change: Change) -> Assignment:
    return assignment if assignment.bands is None else replace(assignment, bands=_bands(assignment.bands, change))
