"""A payee's credited sales as a rule sees them, and the figures of the window they are summed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from commission_mcp.domain.money import ONE, ZERO
from commission_mcp.domain.rules import FixedBasis, NegativeBase, RangeType, Rule, ValueType
from commission_mcp.domain.sales import Base, Sale
from commission_mcp.errors import Code


@dataclass(frozen=True, slots=True)
class Entry:
    """One sale credited to one payee under one rule.

    Attributes:
        sale: The sale; refunds of it are netted into the figures.
        payee: Who is credited.
        share: The credited part of the sale.
        figures: What counts, for each base the rule needs: in the plan's currency, or units; after the credit share.
        level: The percentage that chooses the band, where the range is one.
        labels: What rules can select by: the sale's, and the payee's role and team.
        weight: 1 for a sale, -1 for a negative one: what a fixed amount per transaction counts.
        column: Which column of a matrix it is paid by, where each sale chooses.
    """

    sale: Sale
    payee: str
    share: Decimal
    figures: Mapping[Base, Decimal]
    labels: Mapping[str, str]
    level: Decimal | None = None
    weight: Decimal = ONE
    column: int = 0

    @property
    def order(self) -> tuple[date, str]:
        """Transactions are taken by date, then by sale id."""
        return (self.sale.date or date.min, self.sale.sale_id)


@dataclass(frozen=True, slots=True)
class Setting:
    """The figures of one window of one payee.

    Attributes:
        quota: Prorated; in the unit that the range counts.
        target: Target incentive, prorated; in the plan's currency.
        before: What had been accumulated before the first sale.
        attainment: In percent, where it is stated.
        active_share: The active part of the window, for amounts per period; 0 to 1.
        carried: A negative base from the window before, or 0.
        parents: The hierarchies, by dimension.
        measures: The figures of the measures that the rule asks, by name.
        modifier: The product of the rule's modifiers.
    """

    quota: Decimal | None = None
    target: Decimal | None = None
    before: Decimal = ZERO
    attainment: Decimal | None = None
    active_share: Decimal = ONE
    carried: Decimal = ZERO
    parents: Mapping[str, Mapping[str, str]] | None = None
    measures: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    modifier: Decimal = ONE


def axis_base(rule: Rule, range_type: RangeType) -> Base:
    """What positions on a range of this type count."""
    if range_type is RangeType.QUANTITY:
        return Base.UNITS
    return rule.base if range_type in {RangeType.COMPANY_PORTION, RangeType.PAYEE_PORTION} else rule.measure


def main_range(rule: Rule) -> RangeType:
    """The range that `base_before` is stated on: the bands', else the accelerators', else the threshold's."""
    if rule.banded:
        return rule.range_type
    if rule.accelerators is not None:
        return rule.accelerators.measure
    return RangeType.AMOUNT if rule.threshold is None else rule.threshold.measure


def pays_once(rule: Rule) -> bool:
    """Whether the rule pays an amount for the window as a whole, not for each sale."""
    return rule.value_type is ValueType.OF_TARGET or rule.fixed_basis in {FixedBasis.PER_PERIOD, FixedBasis.PER_STEP}


def bases_needed(rule: Rule) -> frozenset[Base]:
    """Which figures of a sale the rule cannot do without."""
    needed = {axis_base(rule, kind) for kind in _ranges(rule)}
    by_base = rule.value_type in {ValueType.PERCENTAGE, ValueType.TARGET_RATE} or rule.step is not None
    if by_base or _gate_amounts(rule):
        needed.add(rule.base)
    units = rule.fixed_basis is FixedBasis.PER_UNIT or any(gate.quantity_min is not None for gate in rule.gates)
    return frozenset(needed | ({Base.UNITS} if units else set()))


def uses_quota(rule: Rule) -> bool:
    """Whether the rule cannot do without a quota."""
    gated = any(gate.attainment_min is not None for gate in rule.gates)
    return gated or rule.value_type is ValueType.TARGET_RATE or RangeType.QUOTA_PERCENT in _ranges(rule)


def uses_target(rule: Rule) -> bool:
    """Whether the rule cannot do without a target incentive."""
    limited = any(limit is not None and limit.of_target for limit in (rule.cap, rule.floor))
    return limited or rule.value_type in {ValueType.OF_TARGET, ValueType.TARGET_RATE}


def _gate_amounts(rule: Rule) -> bool:
    return any(gate.amount_min is not None for gate in rule.gates)


def _ranges(rule: Rule) -> Iterable[RangeType]:
    """The ranges on which the rule places sales."""
    if rule.range_type.level is None and rule.banded:
        yield rule.range_type
    if rule.threshold is not None:
        yield rule.threshold.measure
    if rule.tier_override is not None or rule.negative_base is not NegativeBase.FIRST_BAND:
        yield RangeType.AMOUNT
    if rule.accelerators is not None:
        yield rule.accelerators.measure
    if any(gate.attainment_min is not None for gate in rule.gates):
        yield RangeType.QUOTA_PERCENT


def figures(sale: Sale, share: Decimal, needed: Iterable[Base]) -> dict[Base, Decimal] | Code:
    """What counts of a credited sale, or which fact is missing."""
    found: dict[Base, Decimal] = {}
    for base in needed:
        value = sale.base(base)
        if isinstance(value, Code):
            return value
        found[base] = value if share == ONE else value * share
    return found
