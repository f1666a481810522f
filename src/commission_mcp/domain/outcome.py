"""What a calculation answers: lines that sum to the total, the arithmetic in words, and all that was not paid."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from commission_mcp.domain.money import ONE, ZERO
from commission_mcp.domain.periods import Period
from commission_mcp.domain.rules import Rule
from commission_mcp.errors import Problem


class Kind(StrEnum):
    """What a line is for."""

    SALE = "sale"
    PERIOD = "period"  # an amount for the window as a whole
    TRUE_UP = "true-up"  # earlier sales of a longer window, at what they earn now
    RERUN = "re-run"  # a closed period, calculated again
    FLOOR = "floor"
    CAP = "cap"
    POOL = "pool"
    SPLIT = "split payout"
    HELD = "held back"
    RELEASED = "released"
    OVERRIDE = "override"
    CLAWBACK = "clawback"
    ADJUSTMENT = "adjustment"
    BASE_SALARY = "base salary"
    DRAW = "draw"
    RECOVERY = "draw recovery"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sale that is paid at one rate.

    Attributes:
        base: What is multiplied: plan's currency, units, or 1 for a transaction.
        rate: Points for percentages, plan's currency for fixed amounts.
        factor: Product of all multipliers.
        band: Which band, counted from 0; None without bands.
        amount: base * rate * factor, exact.
    """

    base: Decimal
    rate: Decimal
    factor: Decimal
    band: int | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of arithmetic in words and numbers; `payee` is empty for a pool as a whole."""

    payee: str
    period: Period
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement; amounts in the plan's currency.

    Attributes:
        payee: Who is paid.
        period: In which calculation period.
        kind: What for.
        amount: Rounded to the minor unit (or the rule's own).
        exact: Before rounding.
        rule: Which rule, override or reason.
        sale_id: Which sale, where it is one.
        base: What the rate was applied to, where there is one.
        rates: The rates, such as `5 %, 7 %`.
        stage: 0 for commissions, 1 for SPIFFs and bonuses, 2 for what comes after.
        share: The credited part of the sale.
        parts: What the sale is divided into by rate.
        by: The rule itself, where a rule it is.
    """

    payee: str
    period: Period
    kind: Kind
    amount: Decimal
    exact: Decimal
    rule: str
    sale_id: str | None = None
    base: Decimal | None = None
    rates: str = ""
    stage: int = 0
    share: Decimal = ONE
    parts: tuple[Part, ...] = ()
    by: Rule | None = None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A sale that earned nothing for somebody, and why."""

    sale_id: str
    amount: Decimal
    reason: str
    payee: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A payee's period.

    Attributes:
        earned: Commissions, SPIFFs, bonuses, clawbacks and adjustments.
        total: Earned, with draw, recovery and base salary: the sum of the lines.
        draw_balance: What is owed from draws after the period.
        payable: What is paid out: never below 0.
        carried: What is left to be settled against later periods: 0 or negative.
        held: What is earned and held back after the period.
    """

    payee: str
    period: Period
    earned: Decimal
    total: Decimal
    draw_balance: Decimal
    payable: Decimal
    carried: Decimal
    held: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a calculation.

    Attributes:
        total: The sum of all lines.
        complete: False when something could not be calculated; `problems` says what.
        steps: Each piece of arithmetic.
    """

    total: Decimal
    currency: str
    lines: tuple[Line, ...]
    steps: tuple[Step, ...]
    problems: tuple[Problem, ...]
    unmatched: tuple[Unmatched, ...]
    statements: tuple[Statement, ...]
    complete: bool
