"""Draws against commissions: an advance that fills up a period, and its recovery from what is earned later."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from commission_mcp.domain.money import HUNDRED, ZERO, round_money
from commission_mcp.domain.plan import Draw

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class DrawResult:
    """What a draw does in one period, in the plan's currency.

    Attributes:
        advance: What fills earnings up to the draw.
        recovery: What is taken of earlier advances; not negative.
        balance: What is owed afterwards.
    """

    advance: Decimal
    recovery: Decimal
    balance: Decimal


def draw_period(draw: Draw, earned: Decimal, balance: Decimal, unit: Decimal = CENT) -> DrawResult:
    """Settle one period: pay = max(earned, draw) - recovery, recovery = min(balance, max(0, earned - draw) * percent).

    Xactly ("Non-recoverable draw") and Oracle (Siebel Incentive Compensation, plan design) publish tables that this
    reproduces. A draw that is not recoverable never leaves a balance.
    """
    advance = max(ZERO, draw.amount - earned)
    if not draw.recoverable:
        return DrawResult(advance, ZERO, ZERO)
    recovery = min(balance, round_money(max(ZERO, earned - draw.amount) * draw.recovery_percent / HUNDRED, unit))
    return DrawResult(advance, recovery, balance - recovery + advance)
