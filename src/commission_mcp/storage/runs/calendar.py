"""The client's calendar of periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches

from commission_mcp.domain.periods import Period, named_period
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.writing import Writing

_KINDS = {1: "month", 3: "quarter", 6: "half", 12: "year"}
_MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """A period of the calendar.

    Attributes:
        period_id: Its key, such as 2026-07.
        kind: month, quarter, half, year or pay_cycle.
        span: Its days.
        status: open, calculated, approved, paid or closed.
        stored: False where the name is understood and the calendar does not have it yet.
    """

    period_id: str
    kind: str
    span: Period
    status: str = "open"
    stored: bool = True

    @property
    def settled(self) -> bool:
        """Whether what it paid is out of the house, so that only differences can be posted."""
        return self.status in {"paid", "closed"}


async def find_period(writing: Writing, period_id: str) -> CalendarPeriod:
    """The period of this name; one that the calendar lacks, where its name says which days it has.

    Raises:
        Refused: with `E_NOT_FOUND`, naming those that there are.
    """
    row = await writing.row(
        "SELECT kind, lower(span), upper(span), status FROM cm.period WHERE client_id = %s AND period_id = %s",
        [writing.client_id, period_id],
    )
    if row is not None:
        kind, start, after, status = row
        return CalendarPeriod(period_id, kind, inclusive(start, after), status)
    span = named_period(period_id)
    if span is not None:
        months = (span.end.year - span.start.year) * _MONTHS_A_YEAR + span.end.month - span.start.month + 1
        return CalendarPeriod(period_id, _KINDS[months], span, stored=False)
    names = [str(row[0]) for row in await writing.rows(_NAMES, [writing.client_id])]
    near = get_close_matches(period_id, names, n=3, cutoff=0.5) or names[-3:]
    raise Refused(
        Problem(
            Code.NOT_FOUND,
            f"There is no period {period_id[:40]!r}.",
            f"Write a month as 2026-07, a quarter as 2026-Q3, a year as 2026; known are {', '.join(near)}, ..."
            if near
            else "Write a month as 2026-07, a quarter as 2026-Q3, a year as 2026.",
            "period",
        )
    )


async def keep_period(writing: Writing, period: CalendarPeriod) -> None:
    """Put a period into the calendar that it lacks.

    Raises:
        Refused: with `E_PERIOD`, when the calendar has other periods of its kind on these days.
    """
    if period.stored:
        return
    after = period.span.end + timedelta(days=1)
    added = await writing.execute(
        "INSERT INTO cm.period (client_id, period_id, kind, span) VALUES (%s, %s, %s, daterange(%s, %s))"
        " ON CONFLICT DO NOTHING",
        [writing.client_id, period.period_id, period.kind, period.span.start, after],
    )
    # Somebody else may have added this very one meanwhile; what he did with it is looked at next.
    same = "SELECT FROM cm.period WHERE client_id = %s AND period_id = %s"
    if not added and not await writing.execute(same, [writing.client_id, period.period_id]):
        raise Refused(
            Problem(
                Code.PERIOD,
                f"The calendar has other periods on the days of {period.period_id}.",
                "Query `periods` and name one of them.",
                "period",
            )
        )


async def settled_before(writing: Writing, period: CalendarPeriod) -> tuple[str, ...]:
    """Official runs for periods of another kind on the same days: their plans would be paid twice."""
    rows = await writing.rows(
        "SELECT DISTINCT p.period_id FROM cm.period p JOIN cm.calc_run r USING (client_id, period_id)"
        " WHERE p.client_id = %s AND p.kind <> %s AND p.span && daterange(%s, %s) ORDER BY 1",
        [writing.client_id, period.kind, period.span.start, period.span.end + timedelta(days=1)],
    )
    return tuple(str(row[0]) for row in rows)


def inclusive(start: date, after: date) -> Period:
    """A range of days as the database has it, [start, after), with both ends included."""
    return Period(start, after - timedelta(days=1))


_NAMES = "SELECT period_id FROM cm.period WHERE client_id = %s ORDER BY lower(span), period_id"
