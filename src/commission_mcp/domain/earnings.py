"""What one rule earns in one window: thresholds, bands, overrides, accelerators, floor and cap, in that order.

All amounts are exact; nothing is rounded here. Each sale is cut where it crosses a mark (a band's edge, a threshold, an
accelerator), each part is priced by where it lies, and the parts of a sale add up to it. For Tiered this gives
sum r_i * max(0, min(x, U_i) - L_i); for Slab r(x) * x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from commission_mcp.domain.axes import Axis, axis, bands_on_base, crossings, middle
from commission_mcp.domain.bands import Bands
from commission_mcp.domain.entries import Entry, Setting, axis_base, main_range, pays_once
from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.outcome import Part
from commission_mcp.domain.rules import (
    AppliesTo,
    CapPer,
    Curve,
    FixedBasis,
    Flat,
    Gate,
    Limit,
    NegativeBase,
    ProRata,
    RangeType,
    Rule,
    Scheme,
    Slab,
    ThresholdMode,
    Tiered,
    ValueType,
    bands_of,
)
from commission_mcp.domain.sales import Base

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Earning:
    """What a rule earns in a window, exactly.

    Attributes:
        parts: For each entry, its parts.
        amounts: For each entry, the sum of its parts, after a cap for each transaction.
        once: What is paid for the window as a whole.
        limited: What floor (positive) or cap (negative) add.
        reached: Where the window ends on the rule's range, in the unit of its table.
        why_nothing: Why the rule pays nothing, where a condition fails.
        base_total: Sum of the base, with what was carried into the window.
    """

    parts: tuple[tuple[Part, ...], ...]
    amounts: tuple[Decimal, ...]
    once: Decimal = ZERO
    limited: Decimal = ZERO
    reached: Decimal = ZERO
    why_nothing: str = ""
    base_total: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The sum, exact."""
        return sum(self.amounts, ZERO) + self.once + self.limited


def evaluate(rule: Rule, entries: Sequence[Entry], setting: Setting) -> Earning:
    """What the rule earns on these entries, which are in order and all of one window."""
    window = _Window(rule, entries, setting)
    total = setting.carried + sum((entry.figures.get(rule.base, ZERO) for entry in entries), ZERO)
    reason = window.why_closed()
    if reason:
        nothing = tuple(() for _ in entries)
        return Earning(nothing, tuple(ZERO for _ in entries), why_nothing=reason, base_total=total)
    pricing = _Pricing(window)
    parts = tuple(pricing.parts(i) for i in range(len(entries)))
    amounts = tuple(_capped(rule, sum((part.amount for part in own), ZERO), setting) for own in parts)
    once = pricing.once()
    limited = limited_by(rule, CapPer.WINDOW, sum(amounts, ZERO) + once, setting)
    return Earning(parts, amounts, once, limited, window.main.total, base_total=total)


def limit_amount(limit: Limit, setting: Setting) -> Decimal:
    """A cap or floor as an amount."""
    return limit.at * (setting.target or ZERO) / HUNDRED if limit.of_target else limit.at


def _capped(rule: Rule, amount: Decimal, setting: Setting) -> Decimal:
    """A sale's amount within the floor and cap for each transaction; what a refund takes back is not limited."""
    if amount < ZERO:
        return amount
    if rule.floor is not None and rule.floor.per is CapPer.TRANSACTION:
        amount = max(amount, limit_amount(rule.floor, setting))
    if rule.cap is not None and rule.cap.per is CapPer.TRANSACTION:
        amount = min(amount, limit_amount(rule.cap, setting))
    return amount


def limited_by(rule: Rule, per: CapPer, total: Decimal, setting: Setting) -> Decimal:
    """What the floor and then the cap that hold for `per` change."""
    limited = total
    if rule.floor is not None and rule.floor.per is per:
        limited = max(limited, limit_amount(rule.floor, setting))
    if rule.cap is not None and rule.cap.per is per:
        limited = min(limited, limit_amount(rule.cap, setting))
    return limited - total


def combine(earnings: Sequence[Earning]) -> Earning:
    """Windows of a single transaction each, taken together."""
    return Earning(
        tuple(part for earning in earnings for part in earning.parts),
        tuple(amount for earning in earnings for amount in earning.amounts),
        sum((earning.once for earning in earnings), ZERO),
        sum((earning.limited for earning in earnings), ZERO),
        earnings[-1].reached,
        "; ".join(sorted({earning.why_nothing for earning in earnings if earning.why_nothing})),
        earnings[-1].base_total,
    )


class _Window:
    """A rule's entries with their places on every range that the rule uses."""

    def __init__(self, rule: Rule, entries: Sequence[Entry], setting: Setting) -> None:
        self.rule = rule
        self.entries = entries
        self.setting = setting
        self._axes: dict[RangeType, Axis] = {}
        self.main = self.on(main_range(rule)) if rule.banded or _places(rule) else Axis([], [], ZERO)

    def on(self, range_type: RangeType) -> Axis:
        """The places on a range."""
        if range_type not in self._axes:
            self._axes[range_type] = axis(self.rule, self.entries, self.setting, range_type)
        return self._axes[range_type]

    def why_closed(self) -> str:
        """Why the rule pays nothing at all, or nothing."""
        threshold = self.rule.threshold
        if threshold is not None and threshold.mode is ThresholdMode.CLIFF:
            places = self.on(threshold.measure)
            if places.total < threshold.at * places.scale:
                return "the threshold is not reached"
        return "" if all(self._open(gate) for gate in self.rule.gates) else "a condition of the rule is not met"

    def _open(self, gate: Gate) -> bool:
        if gate.measure is not None and not _inside(gate, self.setting.measures.get(gate.measure)):
            return False
        parents = self.setting.parents or {}
        inside = [e for e in self.entries if gate.scope.distance(e.labels, e.payee, parents) is not None]
        if gate.attainment_min is not None:
            places = self.on(RangeType.QUOTA_PERCENT)
            if places.total < gate.attainment_min * places.scale:
                return False
        wanted = (
            (gate.quantity_min, Base.UNITS),
            (gate.amount_min, self.rule.base),
        )
        for least, base in wanted:
            if least is not None and sum((entry.figures[base] for entry in inside), ZERO) < least:
                return False
        return gate.transactions_min is None or len(inside) >= gate.transactions_min


def _inside(gate: Gate, figure: Decimal | None) -> bool:
    """Whether a measure lies where a gate asks it to."""
    if figure is None:
        return False
    enough = gate.at_least is None or figure >= gate.at_least
    return enough and (gate.at_most is None or figure <= gate.at_most)


def _places(rule: Rule) -> bool:
    """Whether the rule places sales on a range though it has no bands."""
    return rule.threshold is not None or rule.accelerators is not None


class _Pricing:
    """Prices the parts of entries by where they lie."""

    def __init__(self, window: _Window) -> None:
        self._window = window
        self._rule = window.rule
        self._setting = window.setting
        self._bands = self._banded(self._rule.bands)
        self._by_column = self._columns()
        self._accelerated = self._acceleration()
        self._marks = self._all_marks()
        self._rate = self._rates()

    def parts(self, entry: int) -> tuple[Part, ...]:
        """The parts of one entry."""
        if pays_once(self._rule):
            return ()
        whole = self._base(self._window.entries[entry])
        spans = crossings(entry, self._marks)
        return tuple(self._part(entry, span, whole) for span in spans)

    def once(self) -> Decimal:
        """What is paid for the window as a whole."""
        if not pays_once(self._rule) or not self._asked_once():
            return ZERO
        value = self._value_once()
        if self._rule.value_type is ValueType.OF_TARGET:
            value = value * (self._setting.target or ZERO) / HUNDRED
        elif self._rule.step is None:
            value = value * self._setting.active_share
        return value * self._factor_once()

    def _asked_once(self) -> bool:
        """Whether there is anything to pay for: a sale, a stated attainment, or a flat part of a target incentive."""
        flat = isinstance(self._rule.scheme, Flat) and self._rule.value_type is ValueType.OF_TARGET
        return bool(self._window.entries) or self._setting.attainment is not None or flat

    def _part(self, entry: int, span: tuple[Decimal, Decimal], whole: Decimal) -> Part:
        at = middle(span)
        base = whole * (span[1] - span[0])
        band, rate = self._rate(entry, at)
        factor = self._factor(entry, at) if rate else ONE
        if not self._pays(entry, at):
            rate = ZERO
        return Part(base, rate, factor, band, base * rate * factor * self._unit_of_rate())

    def _unit_of_rate(self) -> Decimal:
        """What turns a rate into money for one unit of the base."""
        if self._rule.value_type is ValueType.PERCENTAGE:
            return _HUNDREDTH
        if self._rule.value_type is ValueType.TARGET_RATE:
            return (self._setting.target or ZERO) / (self._setting.quota or ONE)
        return ONE

    def _base(self, entry: Entry) -> Decimal:
        """What of an entry is multiplied."""
        if isinstance(self._rule.scheme, ProRata):
            return entry.figures[axis_base(self._rule, self._rule.range_type)]
        if self._rule.fixed_basis is FixedBasis.PER_TRANSACTION:
            return entry.weight
        return entry.figures[Base.UNITS if self._rule.fixed_basis is FixedBasis.PER_UNIT else self._rule.base]

    def _banded(self, bands: Bands | None) -> Bands | None:
        """Bands of the rule, on the axis of its range."""
        scale = self._window.main.scale
        return None if bands is None else bands_on_base(self._rule, bands).scaled(scale) if scale else bands

    def _columns(self) -> tuple[tuple[Scheme, Bands | None], ...]:
        """What each column of a matrix pays by, where each sale chooses its own."""
        columns = self._rule.columns
        schemes = () if columns is None or columns.level is None else columns.schemes
        return tuple((scheme, self._banded(bands_of(scheme))) for scheme in schemes)

    def _acceleration(self) -> Bands | None:
        accelerators = self._rule.accelerators
        if accelerators is None:
            return None
        return accelerators.bands.scaled(self._window.on(accelerators.measure).scale or ONE)

    def _all_marks(self) -> list[tuple[Axis, Sequence[Decimal]]]:
        """Where the price of a sale can change inside it, on each axis."""
        rule, window = self._rule, self._window
        if pays_once(rule) or rule.fixed_basis is FixedBasis.PER_TRANSACTION:
            return []
        marks: list[tuple[Axis, Sequence[Decimal]]] = []
        if self._bands is not None and self._bands.cuts:
            slab_cuts = (self._bands.ceiling,) if self._bands.ceiling is not None else ()
            marks.append((window.main, slab_cuts if isinstance(rule.scheme, Slab) else self._bands.cuts))
        if rule.threshold is not None and rule.threshold.mode is ThresholdMode.EXCESS:
            places = window.on(rule.threshold.measure)
            marks.append((places, (rule.threshold.at * places.scale,)))
        if rule.tier_override is not None and rule.tier_override.applies_to is not AppliesTo.WHOLE:
            marks.append((window.on(RangeType.AMOUNT), (rule.tier_override.premium_threshold,)))
        if rule.negative_base is not NegativeBase.FIRST_BAND:
            marks.append((window.on(RangeType.AMOUNT), (ZERO,)))
        marks += self._accelerator_marks()
        marks += self._curve_marks()
        return marks

    def _accelerator_marks(self) -> list[tuple[Axis, Sequence[Decimal]]]:
        accelerators = self._rule.accelerators
        if accelerators is None or self._accelerated is None or accelerators.before:
            return []
        cuts = {AppliesTo.MARGINAL: self._accelerated.cuts, AppliesTo.EXCESS: self._accelerated.cuts[:1]}
        return [(self._window.on(accelerators.measure), cuts.get(accelerators.applies_to, ()))]

    def _curve_marks(self) -> list[tuple[Axis, Sequence[Decimal]]]:
        scheme = self._rule.scheme
        if not isinstance(scheme, Curve) or not scheme.marginal:
            return []
        return [(self._window.main, tuple(x * self._window.main.scale for x in scheme.xs))]

    def _rates(self) -> Callable[[int, Decimal], tuple[int | None, Decimal]]:
        """The function that gives the band and rate of an entry at a fraction of it."""
        match self._rule.scheme:
            case Flat():
                return self._flat_rate
            case Slab():
                return self._slab_rate
            case Tiered():
                return self._tiered_rate
            case ProRata():
                return self._pro_rata_rate
            case Curve():
                return self._curve_rate

    def _flat_rate(self, entry: int, _: Decimal) -> tuple[int | None, Decimal]:
        scheme, item = self._scheme(entry), self._window.entries[entry]
        if not isinstance(scheme, Flat):
            raise TypeError("not a flat rule")
        parents = self._setting.parents or {}
        for scope, value in scheme.by_scope:
            if scope.distance(item.labels, item.payee, parents) is not None:
                return None, value
        return None, scheme.value

    def _slab_rate(self, entry: int, at: Decimal) -> tuple[int | None, Decimal]:
        bands = self._need_bands(entry)
        band = bands.index(self._window.main.reached(entry))
        over = bands.ceiling is not None and self._window.main.at(entry, at) > bands.ceiling
        return band, ZERO if over else bands.values[band]

    def _tiered_rate(self, entry: int, at: Decimal) -> tuple[int | None, Decimal]:
        bands = self._need_bands(entry)
        per_transaction = self._rule.fixed_basis is FixedBasis.PER_TRANSACTION
        place = self._window.main.at(entry, ONE if per_transaction else at)
        return bands.index(place), bands.value(place)

    def _pro_rata_rate(self, entry: int, at: Decimal) -> tuple[int | None, Decimal]:
        bands = self._need_bands(entry)
        place = self._window.main.at(entry, at)
        band = bands.index(place)
        edge = bands.edge(band)
        if edge is None or (bands.ceiling is not None and place > bands.ceiling):
            return band, ZERO
        return band, bands.values[band] / (edge - bands.floors[band])

    def _curve_rate(self, entry: int, at: Decimal) -> tuple[int | None, Decimal]:
        scheme, main = self._scheme(entry), self._window.main
        if not isinstance(scheme, Curve):
            raise TypeError("not a curve")
        # The mean rate over a stretch without corners is the rate in its middle.
        place = main.at(entry, at) if scheme.marginal else main.reached(entry)
        return None, scheme.value(place / main.scale if main.scale else place)

    def _scheme(self, entry: int) -> Scheme:
        """The table of an entry: the rule's, or that of the entry's own column."""
        return self._by_column[self._window.entries[entry].column][0] if self._by_column else self._rule.scheme

    def _need_bands(self, entry: int | None = None) -> Bands:
        chosen = (
            self._by_column[self._window.entries[entry].column][1] if self._by_column and entry is not None else None
        )
        bands = chosen or self._bands
        if bands is None:
            raise TypeError("a rule without bands")
        return bands

    def _pays(self, entry: int, at: Decimal) -> bool:
        """Whether a part lies above an excess threshold, and not below 0 where that pays nothing."""
        rule, window = self._rule, self._window
        if rule.threshold is not None and rule.threshold.mode is ThresholdMode.EXCESS:
            places = window.on(rule.threshold.measure)
            if places.at(entry, at) <= rule.threshold.at * places.scale:
                return False
        return rule.negative_base is NegativeBase.FIRST_BAND or window.on(RangeType.AMOUNT).at(entry, at) >= ZERO

    def _factor(self, entry: int, at: Decimal) -> Decimal:
        """The product of all multipliers of a part."""
        factor = self._setting.modifier
        item, parents = self._window.entries[entry], self._setting.parents or {}
        for scope, multiplier in self._rule.multipliers:
            if scope.distance(item.labels, item.payee, parents) is not None:
                factor *= multiplier
        override = self._rule.tier_override
        if override is not None:
            places = self._window.on(RangeType.AMOUNT)
            place = places.total if override.applies_to is AppliesTo.WHOLE else places.at(entry, at)
            factor *= override.multiplier if place > override.premium_threshold else ONE
        return factor * self._acceleration_at(entry, at)

    def _acceleration_at(self, entry: int, at: Decimal) -> Decimal:
        accelerators, bands = self._rule.accelerators, self._accelerated
        if accelerators is None or bands is None:
            return ONE
        places = self._window.on(accelerators.measure)
        if accelerators.before:
            return bands.value(places.starts[entry])
        if accelerators.applies_to is AppliesTo.WHOLE:
            return bands.value(places.reached(entry))
        place = places.at(entry, at)
        if accelerators.applies_to is AppliesTo.EXCESS and bands.index(place) > 0:
            return bands.value(places.reached(entry))
        return bands.value(place)

    def _factor_once(self) -> Decimal:
        """The multipliers of an amount for the window as a whole: by what the window reaches."""
        factor = self._setting.modifier
        override = self._rule.tier_override
        if override is not None and self._window.on(RangeType.AMOUNT).total > override.premium_threshold:
            factor *= override.multiplier
        accelerators, bands = self._rule.accelerators, self._accelerated
        if accelerators is not None and bands is not None:
            factor *= bands.value(self._window.on(accelerators.measure).total)
        return factor

    def _steps(self) -> Decimal:
        """How many whole steps of the base are reached, where amounts are paid for steps; else 1."""
        if self._rule.step is None:
            return ONE
        total = sum((entry.figures[self._rule.base] for entry in self._window.entries), ZERO)
        threshold = self._rule.threshold
        if threshold is not None and threshold.mode is ThresholdMode.EXCESS:
            places = self._window.on(threshold.measure)
            total -= threshold.at * places.scale
        return max(ZERO, total) // self._rule.step

    def _value_once(self) -> Decimal:
        """The value of the window: of its band, of every band entered, or on the curve."""
        scheme, main = self._rule.scheme, self._window.main
        if isinstance(scheme, Flat):
            return scheme.value * self._steps()
        if isinstance(scheme, Curve):
            return scheme.value(main.total / main.scale if main.scale else main.total)
        bands = self._need_bands()
        if isinstance(scheme, Tiered):
            return sum(bands.values[: bands.index(main.total) + 1], ZERO)
        return bands.values[bands.index(main.total)]
