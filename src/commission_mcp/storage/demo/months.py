"""The calendar of the demo: whole months, and how far each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

SALES_FROM, SALES_TO = date(2024, 7, 1), date(2026, 6, 30)
CALENDAR_TO = date(2026, 12, 31)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar."""

    year: int
    number: int

    @property
    def period_id(self) -> str:
        """The key of the period, such as 2026-07."""
        return f"{self.year}-{self.number:02}"

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, self.number, 1)

    @property
    def after(self) -> date:
        """The day after the last."""
        return Month(self.year + self.number // 12, self.number % 12 + 1).first

    @property
    def last(self) -> date:
        """The last day."""
        return self.after - timedelta(days=1)


def month_of(day: date) -> Month:
    """The month of a day."""
    return Month(day.year, day.month)


def months(first: date, last: date) -> Iterator[Month]:
    """The months from one day to another."""
    month = month_of(first)
    while month.first <= last:
        yield month
        month = month_of(month.after)


def half_open(first: date, last: date | None) -> str:
    """A range of days as the database writes it."""
    return f"[{first},{'' if last is None else last + timedelta(days=1)})"


def status(month: Month) -> str:
    """How far the month is: sales end with June 2026, which is calculated, and the months before it are paid."""
    calculated = month_of(SALES_TO)
    approved = Month(calculated.year, calculated.number - 1)
    if month > calculated:
        return "open"
    if month == calculated:
        return "calculated"
    return "approved" if month == approved else "paid"
