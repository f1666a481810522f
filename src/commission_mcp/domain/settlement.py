"""A period of a client: which of its plans pays which sale, and what all of them pay together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from commission_mcp.domain.batches import Routed, batches, in_one
from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.matching import NOT_IN_FORCE, Choice, Portfolio
from commission_mcp.domain.outcome import Outcome, Unmatched
from commission_mcp.domain.periods import Period, Schedule, months_around, period_of
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Accumulation, NegativeBase
from commission_mcp.domain.sales import Sale, Situation
from commission_mcp.errors import Code, Problem

NO_CREDIT = "nobody is credited"
NO_PLAN = "no plan is in force"
NOT_COMMISSIONABLE = "the product pays no commission"
NO_RATE = "no exchange rate into the plan's currency"


@dataclass(frozen=True, slots=True)
class PlanInForce:
    """A stored version of a plan, with what is known beside the sales.

    Attributes:
        plan: The plan, its dates cut to those on which this version is the one that counts.
        sales: The sales in the plan's currency, in the order of the settlement's; None where there is no rate.
    """

    plan_id: str
    version: int
    plan: Plan
    situation: Situation
    sales: Sequence[Sale | None]


@dataclass(frozen=True, slots=True)
class Result:
    """What one plan pays."""

    source: PlanInForce
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class NotDue:
    """What is matched or earned, and not to be paid with this period.

    Attributes:
        amount: Earned commission in the plan's currency; the sale's amount where nothing is calculated yet.
        sale_id: The sale, where it waits as a whole.
        reason: Why, and when it will be.
    """

    plan_id: str
    version: int
    payee: str
    amount: Decimal
    currency: str
    reason: str
    sale_id: str | None = None


@dataclass(slots=True)
class Settlement:
    """What a period pays, and all that it does not pay, with the reasons."""

    results: list[Result] = field(default_factory=list[Result])
    unmatched: list[Unmatched] = field(default_factory=list[Unmatched])
    not_due: list[NotDue] = field(default_factory=list[NotDue])
    problems: list[Problem] = field(default_factory=list[Problem])

    @property
    def complete(self) -> bool:
        """Whether nothing kept a part from being calculated."""
        return all(result.outcome.complete for result in self.results) and not any(
            problem.code.startswith("E_") for problem in self.problems
        )


Sink: TypeAlias = Callable[[Result], None]


def settle_period(
    plans: Sequence[PlanInForce],
    sales: Sequence[Sale],
    period: Period,
    withheld: Mapping[str, str] | None = None,
    sink: Sink | None = None,
) -> Settlement:
    """Settle a period.

    Args:
        plans: The versions in force on the days of the sales.
        sales: Every sale of the windows concerned with its credits, refunds among them; amounts in their own currency.
        period: The period that is paid.
        withheld: Sales that pay nothing whatever the plans say, each with the reason.
        sink: Takes each result as it is made; lines and steps are then not kept, so that memory stays flat.
    """
    return _Settling(plans, period, withheld or {}, sink).run(sales)


class _Settling:
    """Routes sales to plans, and lets each plan calculate."""

    def __init__(
        self, plans: Sequence[PlanInForce], period: Period, withheld: Mapping[str, str], sink: Sink | None
    ) -> None:
        self._plans = plans
        self._sink = sink
        self._period = period
        self._withheld = withheld
        first = plans[0].situation if plans else Situation()
        parents, self._people = first.parents, first.people
        self._portfolio = Portfolio([source.plan for source in plans], parents)
        self._routed: list[list[Routed]] = [[] for _ in plans]
        self._settlement = Settlement()
        self._ambiguous: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def run(self, sales: Sequence[Sale]) -> Settlement:
        """The whole of it."""
        refunds: dict[str, list[int]] = {}
        for index, sale in enumerate(sales):
            if sale.refund_of is not None:
                refunds.setdefault(sale.refund_of, []).append(index)
        for index, sale in enumerate(sales):
            if sale.refund_of is None:
                self._route(index, sale, refunds.get(sale.sale_id, ()))
        self._tell_ambiguous()
        for index, source in enumerate(self._plans):
            self._calculate(index, source)
        return self._settlement

    def _route(self, index: int, sale: Sale, refunds: Sequence[int]) -> None:
        """Give a sale to the plans that pay it, each with the credits that it pays."""
        reason = self._withheld.get(sale.sale_id) or ("" if sale.credits else NO_CREDIT)
        if reason:
            self._miss(sale, "", reason)
            return
        own: list[list[int]] = [[] for _ in self._plans]
        rules: list[tuple[int, ...]] = [() for _ in self._plans]
        for place, credit in enumerate(sale.credits):
            choices = self._choices(sale, credit.payee)
            for plan, choice in enumerate(choices):
                if choice.rules:
                    own[plan].append(place)
                    rules[plan] = choice.rules
            if not any(choice.rules for choice in choices):
                self._miss(sale, credit.payee, self._reason(sale, choices))
        for plan, places in enumerate(own):
            if places:
                self._give(plan, index, (places, rules[plan]), refunds)

    def _choices(self, sale: Sale, payee: str) -> tuple[Choice, ...]:
        own = self._people.get(payee)
        labels = {**sale.labels, **own} if own else sale.labels
        return self._portfolio.choose(labels, payee, sale.date)

    def _give(
        self, plan: int, index: int, claimed: tuple[Sequence[int], tuple[int, ...]], refunds: Sequence[int]
    ) -> None:
        sale = self._plans[plan].sales[index]
        back = [found for refund in refunds if (found := self._plans[plan].sales[refund]) is not None]
        if sale is None or len(back) < len(refunds):
            self._no_rate(plan)
            if sale is not None:
                self._miss(sale, "", NO_RATE)
            return
        month = None if sale.date is None else (sale.date.year, sale.date.month)
        self._routed[plan].append(Routed(sale, claimed[0], back, (claimed[1], month)))

    def _no_rate(self, plan: int) -> None:
        currency = self._plans[plan].plan.currency
        problem = Problem(
            Code.FX,
            f"Sales that {self._plans[plan].plan.name!r} pays have no exchange rate into {currency} on their date.",
            "Add the rates; the sales earn nothing until then, and are among the unmatched.",
        )
        if problem not in self._settlement.problems:
            self._settlement.problems.append(problem)

    def _reason(self, sale: Sale, choices: Sequence[Choice]) -> str:
        """Why no plan pays a credit: the reason of the plan that came nearest."""
        for choice in choices:
            for component, names in choice.ambiguous:
                self._ambiguous.setdefault((component, names), []).append(sale.sale_id)
                return f"several rules claim it: {', '.join(names)}"
        reasons = [choice.reason for choice in choices if choice.reason]
        inside = [reason for reason in reasons if reason != NOT_IN_FORCE]
        return next(iter([*inside, *([NO_PLAN] if reasons or not choices else [])]), NO_PLAN)

    def _tell_ambiguous(self) -> None:
        for (component, names), sales in self._ambiguous.items():
            self._settlement.problems.append(
                Problem(
                    Code.AMBIGUOUS,
                    f"{len(sales)} credits, the first of sale {sales[0]!r}, are claimed by several rules of equal rank"
                    f" ({component}): {', '.join(names)}.",
                    "Give one of them a narrower scope or a lower `priority`, or give them different `component`"
                    " names when both should pay. Nothing was paid for these sales.",
                )
            )

    def _miss(self, sale: Sale, payee: str, reason: str) -> None:
        if sale.date is None or sale.date in self._period:
            self._settlement.unmatched.append(Unmatched(sale.sale_id, sale.value(), reason, payee))

    def _calculate(self, index: int, source: PlanInForce) -> None:
        plan, routed = source.plan, self._routed[index]
        due = due_period(self._period, plan.schedule)
        if due is not None and due.end != self._period.end:
            self._wait(source, routed, f"calculated {plan.schedule.lower()}, with {due.name}")
            return
        left = source.situation.assigned
        for sales in self._batches(index, source):
            payees = {credit.payee for sale in sales for credit in sale.credits}
            self._pay(index, source, sales, left & payees)
            left -= payees
        if left:
            self._pay(index, source, [], left)
        self._routed[index] = []

    def _batches(self, index: int, source: PlanInForce) -> Iterable[list[Sale]]:
        """What is calculated at a time: pools, overrides and measures need more sales than each payee is paid for."""
        if source.plan.overrides or source.plan.measures:
            return [[sale for sale in source.sales if sale is not None and sale.sale_id not in self._withheld]]
        if any(rule.pool for rule in source.plan.rules):
            return [in_one(self._routed[index])]
        return batches(self._routed[index])

    def _pay(self, index: int, source: PlanInForce, sales: Sequence[Sale], assigned: frozenset[str]) -> None:
        plan = source.plan
        situation = replace(source.situation, assigned=assigned)
        outcome = calculate(plan, sales, situation, self._portfolio.chooser(index))
        result = Result(source, outcome)
        if self._sink is not None:
            self._sink(result)
            result = Result(source, replace(outcome, lines=(), steps=()))
        self._settlement.results.append(result)
        later = due_period(self._period, plan.payment_schedule or plan.schedule)
        if later is not None and later.end != self._period.end:
            reason = f"paid {str(plan.payment_schedule).lower()}, with {later.name}"
            self._settlement.not_due += [
                NotDue(source.plan_id, source.version, statement.payee, statement.total, plan.currency, reason)
                for statement in outcome.statements
                if statement.total
            ]

    def _wait(self, source: PlanInForce, routed: Iterable[Routed], reason: str) -> None:
        for found in routed:
            sale = found.sale
            if sale.date is not None and sale.date in self._period:
                for credit in (sale.credits[place] for place in found.places):
                    amount = sale.value() * sale.fx_rate * credit.share
                    self._settlement.not_due.append(
                        NotDue(
                            source.plan_id,
                            source.version,
                            credit.payee,
                            amount,
                            source.plan.currency,
                            reason,
                            sale.sale_id,
                        )
                    )


def due_period(period: Period, schedule: Schedule) -> Period | None:
    """The period of a longer schedule that ends with or after this one; None for a schedule that is no longer."""
    found = period_of(period.end, schedule)
    return found if schedule.months and found.days > period.days else None


def windows_around(plan: Plan, period: Period) -> Period:
    """From which day to which day sales count together with those of a period, over all rules of a plan."""
    own = period_of(period.start, plan.schedule)
    due = due_period(period, plan.schedule)
    spans = [own, *([due] if due is not None else [])]
    for rule in plan.rules:
        months = {Accumulation.QUARTER: 3, Accumulation.YEAR: 12}.get(rule.accumulation)
        if months is not None:
            spans.append(months_around(period.start, months))
        # From any window before: a negative base, and what was held back.
        carries = rule.negative_base is NegativeBase.CARRY or bool(rule.holdback)
        if (carries or rule.accumulation is Accumulation.PLAN) and plan.valid_from is not None:
            spans.append(Period(plan.valid_from, plan.valid_to or period.end))
    for measure in plan.measures:
        months = {Accumulation.QUARTER: 3, Accumulation.YEAR: 12}.get(measure.accumulation or Accumulation.PERIOD)
        if months is not None:
            spans.append(months_around(period.start, months))
    return Period(min(span.start for span in spans), max(span.end for span in spans))
