"""Which version of a plan counts on which days.

On each day the newest version counts whose dates include it, of those that are or were active. Two exceptions let
people change their mind: a version that begins on the very day of an older one replaces it altogether, and a newer
version that lasts at least as long as an older one ends that one for good on the day before (`ended_by`). What is
replaced or ended does not come back; what is only interrupted counts again when the interruption is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """Days on which a version counts, or is meant to.

    Attributes:
        start: The first.
        end: The last; None is open.
        version: The number of the version.
    """

    start: date
    end: date | None
    version: int

    @property
    def last(self) -> date:
        """The last day, for comparing."""
        return date.max if self.end is None else self.end

    def covers(self, day: date) -> bool:
        """Whether the day lies in it."""
        return self.start <= day <= self.last


def ended_by(new: Stretch, older: Sequence[Stretch]) -> list[Stretch]:
    """The older versions as a newer one leaves them: those that it outlasts end on the day before it begins."""
    return [
        replace(one, end=new.start - _DAY) if one.start < new.start <= one.last <= new.last else one for one in older
    ]


def days_in_force(versions: Iterable[Stretch]) -> list[Stretch]:
    """The days on which each version counts, in their order; a version may have several stretches, or none.

    Args:
        versions: Every version that is or was active, with its own dates.
    """
    listed = list(versions)
    newest = {one.start: max(other.version for other in listed if other.start == one.start) for one in listed}
    counting = [one for one in listed if newest[one.start] == one.version]
    starts = {one.start for one in counting}
    starts |= {one.end + _DAY for one in counting if one.end is not None and one.end < date.max}
    found: list[Stretch] = []
    for start, following in _pairs(sorted(starts)):
        version = max((one.version for one in counting if one.covers(start)), default=None)
        if version is None:
            continue
        end = None if following is None else following - _DAY
        if found and found[-1].version == version and found[-1].end == start - _DAY:
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(Stretch(start, end, version))
    return found


def gaps(stretches: Sequence[Stretch]) -> list[tuple[date, date]]:
    """The days between stretches, on which no version counts; first and last of each gap."""
    ordered = sorted(stretches)
    return [
        (before.last + _DAY, after.start - _DAY)
        for before, after in pairwise(ordered)
        if before.last < after.start - _DAY
    ]


def _pairs(days: Sequence[date]) -> list[tuple[date, date | None]]:
    return [*pairwise(days), *((last, None) for last in days[-1:])]
