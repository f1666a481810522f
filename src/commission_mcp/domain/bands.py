"""Bands of a rate table. Only the floors are stored, so a gap or an overlap cannot be written down."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from commission_mcp.domain.money import ZERO


class Boundary(StrEnum):
    """To which band a value exactly on a cut belongs."""

    UPPER_INCLUSIVE = "upper_inclusive"  # (floor, next floor]: the lower band
    LOWER_INCLUSIVE = "lower_inclusive"  # [floor, next floor): the upper band


@dataclass(frozen=True, slots=True)
class Bands:
    """Adjacent bands from 0 upwards, each with a value; below 0 the first band goes on.

    Attributes:
        floors: Where each band begins: ascending, the first is 0. Major units, units of quantity, or percent.
        values: What each band pays: points, an amount, or a multiplier.
        boundary: Which band a value on a cut belongs to.
        ceiling: Where the last band ends and nothing more counts; None when it is open.
    """

    floors: tuple[Decimal, ...]
    values: tuple[Decimal, ...]
    boundary: Boundary = Boundary.UPPER_INCLUSIVE
    ceiling: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what is no table of bands; parsing never builds such a one."""
        edges = (*self.floors, *(() if self.ceiling is None else (self.ceiling,)))
        ascending = all(low < high for low, high in pairwise(edges))
        if not self.floors or self.floors[0] != ZERO or not ascending or len(self.floors) != len(self.values):
            raise ValueError("bands begin at 0, ascend, and have one value each")

    @property
    def cuts(self) -> tuple[Decimal, ...]:
        """Where the value changes, the ceiling included."""
        return (*self.floors[1:], *(() if self.ceiling is None else (self.ceiling,)))

    def index(self, x: Decimal) -> int:
        """Which band `x` lies in, counted from 0."""
        find = bisect_left if self.boundary is Boundary.UPPER_INCLUSIVE else bisect_right
        return find(self.floors, x, lo=1) - 1

    def value(self, x: Decimal) -> Decimal:
        """What the band of `x` pays; nothing beyond the ceiling."""
        return ZERO if self.ceiling is not None and x > self.ceiling else self.values[self.index(x)]

    def edge(self, index: int) -> Decimal | None:
        """Where band `index` ends; None when it is open."""
        return self.floors[index + 1] if index + 1 < len(self.floors) else self.ceiling

    def scaled(self, factor: Decimal) -> Bands:
        """The same bands with all cuts multiplied by a positive factor, such as quota / 100."""
        ceiling = None if self.ceiling is None else self.ceiling * factor
        return Bands(tuple(floor * factor for floor in self.floors), self.values, self.boundary, ceiling)
