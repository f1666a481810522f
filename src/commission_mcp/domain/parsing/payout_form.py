"""When and to whom it is paid: holdbacks, split payouts, and the events of a sale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.parsing.parts import read_share
from commission_mcp.domain.parsing.reader import Reader, nearest
from commission_mcp.domain.rules import Holdback, PayoutShare
from commission_mcp.domain.sales import Event
from commission_mcp.errors import Code

EVENTS_MAX = 50
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PERIOD_ENDS = {"end of month": 1, "end of quarter": 3, "end of half-year": 6, "end of year": 12}


def read_holdback(reader: Reader) -> tuple[Holdback, ...]:
    """`holdback`: {percentage, until} or a list of them; `until` is an event, {days}, or the end of a period."""
    found: list[Holdback] = []
    for row in reader.one_or_many("holdback"):
        points = row.factor("percentage")
        if points is None and not row.has("percentage"):
            row.missing("percentage", "Give the points of the commission that are held back, such as 20.")
        part = _until(row, (points or ZERO) / HUNDRED)
        row.finish()
        if part is not None:
            found.append(part)
    if sum((part.share for part in found), ZERO) > ONE:
        reader.refuse(
            Code.NUMBER, "holdback", "More than 100 % is held back.", "Let the percentages add up to at most 100."
        )
    return tuple(found)


def _until(row: Reader, share: Decimal) -> Holdback | None:
    if isinstance(row.raw("until"), dict):
        inner = Reader(row.raw("until"), row.at("until"), row.collected)
        days = inner.count("days")
        if not inner.has("days"):
            inner.missing("days", "Give the days after the sale, such as 90.")
        inner.finish()
        return None if days is None else Holdback(share, days=days)
    until = row.text("until")
    if until is not None and _DAY.fullmatch(until):
        day = row.day("until")
        return None if day is None else Holdback(share, day=day)
    if until is None:
        if not row.has("until"):
            row.missing(
                "until",
                'Say what releases it: an event of the sale ("payment"), {"days": 90}, a day, or "end of quarter".',
            )
        return None
    months = _PERIOD_ENDS.get(until.lower())
    if months is None and until.lower().startswith("end of"):
        allowed = ", ".join(repr(name) for name in _PERIOD_ENDS)
        row.refuse(
            Code.UNKNOWN,
            "until",
            f"{until[:60]!r} is no end of a period.",
            f"{nearest(until, _PERIOD_ENDS)}Allowed are: {allowed}.",
        )
        return None
    return Holdback(share, months=months) if months is not None else Holdback(share, event=until)


def read_payout_split(reader: Reader) -> tuple[PayoutShare, ...]:
    """`payout_split`: [{payee, share}]: who gets which part of what is paid; the rest stays with the credited payee."""
    found: list[PayoutShare] = []
    for row in reader.many("payout_split"):
        payee, share = row.text("payee"), read_share(row, "share")
        for name in ("payee", "share"):
            if not row.has(name):
                row.missing(name, 'Name the `payee` and the `share` in points ("30") or as a fraction ("1/3").')
        row.finish()
        if payee is not None and share is not None:
            found.append(PayoutShare(payee, share))
    if sum((part.share for part in found), ZERO) > ONE:
        reader.refuse(Code.NUMBER, "payout_split", "The shares are above 100 %.", "Let them add up to at most 100.")
    if len({part.payee for part in found}) < len(found):
        reader.refuse(Code.DUPLICATE, "payout_split", "A payee is named twice.", "Add the shares up.")
    return tuple(found)


def read_events(reader: Reader) -> tuple[Event, ...]:
    """`events`: {name: date}, {name: true} for with the sale, or {name: [{date, percentage}]} for parts."""
    inner = reader.one("events")
    if inner is None:
        return ()
    return tuple(event for name in inner.names() for event in _events(inner, name))


def _events(inner: Reader, name: str) -> Iterator[Event]:
    value = inner.raw(name)
    if isinstance(value, bool):
        yield from (Event(name),) if value else ()
    elif isinstance(value, list):
        parts = [_part(row, name) for row in inner.many(name, EVENTS_MAX)]
        if sum((part.share for part in parts), ZERO) > ONE:
            inner.refuse(Code.NUMBER, name, "The parts are above 100 %.", "Let them add up to at most 100.")
        yield from parts
    else:
        day = inner.day(name)
        yield from (Event(name, ONE, day),) if day is not None else ()


def _part(row: Reader, name: str) -> Event:
    day, points = row.day("date"), row.factor("percentage")
    if not row.has("percentage"):
        row.missing("percentage", "Give the points of the sale that this part is, such as 50.")
    row.finish()
    return Event(name, (points or ZERO) / HUNDRED, day)


def payouts_of_sale(row: Reader) -> tuple[tuple[str, Decimal], ...]:
    """`payout_split` of a sale, which goes before that of a rule."""
    return tuple((part.payee, part.share) for part in read_payout_split(row))
