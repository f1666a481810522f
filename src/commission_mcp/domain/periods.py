"""Calendar periods: which period, quarter or year a business date lies in, and how much of it somebody was active."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

_MONTHS_A_YEAR = 12
_YEAR = re.compile(r"(\d{4})", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


class Schedule(StrEnum):
    """How often commissions are calculated or paid."""

    PER_TRANSACTION = "Per Transaction"
    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"
    QUARTERLY = "Quarterly"
    HALF_YEARLY = "Half-Yearly"
    YEARLY = "Yearly"

    @property
    def months(self) -> int:
        """The length in months; 0 when it is shorter than a month."""
        return {"Monthly": 1, "Quarterly": 3, "Half-Yearly": 6, "Yearly": _MONTHS_A_YEAR}.get(self.value, 0)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A span of days, both ends included."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days + 1

    @property
    def name(self) -> str:
        """`2026-07` for a month, `2026-Q3`, `2026`, or both dates."""
        if self == months_around(self.start, 1):
            return f"{self.start:%Y-%m}"
        if self == months_around(self.start, 3):
            return f"{self.start.year}-Q{self.start.month // 3 + 1}"
        if self == months_around(self.start, _MONTHS_A_YEAR):
            return str(self.start.year)
        return f"{self.start.isoformat()}..{self.end.isoformat()}"

    def __contains__(self, day: date) -> bool:
        """Whether the day lies in it."""
        return self.start <= day <= self.end

    def overlap_days(self, start: date | None, end: date | None) -> int:
        """How many of its days lie from `start` to `end`, both included; None is open."""
        first, last = max(self.start, start or self.start), min(self.end, end or self.end)
        return max(0, (last - first).days + 1)

    def active_share(self, start: date | None, end: date | None) -> Decimal:
        """The share of its days from `start` to `end`: actual days over actual days, 0 to 1."""
        return Decimal(self.overlap_days(start, end)) / self.days


def months_around(day: date, months: int) -> Period:
    """The calendar period of that many months (1, 3, 6, 12) that a day lies in."""
    first = (day.month - 1) // months * months + 1
    start = date(day.year, first, 1)
    return Period(start, _after(start, months))


def period_of(day: date, schedule: Schedule) -> Period:
    """The calculation period that a day lies in; weeks begin on Monday."""
    if schedule.months:
        return months_around(day, schedule.months)
    if schedule is Schedule.WEEKLY:
        monday = day.toordinal() - day.weekday()
        return Period(date.fromordinal(max(1, monday)), date.fromordinal(min(date.max.toordinal(), monday + 6)))
    return Period(day, day)


def next_day(day: date) -> date | None:
    """The day after; None after the last day of the calendar."""
    return None if day == date.max else day + timedelta(days=1)


def business_date(moment: datetime, zone: tzinfo) -> date:
    """The date on which something happened for a client: its own time zone decides, never UTC.

    Args:
        moment: With its offset, as the source system wrote it.
        zone: The client's time zone.
    """
    return moment.astimezone(zone).date()


def named_period(text: str) -> Period | None:
    """The period that `2026`, `2026-Q3` or `2026-07` names."""
    if (match := _MONTH.fullmatch(text)) and match[1] != "0000":
        return months_around(date(int(match[1]), int(match[2]), 1), 1)
    if (match := _QUARTER.fullmatch(text)) and match[1] != "0000":
        return months_around(date(int(match[1]), 3 * int(match[2]), 1), 3)
    if (match := _YEAR.fullmatch(text)) and match[1] != "0000":
        return months_around(date(int(match[1]), 1, 1), _MONTHS_A_YEAR)
    return None


def _after(start: date, months: int) -> date:
    month = start.month + months
    year = start.year + (month - 1) // _MONTHS_A_YEAR
    if year > date.max.year:
        return date.max
    return date(year, (month - 1) % _MONTHS_A_YEAR + 1, 1) - timedelta(days=1)
