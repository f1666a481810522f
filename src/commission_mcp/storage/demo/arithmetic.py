"""What a rule pays on a base, exactly, and how the exact pieces are rounded so that they sum to the payout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext

from commission_mcp.storage.demo.plans import Rule, Tier

_PRECISION = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a base and the exact amount that its band pays on it."""

    tier: Tier
    base: Decimal
    exact: Decimal


def pieces(rule: Rule, base: Decimal) -> list[Piece]:
    """Apply the bands of a rule; a base below zero is paid at the first rate."""
    if rule.category_type == "Tiered" and base > 0:
        parts = [(tier, _inside(tier, base)) for tier in rule.tiers if base > tier.above]
    else:
        parts = [(_band(rule.tiers, base), base)]
    with localcontext(prec=_PRECISION):
        scale = Decimal("0.01") if rule.value_type == "Percentage" else Decimal(1)
        return [Piece(tier, part, part * tier.commission * scale) for tier, part in parts]


def _inside(tier: Tier, base: Decimal) -> Decimal:
    """The part of a base that lies in a band."""
    with localcontext(prec=_PRECISION):
        return (base if tier.up_to is None else min(base, Decimal(tier.up_to))) - tier.above


def _band(tiers: Sequence[Tier], base: Decimal) -> Tier:
    """The band that a base lies in; a base on a cut belongs to the lower one."""
    return next((tier for tier in reversed(tiers) if base > tier.above), tiers[0])


def rounded(exact: Sequence[Decimal], minor_units: int) -> list[Decimal]:
    """Round amounts to whole minor units so that they sum to their rounded sum: the largest remainders go up."""
    with localcontext(prec=_PRECISION):
        unit = Decimal(1).scaleb(-minor_units)
        total = sum(exact, Decimal(0)).quantize(unit, rounding=ROUND_HALF_UP)
        amounts = [amount.quantize(unit, rounding=ROUND_FLOOR) for amount in exact]
        missing = int((total - sum(amounts, Decimal(0))) / unit)
        by_remainder = sorted(range(len(exact)), key=lambda place: (amounts[place] - exact[place], place))
        for place in by_remainder[:missing]:
            amounts[place] += unit
        return amounts
