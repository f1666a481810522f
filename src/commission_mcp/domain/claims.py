"""Sales that are claimed for payees, and what a calculation reports on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from commission_mcp.domain.money import ZERO
from commission_mcp.domain.outcome import Step
from commission_mcp.domain.periods import Period
from commission_mcp.domain.sales import Sale
from commission_mcp.errors import Code, Problem

ALWAYS = Period(date.min, date.max)
POOL = ""  # the payee that stands for all members of a pool


@dataclass(slots=True)
class Report:
    """What a calculation says beside its lines; filled on the way."""

    steps: list[Step] = field(default_factory=list[Step])
    problems: list[Problem] = field(default_factory=list[Problem])

    def problem(self, code: Code, message: str, fix: str, path: str = "") -> None:
        """Note a problem, once."""
        problem = Problem(code, message, fix, path)
        if problem not in self.problems:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sale that a rule pays to a payee.

    Attributes:
        period: The calculation period that it is posted in.
        labels: What rules can select by: the sale's, and the payee's role and team.
        refunds: What takes it back, each with the period that it is posted in.
    """

    sale: Sale
    payee: str
    share: Decimal
    period: Period
    labels: Mapping[str, str]
    refunds: tuple[tuple[Period, Sale], ...] = ()


def period_text(period: Period) -> str:
    """The name of a period; nothing for the single period of an undated calculation."""
    return "" if period == ALWAYS else period.name


def is_later(period: Period, paid: Period | None) -> bool:
    """Whether a period is not paid yet with the one that is; a week belongs to the month that it ends in."""
    if paid is None or period == ALWAYS:
        return False
    return period.start > paid.end or (period.end > paid.end and period.days < paid.days)


def net_sale(sale: Sale, refunds: Sequence[Sale]) -> Sale | None:
    """A sale less its refunds; None when nothing is left of it."""
    if not refunds:
        return sale
    fields = ("amount", "gross", "net", "cost", "margin", "bookings", "cash", "quantity")
    sums: dict[str, Decimal] = {}
    for name in fields:
        stated = [getattr(part, name) for part in (sale, *refunds)]
        known: list[Decimal] = [figure for figure in stated if isinstance(figure, Decimal)]
        if known:
            sums[name] = sum(known, ZERO)
    money = [value for name, value in sums.items() if name != "quantity"]
    if not any(money) and (money or not any(sums.values())):
        return None
    return replace(sale, **sums)
