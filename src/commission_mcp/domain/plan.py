"""A commission plan: its rules, and what happens to their sum before it is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.money import HUNDRED, ONE
from commission_mcp.domain.periods import Schedule
from commission_mcp.domain.rules import Limit, Measure, Rule, Scope
from commission_mcp.domain.sales import Base


class Proration(StrEnum):
    """How quotas and amounts per period shrink with the active part of a period."""

    NONE = "none"
    ACTUAL = "actual"  # active days / days of the period
    THIRTY = "30"  # active days / (30 a month)


class OverrideOf(StrEnum):
    """What a manager's override is a percentage of."""

    REVENUE = "revenue"
    COMMISSION = "commission"
    OVERRIDE = "override"  # what the overrides before it pay to others: a chain


@dataclass(frozen=True, slots=True)
class Draw:
    """An advance on commissions, for each calculation period, in the plan's currency.

    Attributes:
        recovery_percent: How much of what is earned above the draw goes into paying back, in points.
    """

    amount: Decimal
    recoverable: bool
    recovery_percent: Decimal = HUNDRED


@dataclass(frozen=True, slots=True)
class Override:
    """What a manager earns on the sales or commissions of others.

    Attributes:
        manager: Who earns it.
        payees: On whose; empty means everybody else's.
        of: Revenue (credited base of the sales) or commission (rounded lines of the rules).
        percentage: Points.
        base: What counts of a sale, for revenue.
        first: Only the first so many commissions of each report count.
        already_counted: How many of them were counted before this calculation.
        cap: At most this much for each period.
        level: Instead of one manager, everybody's own: 1 for the manager, 2 for the manager's manager.
    """

    manager: str
    of: OverrideOf
    percentage: Decimal
    payees: tuple[str, ...] = ()
    base: Base = Base.GROSS
    first: int | None = None
    already_counted: int = 0
    cap: Decimal | None = None
    name: str = "override"
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """For whom the plan is; a sale that no assignment matches earns nothing.

    Attributes:
        scope: Territory, product, payee and so on.
        priority: The lower goes first between equally particular ones.
        bands: Bands of its own, in place of the rule's.
        override_key: The client's own key, which stands for a priority and a multiplier.
        multiplier: What that key multiplies the commission by.
    """

    scope: Scope
    priority: int = 0
    bands: Bands | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    override_key: str | None = None
    multiplier: Decimal = ONE


@dataclass(frozen=True, slots=True)
class Plan:
    """A commission plan in force from `valid_from` to `valid_to`, both included; amounts are in `currency`.

    Attributes:
        total_floor: At least this much of commissions for each payee and period.
        total_cap: At most this much, before SPIFFs and bonuses.
        draw: The advance, if any.
        base_salary: Paid for each calculation period beside the commissions.
        clawback_schedule: Points taken back by how long a lost sale had lasted.
        payment_schedule: How often what was earned is paid; None with every calculation.
        object_type: Which documents count, where sales say what they are.
        measures: Second figures that gates, modifiers and columns ask.
    """

    name: str
    currency: str
    rules: tuple[Rule, ...]
    schedule: Schedule = Schedule.MONTHLY
    valid_from: date | None = None
    valid_to: date | None = None
    assignments: tuple[Assignment, ...] = ()
    proration: Proration = Proration.NONE
    total_floor: Limit | None = None
    total_cap: Limit | None = None
    overrides: tuple[Override, ...] = ()
    clawback_schedule: Bands | None = None
    draw: Draw | None = None
    base_salary: Decimal | None = None
    payment_schedule: Schedule | None = None
    object_type: str | None = None
    measures: tuple[Measure, ...] = ()
