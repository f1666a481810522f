"""How what a window earns is parted: what is held back until later, and what goes to others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from commission_mcp.domain.claims import Claim
from commission_mcp.domain.money import ONE, ZERO
from commission_mcp.domain.periods import Period, Schedule, months_around, period_of
from commission_mcp.domain.rules import Holdback, PayoutShare, Rule


def held_share(rule: Rule, claim: Claim, period: Period, schedule: Schedule) -> Decimal:
    """Which part of what a sale earns is still held back at the end of a period, 0 to 1."""
    return sum((part.share * (ONE - _released(part, claim, period, schedule)) for part in rule.holdback), ZERO)


def release_periods(rule: Rule, claim: Claim, schedule: Schedule) -> set[Period]:
    """The calculation periods, from the sale's own on, in which something of a sale is released."""
    found: set[Period] = set()
    for part in rule.holdback:
        found |= {_posted(claim, day, schedule) for day, _ in _releases(part, claim)}
    return found


def _released(part: Holdback, claim: Claim, period: Period, schedule: Schedule) -> Decimal:
    shares = [share for day, share in _releases(part, claim) if _posted(claim, day, schedule) <= period]
    return min(ONE, sum(shares, ZERO))


def _releases(part: Holdback, claim: Claim) -> list[tuple[date | None, Decimal]]:
    """When which part of what is held is released; None with the sale itself."""
    sale = claim.sale
    if part.event is not None:
        return [(event.day, event.share) for event in sale.events if event.name == part.event]
    if sale.date is None:
        return []
    if part.day is not None:
        return [(part.day, ONE)]
    if part.days is not None:
        return [(date.fromordinal(min(date.max.toordinal(), sale.date.toordinal() + part.days)), ONE)]
    return [] if part.months is None else [(months_around(sale.date, part.months).end, ONE)]


def _posted(claim: Claim, day: date | None, schedule: Schedule) -> Period:
    """In which period a release is posted; without dates, what has been stated has happened."""
    if day is None or claim.sale.date is None:
        return claim.period
    return max(claim.period, period_of(day, schedule))


def mean_share(amounts: Sequence[Decimal], shares: Sequence[Decimal]) -> Decimal:
    """The mean of the shares of sales, weighted by what each earns; plain where none earns anything."""
    if len(set(shares)) == 1:
        return shares[0]
    weights = [abs(amount) for amount in amounts]
    whole = sum(weights, ZERO)
    if not whole:
        weights, whole = [ONE] * len(shares), Decimal(len(shares) or 1)
    return sum((weight * share for weight, share in zip(weights, shares, strict=True)), ZERO) / whole


def payouts_of(rule: Rule, claim: Claim) -> tuple[PayoutShare, ...]:
    """Who gets which part of what a sale pays: as the sale says, else as the rule says."""
    if claim.sale.payouts:
        return tuple(PayoutShare(payee, share) for payee, share in claim.sale.payouts if payee != claim.payee)
    return tuple(part for part in rule.payout_split if part.payee != claim.payee)
