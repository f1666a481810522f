"""Where sales lie on a range: each one moves the accumulated figure from its start to its end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.entries import Entry, Setting, axis_base, main_range
from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.rules import RangeType, Rule

_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Axis:
    """The places of all entries on one range.

    Attributes:
        starts: What was accumulated before each entry.
        ends: What is accumulated with it.
        total: What is accumulated in the end.
        scale: What a cut in the unit of the table is multiplied by to lie on this axis (quota / 100 for percent).
        still: Every entry stays at one place of its own: a percentage of the sale, or a stated attainment.
    """

    starts: Sequence[Decimal]
    ends: Sequence[Decimal]
    total: Decimal
    scale: Decimal = ONE
    still: bool = False

    def at(self, entry: int, fraction: Decimal) -> Decimal:
        """The place of an entry after that fraction of it, 0 to 1."""
        start, end = self.starts[entry], self.ends[entry]
        return start if start == end else start + (end - start) * fraction

    def reached(self, entry: int) -> Decimal:
        """The place that decides for an entry as a whole."""
        return self.ends[entry] if self.still else self.total

    def fractions(self, entry: int, cuts: Sequence[Decimal]) -> list[Decimal]:
        """At which fractions of an entry it crosses the cuts, which are ascending and on this axis."""
        start, end = self.starts[entry], self.ends[entry]
        low, high = (start, end) if start <= end else (end, start)
        inside = cuts[bisect_right(cuts, low) : bisect_left(cuts, high)]
        return [(cut - start) / (end - start) for cut in inside]


def axis(rule: Rule, entries: Sequence[Entry], setting: Setting, range_type: RangeType) -> Axis:
    """The places of the entries on a range of this type."""
    if range_type.level is not None:
        levels = [ZERO if entry.level is None else entry.level for entry in entries]
        return Axis(levels, levels, levels[-1] if levels else ZERO, still=True)
    if range_type is RangeType.QUOTA_PERCENT and setting.attainment is not None:
        same = [setting.attainment] * len(entries)
        return Axis(same, same, setting.attainment, still=True)
    base = axis_base(rule, range_type)
    begin = setting.carried if base is rule.base else ZERO
    if base is axis_base(rule, main_range(rule)):
        begin += before_on_base(rule, setting.before)
    ends: list[Decimal] = []
    place = begin
    for entry in entries:
        place += entry.figures[base]
        ends.append(place)
    scale = (setting.quota or ZERO) / HUNDRED if range_type is RangeType.QUOTA_PERCENT else ONE
    if range_type is RangeType.AMOUNT and rule.prorate_bands:
        scale = setting.active_share
    return Axis([begin, *ends[:-1]], ends, place, scale)


def crossings(entry: int, marks: Sequence[tuple[Axis, Sequence[Decimal]]]) -> list[tuple[Decimal, Decimal]]:
    """The parts of an entry between the cuts that it crosses, as fractions from 0 to 1."""
    inside = [fraction for where, cuts in marks for fraction in where.fractions(entry, cuts)]
    if not inside:
        return [(ZERO, ONE)]
    return list(pairwise(sorted({ZERO, ONE, *inside})))


def middle(part: tuple[Decimal, Decimal]) -> Decimal:
    """A fraction strictly inside a part: its band is the part's band, whatever the boundary says."""
    return (part[0] + part[1]) * _HALF


def bands_on_base(rule: Rule, bands: Bands) -> Bands:
    """Bands of the company's or the payee's portion, laid out on the base itself.

    In a band at r % the company keeps (100 - r) % of the base and the payee receives r %; a width w of that portion
    takes w / (1 - r/100), or w / (r/100), of the base (Brokermint "sliding scale"). A portion that does not grow is
    never left.
    """
    if rule.range_type not in {RangeType.COMPANY_PORTION, RangeType.PAYEE_PORTION}:
        return bands
    floors = [ZERO]
    for index, (low, high) in enumerate(pairwise(bands.floors)):
        growth = _growth(rule, bands.values[index])
        if growth <= ZERO:
            break
        floors.append(floors[-1] + (high - low) / growth)
    return Bands(tuple(floors), bands.values[: len(floors)], bands.boundary)


def before_on_base(rule: Rule, before: Decimal) -> Decimal:
    """Where the figure accumulated before lies on the base."""
    bands = rule.bands
    if bands is None or rule.range_type not in {RangeType.COMPANY_PORTION, RangeType.PAYEE_PORTION}:
        return before
    laid = bands_on_base(rule, bands)
    index = min(bands.index(before), len(laid.floors) - 1)
    growth = _growth(rule, bands.values[index])
    return laid.floors[index] + ((before - bands.floors[index]) / growth if growth > ZERO else ZERO)


def _growth(rule: Rule, rate: Decimal) -> Decimal:
    """How much the portion grows with each unit of the base."""
    return (rate if rule.range_type is RangeType.PAYEE_PORTION else HUNDRED - rate) / HUNDRED
