"""What a rule pays at telling places: at 0, at every cut and just above it, and at twice the last cut.

Tiered and Slab are not words that everybody reads the same way, so both are always shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.explanation import band_text, number, rate_text
from commission_mcp.domain.money import HUNDRED, ONE, ZERO, exact, minor_unit, plain
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Curve, FixedBasis, Flat, RangeType, Rule, Scope, Slab, Tiered, ValueType
from commission_mcp.domain.sales import Base, Fact, Facts, Sale, Situation

ASSUMED_QUOTA = Decimal(100_000)
ASSUMED_TARGET = Decimal(20_000)
ASSUMED_PRICE = Decimal(100)  # of a unit, where tiers count units and rates are paid on their price
_PLAIN_PLACES = (ZERO, Decimal(1_000), Decimal(100_000))
_ROWS_MAX = 101


@dataclass(frozen=True, slots=True)
class WorkedRow:
    """What is paid at one place; amounts as text in the plan's currency."""

    at: str
    pays: str
    sibling_pays: str | None


@dataclass(frozen=True, slots=True)
class WorkedRule:
    """A rule, worked.

    Attributes:
        category: Flat, Slab, Tiered or Interpolated.
        sibling: The other reading of the same table, where there is one.
        unit: What the places are counted in.
        tiers: The bands in words, each with what it pays.
        assumed: What was taken for granted to have numbers.
        most: The most that any row pays; None where nothing ends it.
    """

    name: str
    category: str
    sibling: str | None
    unit: str
    tiers: tuple[str, ...]
    rows: tuple[WorkedRow, ...]
    assumed: str
    most: Decimal | None


def worked_rules(plan: Plan) -> tuple[WorkedRule, ...]:
    """Every rule of a plan, worked for one payee and one period."""
    with exact():
        return tuple(_worked(plan, own) for rule in plan.rules for own in _each_column(rule))


def _each_column(rule: Rule) -> list[Rule]:
    """The rule itself, or one for each column of a matrix."""
    columns = rule.columns
    if columns is None:
        return [rule]
    of = columns.measure or str(columns.level)
    return [
        replace(rule, name=f"{rule.name}, {of} {band_text(columns.bands, index)}", scheme=scheme, columns=None)
        for index, scheme in enumerate(columns.schemes)
    ]


def exposure(plan: Plan, rules: Sequence[WorkedRule], multiplier: Decimal = ONE) -> Decimal | None:
    """The most that one payee can be seen to get for one period: every rule at its highest worked amount or its cap.

    None where no table and no cap gives a measure, such as one rate on everything.

    Args:
        plan: The plan.
        rules: Its rules, worked.
        multiplier: The largest that an assignment's override key brings.
    """
    if plan.total_cap is not None and not plan.total_cap.of_target and not plan.overrides:
        return plan.total_cap.at
    most = [rule.most for rule in rules]
    known = [amount for amount in most if amount is not None]
    whole = len(known) == len(most) and not plan.overrides
    return sum(known, ZERO) * max(multiplier, ONE) if whole else None


def _worked(plan: Plan, rule: Rule) -> WorkedRule:
    bare = replace(rule, scope=Scope(), gates=(), pool=(), multipliers=(), modifiers=(), valid_from=None, valid_to=None)
    bare = replace(bare, holdback=(), payout_split=())
    places = _places(plan, rule)
    sibling = _sibling(bare)
    paid = [_paid(plan, bare, at) for at in places]
    others = None if sibling is None else [_paid(plan, sibling, at) for at in places]
    rows = tuple(
        WorkedRow(plain(at), _text(plan, amount), None if others is None else _text(plan, others[index]))
        for index, (at, amount) in enumerate(zip(places, paid, strict=True))
    )
    return WorkedRule(
        name=rule.name,
        category=_category(rule),
        sibling=None if sibling is None else _category(sibling),
        unit=_unit(plan, rule),
        tiers=_tiers(rule),
        rows=rows,
        assumed=_assumed(plan, rule),
        most=_most(rule, paid),
    )


def _places(plan: Plan, rule: Rule) -> list[Decimal]:
    cuts = list(rule.bands.cuts) if rule.bands is not None else []
    if isinstance(rule.scheme, Curve):
        cuts = [at for at in rule.scheme.xs if at > ZERO]
    if not cuts:
        return list(_PLAIN_PLACES)
    step = ONE if rule.range_type is RangeType.QUANTITY else minor_unit(plan.currency)
    if rule.range_type not in {RangeType.AMOUNT, RangeType.QUANTITY}:
        step = minor_unit("USD")
    places = {ZERO, cuts[-1] * 2} | set(cuts) | {cut + step for cut in cuts}
    return sorted(places)[:_ROWS_MAX]


def _sibling(rule: Rule) -> Rule | None:
    """The same table, read the other way."""
    if rule.range_type.level is not None or rule.range_type in {RangeType.COMPANY_PORTION, RangeType.PAYEE_PORTION}:
        return None
    if isinstance(rule.scheme, Tiered):
        return replace(rule, scheme=Slab(rule.scheme.bands))
    return replace(rule, scheme=Tiered(rule.scheme.bands)) if isinstance(rule.scheme, Slab) else None


def _paid(plan: Plan, rule: Rule, at: Decimal) -> Decimal | None:
    """What the rule alone pays; None where it cannot be told."""
    alone = Plan(plan.name, plan.currency, (rule,), plan.schedule)
    situation = Situation(quotas=Facts((Fact(ASSUMED_QUOTA),)), targets=Facts((Fact(ASSUMED_TARGET),)))
    outcome = calculate(alone, [_sale(rule, at)], situation)
    return outcome.total if outcome.complete else None


def _sale(rule: Rule, at: Decimal) -> Sale:
    """A sale that lies at a place of the rule's range."""
    figure, quantity = at, at
    if rule.range_type is RangeType.QUANTITY:
        figure = at * ASSUMED_PRICE
    elif rule.range_type is RangeType.QUOTA_PERCENT:
        figure = quantity = at * ASSUMED_QUOTA / HUNDRED
    elif rule.range_type.level is not None:
        return _sale_at_level(rule.range_type, at)
    return Sale(
        "#1",
        gross=figure,
        net=figure,
        margin=figure,
        bookings=figure,
        cash=figure,
        quantity=ONE if rule.base is not Base.UNITS and rule.fixed_basis is FixedBasis.PER_TRANSACTION else quantity,
    )


def _sale_at_level(level: RangeType, at: Decimal) -> Sale:
    price = ASSUMED_QUOTA
    margin = {
        RangeType.MARGIN_PERCENT: price * at / HUNDRED,
        RangeType.MARKUP_PERCENT: price * at / (HUNDRED + at),
    }.get(level, price)
    return Sale(
        "#1", gross=price, net=price, margin=margin, bookings=price, cash=price, quantity=ONE, discount_percent=at
    )


def _category(rule: Rule) -> str:
    kind = type(rule.scheme).__name__
    return kind if kind in {"Flat", "Slab", "Tiered"} else "Interpolated"


def _unit(plan: Plan, rule: Rule) -> str:
    if isinstance(rule.scheme, Flat):
        return "units" if rule.base is Base.UNITS or rule.fixed_basis is FixedBasis.PER_UNIT else plan.currency
    units = {RangeType.AMOUNT: plan.currency, RangeType.QUANTITY: "units", RangeType.QUOTA_PERCENT: "% of quota"}
    return units.get(rule.range_type, rule.range_type.value)


def _tiers(rule: Rule) -> tuple[str, ...]:
    if rule.bands is not None:
        bands = rule.bands
        return tuple(f"{band_text(bands, i)}: {rate_text(rule, paid)}" for i, paid in enumerate(bands.values))
    if isinstance(rule.scheme, Curve):
        points = zip(rule.scheme.xs, rule.scheme.values, strict=True)
        return tuple(f"at {number(at)}: {rate_text(rule, paid)}" for at, paid in points)
    return (f"everything: {rate_text(rule, rule.scheme.value)}",) if isinstance(rule.scheme, Flat) else ()


def _assumed(plan: Plan, rule: Rule) -> str:
    parts: list[str] = []
    if rule.range_type is RangeType.QUOTA_PERCENT:
        parts.append(f"a quota of {number(ASSUMED_QUOTA)}")
    if rule.value_type in {ValueType.OF_TARGET, ValueType.TARGET_RATE}:
        parts.append(f"a target incentive of {number(ASSUMED_TARGET)} {plan.currency}")
    if rule.range_type is RangeType.QUANTITY and rule.value_type is ValueType.PERCENTAGE:
        parts.append(f"{number(ASSUMED_PRICE)} {plan.currency} a unit")
    if rule.range_type.level is not None:
        parts.append(f"a sale of {number(ASSUMED_QUOTA)} {plan.currency}")
    if rule.scope.wanted or rule.gates or rule.multipliers:
        parts.append("sales in the rule's scope, without multipliers of particular sales")
    if rule.modifiers or rule.holdback or rule.payout_split:
        parts.append("no modifier, and everything paid at once to the payee")
    return " and ".join(parts)


def _most(rule: Rule, paid: Sequence[Decimal | None]) -> Decimal | None:
    if rule.cap is not None and not rule.cap.of_target:
        return rule.cap.at
    known = [amount for amount in paid if amount is not None]
    whole = len(known) == len(paid) and not isinstance(rule.scheme, Flat) and rule.accelerators is None
    return max(known) if whole and not rule.multipliers and not rule.modifiers and known else None


def _text(plan: Plan, amount: Decimal | None) -> str:
    places = max(0, -int(minor_unit(plan.currency).as_tuple().exponent))
    return "" if amount is None else f"{amount:.{places}f}"
