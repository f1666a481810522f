"""What happened: sales, who is credited for them, and the facts of the payees that a plan needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.periods import Period
from commission_mcp.errors import Code


class Base(StrEnum):
    """What of a sale counts."""

    GROSS = "Gross Revenue"
    NET = "Net Revenue"
    MARGIN = "Margin"  # net - cost
    BOOKINGS = "Bookings"
    CASH = "Cash Collected"
    UNITS = "Units"


class Level(StrEnum):
    """A percentage of one sale that can choose its band."""

    MARGIN = "Margin Percent"  # margin / price
    MARKUP = "Markup Percent"  # margin / cost
    DISCOUNT = "Discount Percent"


@dataclass(frozen=True, slots=True)
class Credit:
    """A payee's credit for a sale.

    Attributes:
        payee: Who is credited.
        share: The part of the sale, 0 to 1 for a split and 1 for each of several full credits.
    """

    payee: str
    share: Decimal = ONE


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a sale, such as a payment.

    Attributes:
        share: Which part of it happened then, 0 to 1.
        day: When; None with the sale itself.
    """

    name: str
    share: Decimal = ONE
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """One transaction. Amounts are in the major unit of its own currency.

    Attributes:
        sale_id: Its key, unique among the sales of a calculation.
        date: The business date in the client's time zone; None where the calculation has a single period.
        amount: The figure that the plan's base asks for, where no field of its own states that base.
        gross: Gross revenue.
        net: Net revenue.
        cost: What it cost; margin = net - cost.
        margin: The margin, where the source states it.
        bookings: Booked value.
        cash: Cash collected.
        quantity: Units; None when unknown, which is not 0.
        discount_percent: Discount given, in percent of the list price.
        fx_rate: Units of the plan's currency for one unit of the sale's, on the sale's date.
        labels: What rules can select by: territory, product, customer, and so on.
        credits: Who is credited, and for how much.
        refund_of: The sale that this one takes back, in whole or in part.
        events: What has happened to it since, such as payments.
        payouts: Who gets which part (0 to 1) of what the sale pays, instead of who is credited.
        position: Its place in the input, counted from 0.
    """

    sale_id: str
    date: date | None = None
    amount: Decimal | None = None
    gross: Decimal | None = None
    net: Decimal | None = None
    cost: Decimal | None = None
    margin: Decimal | None = None
    bookings: Decimal | None = None
    cash: Decimal | None = None
    quantity: Decimal | None = None
    discount_percent: Decimal | None = None
    fx_rate: Decimal = ONE
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    credits: tuple[Credit, ...] = ()
    refund_of: str | None = None
    position: int = 0
    events: tuple[Event, ...] = ()
    payouts: tuple[tuple[str, Decimal], ...] = ()

    def base(self, base: Base) -> Decimal | Code:
        """What counts of the sale, in the plan's currency (units for Units), or which fact is missing."""
        if base is Base.UNITS:
            return Code.NO_QUANTITY if self.quantity is None else self.quantity
        found = self._margin() if base is Base.MARGIN else self._stated(base)
        return found if isinstance(found, Code) else found * self.fx_rate

    def level(self, level: Level) -> Decimal | Code:
        """The percentage of the sale that chooses its band, or which fact is missing."""
        if level is Level.DISCOUNT:
            return Code.NO_BASE if self.discount_percent is None else self.discount_percent
        margin, price = self._margin(), self._stated(Base.NET)
        if isinstance(margin, Code) or isinstance(price, Code):
            return margin if isinstance(margin, Code) else Code.NO_BASE
        of = price if level is Level.MARGIN else price - margin
        return Code.NO_BASE if of == ZERO else margin / of * HUNDRED

    def value(self) -> Decimal:
        """Its main figure, for listing it."""
        stated = (self.amount, self.gross, self.net, self.bookings, self.cash, self.margin)
        return next((figure for figure in stated if figure is not None), ZERO)

    def _stated(self, base: Base) -> Decimal | Code:
        own = {Base.GROSS: self.gross, Base.NET: self.net, Base.BOOKINGS: self.bookings, Base.CASH: self.cash}[base]
        if own is not None:
            return own
        return Code.NO_BASE if self.amount is None else self.amount

    def _margin(self) -> Decimal | Code:
        if self.margin is not None:
            return self.margin
        price = self._stated(Base.NET)
        if isinstance(price, Code):
            return price
        return Code.NO_COST if self.cost is None else price - self.cost


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the context: for one payee or all, one span of days or always, one rule or all."""

    amount: Decimal
    payee: str | None = None
    period: Period | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """One kind of figure, stated for payees and periods; the more particular statement counts.

    Attributes:
        stated: The figures.
        by_payee: The same, for each payee; those for everybody under None.
    """

    stated: tuple[Fact, ...] = ()
    by_payee: Mapping[str | None, Sequence[Fact]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the figures by payee, since thousands of payees ask for theirs."""
        by_payee: dict[str | None, list[Fact]] = {}
        for fact in self.stated:
            by_payee.setdefault(fact.payee, []).append(fact)
        object.__setattr__(self, "by_payee", by_payee)

    def of(self, payee: str, period: Period | None, rule: str | None = None) -> Decimal | None:
        """The figure of a payee for a period, as a rule sees it.

        A figure stated for the rule goes before one for all, one for the payee before one for everybody, and one for
        the very period before one for always; figures of several spans inside the period are added up. None when
        nothing fits.
        """
        return self._first(payee, period, dict.fromkeys((rule, None)))

    def of_rule(self, payee: str, period: Period | None, rule: str) -> Decimal | None:
        """The figure that is stated for this very rule or measure."""
        return self._first(payee, period, (rule,))

    def _first(self, payee: str, period: Period | None, rules: Iterable[str | None]) -> Decimal | None:
        for mine in self._candidates(payee, rules):
            dated = [f for f in mine if f.period is not None]
            same = [f.amount for f in dated if f.period == period]
            inside = [
                f.amount for f in dated if period and f.period and f.period.start in period and f.period.end in period
            ]
            always = [f.amount for f in mine if f.period is None]
            for found in (same, inside, always[:1]):
                if found:
                    return sum(found, ZERO)
        return None

    def _candidates(self, payee: str, rules: Iterable[str | None]) -> Iterator[Sequence[Fact]]:
        """The figures that could fit, the more particular first."""
        stated = (self.by_payee.get(payee, ()), self.by_payee.get(None, ()))
        for own in rules:
            for facts in stated:
                yield [fact for fact in facts if fact.rule == own]


@dataclass(frozen=True, slots=True)
class Clawback:
    """A paid commission that is taken back, in whole or in part.

    Attributes:
        payee: From whom; None where there is only one.
        earned: What was paid for the lost sale, in the plan's currency.
        percentage: How much of it is taken back, in points; None to take it from the plan's schedule.
        elapsed: How long the sale had lasted, in the unit of the plan's schedule, or of `term`.
        term: The term over which the commission is earned; the part not served is taken back.
        reason: For the statement.
        day: When it is posted; None posts it in the last period that is paid.
    """

    earned: Decimal
    payee: str | None = None
    percentage: Decimal | None = None
    elapsed: Decimal | None = None
    term: Decimal | None = None
    reason: str = "clawback"
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount that was decided elsewhere, such as a prior period's delta or an earned commission."""

    amount: Decimal
    payee: str | None = None
    reason: str = "adjustment"
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known beside the sales; everything has a neutral default.

    Attributes:
        payee: Who is paid for sales that name nobody.
        only_payee: Show only this payee's lines; everybody's are computed.
        period: What is paid: the calculation periods in this span. None pays every period that the sales touch.
        quotas: Quota of the accumulation window, in the unit that the range counts.
        targets: Target incentive (variable pay at 100 %) of the accumulation window, in the plan's currency.
        bases_before: What had been accumulated before the first sale, in the unit that the range counts.
        attainments: Attainment in percent, where the sales do not tell it.
        draw_balances: What is owed from earlier draws.
        active_from: First day that counts for proration, such as the hire date.
        active_to: Last day that counts for proration.
        active_share: The active part of the period, where it is stated instead of dates; 0 to 1.
        activity: First and last day of particular payees, in place of the above.
        people: Labels of payees, such as role and team, which their credits add to those of a sale.
        assigned: Payees to whom what is due in every period is due without a sale too.
        measured: Quotas by what they count, where they are kept apart; goes before `quotas`.
        parents: For each dimension, the parent of a value: territory North-East -> North.
        clawbacks: Commissions taken back.
        adjustments: Amounts decided elsewhere.
        figures: Figures of measures that the sales do not tell; a fact's `rule` is the measure.
        managers: To whom each payee reports.
    """

    payee: str = "payee"
    only_payee: str | None = None
    period: Period | None = None
    quotas: Facts = Facts()
    targets: Facts = Facts()
    bases_before: Facts = Facts()
    attainments: Facts = Facts()
    draw_balances: Facts = Facts()
    active_from: date | None = None
    active_to: date | None = None
    active_share: Decimal | None = None
    activity: Mapping[str, tuple[date | None, date | None]] = field(
        default_factory=dict[str, tuple["date | None", "date | None"]]
    )
    people: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    assigned: frozenset[str] = frozenset()
    measured: Mapping[Base, Facts] = field(default_factory=dict[Base, Facts])
    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    clawbacks: tuple[Clawback, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    figures: Facts = Facts()
    managers: Mapping[str, str] = field(default_factory=dict[str, str])

    def quota(self, payee: str, period: Period | None, measure: Base, rule: str | None = None) -> Decimal | None:
        """The quota of a payee for a window, of what is measured."""
        return self.measured.get(measure, self.quotas).of(payee, period, rule)
