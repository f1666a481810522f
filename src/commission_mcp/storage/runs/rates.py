"""The client's exchange rates of a span of days."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from commission_mcp.domain.money import ONE
from commission_mcp.domain.periods import Period
from commission_mcp.storage.writing import Writing


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates by pair of currencies: the first day, the day after the last (None is open) and the rate of each."""

    by_pair: Mapping[tuple[str, str], Sequence[tuple[date, date | None, Decimal]]]

    def on(self, source: str, target: str, day: date) -> Decimal | None:
        """What one unit of the source is in the target on a day; None where nobody has stated it."""
        if source == target:
            return ONE
        spans = self.by_pair.get((source, target), ())
        place = bisect_right(spans, day, key=lambda span: span[0]) - 1
        if place < 0:
            return None
        _, after, rate = spans[place]
        return rate if after is None or day < after else None


async def load_rates(writing: Writing, span: Period) -> Rates:
    """The rates that hold on days of a span."""
    rows = await writing.rows(
        "SELECT from_currency, to_currency, coalesce(lower(span), '0001-01-01'), upper(span), rate FROM cm.fx_rate"
        " WHERE client_id = %s AND span && daterange(%s, %s, '[]') ORDER BY 1, 2, 3",
        [writing.client_id, span.start, span.end],
    )
    by_pair: dict[tuple[str, str], list[tuple[date, date | None, Decimal]]] = {}
    for source, target, start, after, rate in rows:
        by_pair.setdefault((source, target), []).append((start, after, rate))
    return Rates(by_pair)
