"""The rules of a plan: what a rule pays (its scheme), for which sales (its scope), and what bends the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.money import ZERO
from commission_mcp.domain.sales import Base, Level

# The dimensions of a scope, the weightier first: payee+product > payee > territory+product > territory > product >
# role or team > any other > all. Any other dimension counts alike.
DIMENSIONS = ("payee", "territory", "product", "role", "team", "customer", "plant", "group", "object_type")


class ValueType(StrEnum):
    """How a rule's values are meant."""

    PERCENTAGE = "Percentage"  # points of the base
    FIXED = "Fixed Amount"
    OF_TARGET = "Percentage of Target"  # points of the target incentive, once per window
    TARGET_RATE = "Multiple of Target Rate"  # times target incentive / quota


class FixedBasis(StrEnum):
    """What a fixed amount is paid for."""

    PER_TRANSACTION = "per_transaction"
    PER_UNIT = "per_unit"
    PER_PERIOD = "per_period"
    PER_STEP = "per_step"  # each whole step of the window's base


class RangeType(StrEnum):
    """What decides the band."""

    AMOUNT = "Amount"
    QUANTITY = "Quantity"
    QUOTA_PERCENT = "Percentage of Quota"
    MARGIN_PERCENT = "Margin Percent"
    MARKUP_PERCENT = "Markup Percent"
    DISCOUNT_PERCENT = "Discount Percent"
    COMPANY_PORTION = "Company Portion"  # cumulative part that the company keeps
    PAYEE_PORTION = "Payee Portion"  # cumulative part that the payee receives

    @property
    def level(self) -> Level | None:
        """The percentage of a single sale that it is, if it is one."""
        return _LEVELS.get(self.value)


_LEVELS = {level.value: level for level in Level}


class Accumulation(StrEnum):
    """What is summed before bands apply."""

    TRANSACTION = "transaction"
    PERIOD = "calculation_period"
    QUARTER = "quarter"
    YEAR = "year"
    PLAN = "plan"


class AppliesTo(StrEnum):
    """What a multiplier multiplies."""

    WHOLE = "whole"  # everything, once the mark is passed
    EXCESS = "excess"  # what lies above the mark
    MARGINAL = "marginal"  # each part by the multiplier of its own band


class ThresholdMode(StrEnum):
    """What a threshold that is reached releases."""

    CLIFF = "cliff"  # everything from the first unit
    EXCESS = "excess"  # only what lies above


class NegativeBase(StrEnum):
    """What a window with more refunds than sales pays."""

    FIRST_BAND = "first_band"
    ZERO = "zero"
    CARRY = "carry"


class Below(StrEnum):
    """What a curve says below its first point."""

    ZERO = "zero"  # nothing
    HOLD = "hold"  # the first value
    ORIGIN = "from_zero"  # on a straight line from 0 at 0 to the first point


class CapPer(StrEnum):
    """What a cap or floor holds for."""

    PERIOD = "period"
    WINDOW = "window"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which sales are meant: for each dimension named, one of its values. Names nothing: all sales."""

    wanted: tuple[tuple[str, frozenset[str]], ...] = ()

    def distance(self, labels: Mapping[str, str], payee: str, parents: Mapping[str, Mapping[str, str]]) -> int | None:
        """How far up the hierarchies the match is: 0 for the very values, None for no match."""
        steps = 0
        for dimension, values in self.wanted:
            label = payee if dimension == "payee" else labels.get(dimension)
            found = _steps_up(label, values, parents.get(dimension, {}))
            if found is None:
                return None
            steps += found
        return steps

    @property
    def weight(self) -> tuple[int, ...]:
        """How particular it is; the greater goes first."""
        named = {dimension for dimension, _ in self.wanted}
        people = {"role", "team"}
        others = named - {"payee", "territory", "product"} - people
        leading = [int(dimension in named) for dimension in ("payee", "territory", "product")]
        return (*leading, int(bool(named & people)), len(others))


def _steps_up(label: str | None, values: frozenset[str], parents: Mapping[str, str]) -> int | None:
    steps = 0
    while label is not None and steps <= len(parents):
        if label in values:
            return steps
        label = parents.get(label)
        steps += 1
    return None


@dataclass(frozen=True, slots=True)
class Flat:
    """One value for everything; `by_scope` holds other values for particular sales, the more particular first."""

    value: Decimal
    by_scope: tuple[tuple[Scope, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Slab:
    """The value of the band reached, on everything (Oracle "not split", Xactly "Highest Rate", SAP "Straight")."""

    bands: Bands


@dataclass(frozen=True, slots=True)
class Tiered:
    """Each band's value on the part inside it (Oracle "step/split", SAP "Step")."""

    bands: Bands


@dataclass(frozen=True, slots=True)
class ProRata:
    """Interpolated over bands: a band's amount is paid in full when it is filled, and pro rata inside (Oracle)."""

    bands: Bands


@dataclass(frozen=True, slots=True)
class Curve:
    """Interpolated between points: the value at x lies on the straight line between its neighbours.

    Attributes:
        xs: Where the points are, ascending, in the unit of the range.
        values: What is paid there.
        marginal: Percentage only: each part by the rate at its own place, instead of everything by the rate at x.
        extrapolate: Beyond the last point the line goes on; otherwise the last value holds.
        slope: By how much the value changes for each unit beyond the last point; goes before `extrapolate`.
        below: What holds below the first point.
    """

    xs: tuple[Decimal, ...]
    values: tuple[Decimal, ...]
    marginal: bool = False
    extrapolate: bool = False
    slope: Decimal | None = None
    below: Below = Below.ZERO

    def value(self, x: Decimal) -> Decimal:
        """The value at x, by linear interpolation: v0 + (v1 - v0) * (x - x0) / (x1 - x0)."""
        if x < self.xs[0]:
            return self._below(x)
        last = len(self.xs) - 1
        upper = next((i for i, at in enumerate(self.xs) if x < at), last)
        if x >= self.xs[last] and self.slope is not None:
            return self.values[last] + self.slope * (x - self.xs[last])
        if len(self.xs) == 1 or (x >= self.xs[last] and not self.extrapolate):
            return self.values[last]
        (x0, x1), (v0, v1) = self.xs[upper - 1 : upper + 1], self.values[upper - 1 : upper + 1]
        return v0 + (v1 - v0) * (x - x0) / (x1 - x0)

    def _below(self, x: Decimal) -> Decimal:
        if self.below is Below.ORIGIN:
            return max(ZERO, self.values[0] * x / self.xs[0])
        return self.values[0] if self.below is Below.HOLD else ZERO


Scheme: TypeAlias = Flat | Slab | Tiered | ProRata | Curve


def bands_of(scheme: Scheme) -> Bands | None:
    """The bands of a table, where it has any."""
    return None if isinstance(scheme, Flat | Curve) else scheme.bands


@dataclass(frozen=True, slots=True)
class Threshold:
    """Nothing is paid before it is reached. `at` is in the unit of `measure`."""

    at: Decimal
    measure: RangeType = RangeType.AMOUNT
    mode: ThresholdMode = ThresholdMode.CLIFF


@dataclass(frozen=True, slots=True)
class TierOverride:
    """The client's uplift (`client_tier_overrides`): above `premium_threshold`, `multiplier` times the commission."""

    premium_threshold: Decimal
    multiplier: Decimal
    applies_to: AppliesTo


@dataclass(frozen=True, slots=True)
class Accelerators:
    """Multipliers by attainment; below 1 they decelerate.

    Attributes:
        bands: Multiplier for each band of the measure.
        measure: Percentage of Quota, Amount or Quantity.
        applies_to: `marginal`, `excess` (the reached band's multiplier on all above the first mark), or `whole`.
        before: Attainment is read before each sale instead of at the end of the window.
    """

    bands: Bands
    measure: RangeType = RangeType.QUOTA_PERCENT
    applies_to: AppliesTo = AppliesTo.MARGINAL
    before: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A cap or a floor: an amount in the plan's currency, or points of the target incentive."""

    at: Decimal
    of_target: bool = False
    per: CapPer = CapPer.PERIOD


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition on the window's sales in a scope, or on a measure; when it fails, the rule pays nothing.

    Attributes:
        measure: The measure that lies from `at_least` to `at_most`, both included, in its own unit.
    """

    scope: Scope
    quantity_min: Decimal | None = None
    amount_min: Decimal | None = None
    transactions_min: Decimal | None = None
    attainment_min: Decimal | None = None
    measure: str | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A second figure of a payee's window, over all the sales credited to him, whatever rule pays them.

    Attributes:
        name: What gates, modifiers, columns and the context call it.
        range_type: Amount, Quantity, Percentage of Quota, or the Margin or Markup Percent of all the sales together.
        base: What counts of a sale, for Amount and Percentage of Quota.
        scope: Of which sales.
        accumulation: Over what it is summed; None for the window of the rule that asks.
        everybody: Everybody's sales count, such as a team's.
    """

    name: str
    range_type: RangeType = RangeType.AMOUNT
    base: Base = Base.GROSS
    scope: Scope = Scope()
    accumulation: Accumulation | None = None
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Modifier:
    """What a rule pays is multiplied by, according to a measure: a multiplier for each band, or on a line."""

    measure: str
    by: Bands | Curve

    def multiplier(self, figure: Decimal) -> Decimal:
        """The multiplier at a figure of the measure."""
        return self.by.value(figure)


@dataclass(frozen=True, slots=True)
class Columns:
    """The second range of a matrix: it chooses which of several tables pays.

    Attributes:
        bands: Where the columns lie; the value of each is its number.
        schemes: The table of each column; they differ in their values only.
        measure: The measure that chooses for the window; None where each sale chooses by `level`.
        level: The percentage of each sale that chooses.
    """

    bands: Bands
    schemes: tuple[Scheme, ...]
    measure: str | None = None
    level: Level | None = None

    def index(self, figure: Decimal) -> int:
        """Which column a figure lies in, counted from 0."""
        return self.bands.index(figure)


@dataclass(frozen=True, slots=True)
class Holdback:
    """A part of what a sale earns, which is paid later.

    Attributes:
        share: The part, 0 to 1.
        event: The event of the sale that releases it, such as `payment`.
        days: Or so many days after the sale.
        months: Or the end of the calendar period of so many months (3, 6, 12) that the sale lies in.
        day: Or a day, the same for all sales.
    """

    share: Decimal
    event: str | None = None
    days: int | None = None
    months: int | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class PayoutShare:
    """A part of what a rule pays, which goes to somebody else; `share` is 0 to 1."""

    payee: str
    share: Decimal


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a pool; `weight` is his part relative to the others'."""

    payee: str
    weight: Decimal


@dataclass(frozen=True, slots=True)
class Rule:
    """What is paid for which sales.

    Attributes:
        name: For lines and steps.
        scheme: Flat, Slab, Tiered or interpolated.
        component: Rules of one component compete for a sale, the most particular one pays; components add up.
        stage: 0 for commissions, 1 for SPIFFs and bonuses, which come after rounding and total caps.
        measure: What `bands` and thresholds in amounts count: the base itself, or another.
        step: How much of the base one amount is paid for, where amounts are paid per step.
        columns: The second range, where the rule is a matrix; `scheme` is then that of its first column.
    """

    name: str
    scheme: Scheme
    value_type: ValueType = ValueType.PERCENTAGE
    fixed_basis: FixedBasis | None = None
    base: Base = Base.GROSS
    range_type: RangeType = RangeType.AMOUNT
    measure: Base = Base.GROSS
    accumulation: Accumulation = Accumulation.PERIOD
    scope: Scope = Scope()
    component: str = "commission"
    stage: int = 0
    priority: int = 0
    valid_from: date | None = None
    valid_to: date | None = None
    threshold: Threshold | None = None
    tier_override: TierOverride | None = None
    accelerators: Accelerators | None = None
    multipliers: tuple[tuple[Scope, Decimal], ...] = ()
    gates: tuple[Gate, ...] = ()
    floor: Limit | None = None
    cap: Limit | None = None
    negative_base: NegativeBase = NegativeBase.FIRST_BAND
    prorate_bands: bool = False
    rounding: Decimal | None = None
    pool: tuple[Member, ...] = ()
    modifiers: tuple[Modifier, ...] = ()
    columns: Columns | None = None
    step: Decimal | None = None
    holdback: tuple[Holdback, ...] = ()
    payout_split: tuple[PayoutShare, ...] = ()

    @property
    def measures(self) -> frozenset[str]:
        """The names of the measures that it asks."""
        gates = {gate.measure for gate in self.gates if gate.measure is not None}
        chosen = {self.columns.measure} if self.columns is not None and self.columns.measure is not None else set[str]()
        return frozenset(gates | chosen | {modifier.measure for modifier in self.modifiers})

    @property
    def bands(self) -> Bands | None:
        """Its bands, where it has any."""
        return bands_of(self.scheme)

    @property
    def banded(self) -> bool:
        """Whether a range decides what it pays."""
        return not isinstance(self.scheme, Flat)
