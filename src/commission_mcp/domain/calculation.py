"""What a plan pays for given sales: pure, exact, and with every step told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from commission_mcp.domain.claims import ALWAYS, POOL, Claim, Report, is_later
from commission_mcp.domain.explanation import number
from commission_mcp.domain.ledger import RuleLedger
from commission_mcp.domain.matching import Choice, Chooser, Matcher
from commission_mcp.domain.measures import Measures
from commission_mcp.domain.money import ONE, ZERO, exact, minor_unit, round_money
from commission_mcp.domain.outcome import Line, Outcome, Statement, Unmatched
from commission_mcp.domain.payouts import Payouts
from commission_mcp.domain.periods import Period, next_day, period_of
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Rule
from commission_mcp.domain.sales import Credit, Sale, Situation
from commission_mcp.errors import Code

ENGINE_VERSION = "1"  # of the arithmetic; results of different versions may differ

LATER = "after the period that is paid"
REFUND_WITHOUT_SALE = "the sale that it takes back earned nothing"


def calculate(
    plan: Plan, sales: Sequence[Sale], situation: Situation | None = None, chooser: Chooser | None = None
) -> Outcome:
    """What the plan pays for the sales.

    Args:
        plan: A parsed plan.
        sales: All sales of the windows concerned, refunds among them.
        situation: Quotas, balances, hire dates, the period: what is known beside the sales.
        chooser: Which rules pay which sales, where other plans have a say in it.

    Returns:
        Lines that sum to the total, with all that could not be paid and why. Nothing is stored.
    """
    with exact():
        known = situation or Situation()
        return _Calculation(plan, known, chooser or Matcher(plan, known.parents)).run(sales)


class _Calculation:
    """One calculation from sales to statements."""

    def __init__(self, plan: Plan, situation: Situation, chooser: Chooser) -> None:
        self._plan = plan
        self._situation = situation
        self._report = Report()
        self._matcher = chooser
        self._measures = Measures(plan, situation, self._report)
        self._periods_of: dict[date, Period] = {}
        self._claims: dict[int, dict[tuple[str, str], Claim]] = {}  # by the rule's place in the matcher
        self._credited: list[Claim] = []
        self._unmatched: list[Unmatched] = []

    def run(self, sales: Sequence[Sale]) -> Outcome:
        """Book all sales, settle all periods."""
        refunds: dict[str, list[Sale]] = {}
        for sale in sales:
            if sale.refund_of is not None:
                refunds.setdefault(sale.refund_of, []).append(sale)
        for sale in sales:
            if sale.refund_of is None:
                self._claim(sale, refunds.get(sale.sale_id, []))
        lines = [
            line
            for place, claims in sorted(self._claims.items())
            for line in self._ledger(self._matcher.rules[place]).lines(claims.values())
        ]
        if not sales and not self._situation.assigned:
            lines += [line for rule in self._plan.rules for line in self._ledger(rule).idle(*self._nobody())]
        periods = self._periods([line.period for line in lines] + [claim.period for claim in self._credited])
        shown = frozenset(periods)
        paid = [line for line in lines if line.period in shown]
        earlier = [line for line in lines if line.period not in shown]
        payouts = Payouts(self._plan, self._situation, periods, self._report)
        settled, statements = payouts.settle(paid, self._credited, earlier)
        return self._outcome(settled, statements)

    def _ledger(self, rule: Rule) -> RuleLedger:
        return RuleLedger(rule, self._plan, self._situation, self._report, self._measures)

    def _nobody(self) -> tuple[str, Period]:
        return self._situation.payee, self._situation.period or ALWAYS

    def _claim(self, sale: Sale, refunds: Sequence[Sale]) -> None:
        """Let every credited payee's rules have the sale."""
        period = self._posted(sale)
        if self._later(period):
            self._miss(sale, LATER, "")
            return
        posted = [(max(period, self._posted(refund)), refund) for refund in refunds]
        known = tuple((when, refund) for when, refund in posted if not self._later(when))
        for credit in sale.credits or (Credit(self._situation.payee),):
            labels = self._labels(sale, credit.payee)
            claim = Claim(sale, credit.payee, credit.share, period, labels, known)
            self._credited.append(claim)
            self._measures.add(claim)
            self._credited += [Claim(refund, credit.payee, credit.share, when, labels) for when, refund in known]
            choice = self._matcher.choose(labels, credit.payee, sale.date)
            self._book(claim, choice)

    def _labels(self, sale: Sale, payee: str) -> Mapping[str, str]:
        """A sale's labels, with those of the payee."""
        own = self._situation.people.get(payee)
        return {**sale.labels, **own} if own else sale.labels

    def _book(self, claim: Claim, choice: Choice) -> None:
        for place in choice.rules:
            own = self._claims.setdefault(place, {})
            if self._matcher.rules[place].pool:
                own[claim.sale.sale_id, POOL] = Claim(claim.sale, POOL, ONE, claim.period, claim.labels, claim.refunds)
            else:
                own[claim.sale.sale_id, claim.payee] = claim
        for component, names in choice.ambiguous:
            listed = ", ".join(repr(name) for name in names)
            self._report.problem(
                Code.AMBIGUOUS,
                f"Sale {claim.sale.sale_id!r} is claimed by several rules of equal rank ({component}): {listed}.",
                "Give one of them a narrower scope or a lower `priority`, or give them different `component` names"
                " when both should pay. Nothing was paid for it.",
                f"sales[{claim.sale.position}]",
            )
            self._miss(claim.sale, f"several rules claim it: {listed}", claim.payee)
        if choice.reason and self._plan.rules:
            self._miss(claim.sale, choice.reason, claim.payee)

    def _miss(self, sale: Sale, reason: str, payee: str) -> None:
        self._unmatched.append(Unmatched(sale.sale_id, sale.value(), reason, payee))

    def _warn_unmatched(self) -> None:
        if self._unmatched:
            missed = {miss.sale_id: miss.amount for miss in self._unmatched}
            self._report.problem(
                Code.UNMATCHED,
                f"{len(missed)} sales of {number(sum(missed.values(), ZERO))} in all earned nothing for somebody.",
                "See `unmatched` for each and why.",
            )

    def _posted(self, sale: Sale) -> Period:
        if sale.date is None:
            return self._situation.period or ALWAYS
        found = self._periods_of.get(sale.date)
        return found or self._periods_of.setdefault(sale.date, period_of(sale.date, self._plan.schedule))

    def _later(self, period: Period) -> bool:
        return is_later(period, self._situation.period)

    def _periods(self, touched: Iterable[Period]) -> list[Period]:
        """The periods that are paid, in order; without gaps where something is due in every period."""
        found = sorted(set(touched))
        paid = self._situation.period
        every = self._plan.draw is not None or self._plan.base_salary is not None or self._plan.total_floor is not None
        dated = [period for period in found if period != ALWAYS]
        if paid is not None:
            shown = [period for period in found if period == ALWAYS or period.end >= paid.start]
            if every and found != [paid]:
                return sorted({*shown, *self._through(paid.start, paid.end)})
            return shown or [paid]
        if every and dated:
            return self._through(dated[0].start, dated[-1].end)
        return found or [ALWAYS]

    def _through(self, start: date, end: date) -> list[Period]:
        """Every calculation period from one day to another."""
        periods: list[Period] = []
        day: date | None = start
        while day is not None and day <= end:
            periods.append(period_of(day, self._plan.schedule))
            day = next_day(periods[-1].end)
        return periods

    def _outcome(self, lines: Sequence[Line], statements: Sequence[Statement]) -> Outcome:
        only = self._situation.only_payee
        mine = tuple(line for line in lines if only in {None, line.payee})
        self._warn_unmatched()
        problems = tuple(self._report.problems)
        return Outcome(
            total=round_money(sum((line.amount for line in mine), ZERO), minor_unit(self._plan.currency)),
            currency=self._plan.currency,
            lines=mine,
            steps=tuple(self._report.steps),
            problems=problems,
            unmatched=tuple(self._unmatched),
            statements=tuple(statement for statement in statements if only in {None, statement.payee}),
            complete=not any(problem.code.startswith("E_") for problem in problems),
        )
