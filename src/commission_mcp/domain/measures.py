"""Second figures of a payee's window, over all sales credited to him: what gates, modifiers and matrices ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal

from commission_mcp.domain.claims import ALWAYS, POOL, Claim, Report, net_sale
from commission_mcp.domain.explanation import number
from commission_mcp.domain.money import HUNDRED, ZERO
from commission_mcp.domain.periods import Period, months_around
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Accumulation, Measure, RangeType, Rule
from commission_mcp.domain.sales import Base, Sale, Situation
from commission_mcp.errors import Code

_EVERYBODY = POOL  # a pool's measures count everybody's sales
_RATIOS = frozenset({RangeType.MARGIN_PERCENT, RangeType.MARKUP_PERCENT})


class Measures:
    """The figures of a plan's measures, as they are known in a period."""

    def __init__(self, plan: Plan, situation: Situation, report: Report) -> None:
        self._plan = plan
        self._situation = situation
        self._report = report
        self._known = {measure.name: measure for measure in plan.measures}
        self._claims: dict[tuple[str, str], list[Claim]] = {}
        # Everybody's figures are asked for every payee; they are summed once.
        self._summed: dict[tuple[str, str, Period, Period], Decimal | None] = {}
        self._turns: dict[tuple[str, str, Period], frozenset[Period]] = {}

    def add(self, claim: Claim) -> None:
        """Take up a credited sale, whatever rule pays it."""
        for measure in self._plan.measures:
            if measure.scope.distance(claim.labels, claim.payee, self._situation.parents) is not None:
                for payee in (_EVERYBODY,) if measure.everybody else (_EVERYBODY, claim.payee):
                    self._claims.setdefault((measure.name, payee), []).append(claim)

    def of(self, rule: Rule, payee: str, window: Period, period: Period) -> dict[str, Decimal] | None:
        """The figures that a rule asks for a window; None, with a problem noted, when one is missing."""
        found: dict[str, Decimal] = {}
        for name in sorted(rule.measures):
            figure = self._figure(name, payee, window, period)
            if figure is None:
                return None
            found[name] = figure
        return found

    def periods(self, rule: Rule, payee: str, window: Period) -> Iterator[Period]:
        """The periods in which a figure of the window changes."""
        for name in rule.measures:
            measure = self._known.get(name)
            if measure is not None:
                yield from self._changes(measure, _whose(measure, payee), window)

    def _changes(self, measure: Measure, whose: str, window: Period) -> frozenset[Period]:
        key = (measure.name, whose, window)
        if key not in self._turns:
            claims = list(self._counted(measure, whose, window))
            refunded = {period for claim in claims for period, _ in claim.refunds}
            self._turns[key] = frozenset(refunded | {claim.period for claim in claims})
        return self._turns[key]

    def _figure(self, name: str, payee: str, window: Period, period: Period) -> Decimal | None:
        asked = None if window == ALWAYS else window
        stated = self._situation.figures.of(payee, asked, name)
        measure = self._known.get(name)
        if stated is None and measure is not None and measure.range_type is RangeType.QUOTA_PERCENT:
            stated = self._situation.attainments.of_rule(payee, asked, name)
        if stated is not None:
            return stated
        if measure is None:
            return self._lacks(name, payee, window)
        return self._computed(measure, payee, window, period)

    def _computed(self, measure: Measure, payee: str, window: Period, period: Period) -> Decimal | None:
        key = (measure.name, _whose(measure, payee), window, period)
        if key not in self._summed:
            self._summed[key] = self._total(measure, *key[1:])
        total = self._summed[key]
        if measure.range_type is not RangeType.QUOTA_PERCENT or total is None:
            return total
        span = self._span(measure, window)
        quota = self._situation.quota(payee, None if span == ALWAYS else span, measure.base, measure.name)
        if quota is None or quota <= ZERO:
            return self._no_quota(measure, payee)
        return total * HUNDRED / quota

    def _total(self, measure: Measure, whose: str, window: Period, period: Period) -> Decimal | None:
        sales = [
            (net, claim.share)
            for claim in self._counted(measure, whose, window)
            if claim.period <= period
            and (net := net_sale(claim.sale, [refund for posted, refund in claim.refunds if posted <= period]))
        ]
        if measure.range_type in _RATIOS:
            return self._ratio(measure, sales)
        return self._sum(measure, sales, Base.UNITS if measure.range_type is RangeType.QUANTITY else measure.base)

    def _ratio(self, measure: Measure, sales: Iterable[tuple[Sale, Decimal]]) -> Decimal | None:
        """The margin of all the sales together, in percent of their price or of their cost."""
        listed = list(sales)
        margin, price = self._sum(measure, listed, Base.MARGIN), self._sum(measure, listed, Base.NET)
        if margin is None or price is None:
            return None
        of = price if measure.range_type is RangeType.MARGIN_PERCENT else price - margin
        return margin * HUNDRED / of if of else ZERO

    def _sum(self, measure: Measure, sales: Iterable[tuple[Sale, Decimal]], base: Base) -> Decimal | None:
        total = ZERO
        for sale, share in sales:
            value = sale.base(base)
            if isinstance(value, Code):
                self._report.problem(
                    value,
                    f"The measure {measure.name!r} needs the {str(base).lower()} of sale {sale.sale_id!r}.",
                    "Give the figure; rules that ask this measure pay nothing until then.",
                    f"sales[{sale.position}]",
                )
                return None
            total += value * share
        return total

    def _counted(self, measure: Measure, whose: str, window: Period) -> Iterator[Claim]:
        """The sales of a measure's window up to the end of the rule's."""
        span = self._span(measure, window)
        for claim in self._claims.get((measure.name, whose), ()):
            day = claim.sale.date
            inside = claim.period == window if day is None or window == ALWAYS else day in span and day <= window.end
            if inside:
                yield claim

    def _span(self, measure: Measure, window: Period) -> Period:
        """Over which days a measure is summed, for a rule's window."""
        if measure.accumulation is None or window == ALWAYS:
            return window
        if measure.accumulation is Accumulation.PLAN:
            return Period(self._plan.valid_from or date.min, self._plan.valid_to or date.max)
        months = {Accumulation.QUARTER: 3, Accumulation.YEAR: 12}.get(measure.accumulation)
        return (
            window if months is None else months_around(window.end if window.end < date.max else window.start, months)
        )

    def _lacks(self, name: str, payee: str, window: Period) -> None:
        where = "" if window == ALWAYS else f" for {window.name}"
        self._report.problem(
            Code.NO_MEASURE,
            f"Nothing tells the measure {name!r} of {payee!r}{where}; what is missing is not 0.",
            f'Define it at the plan, `measures`: [{{"name": "{name}", "range_type": ...}}], or state it in'
            f' `context.measures`: {{"{name}": 92}}; rules that ask it pay nothing until then.',
            "context.measures",
        )

    def _no_quota(self, measure: Measure, payee: str) -> None:
        self._report.problem(
            Code.NO_QUOTA,
            f"The measure {measure.name!r} is a percentage of a quota, and {payee!r} has none above 0.",
            f'State it in `context.quota`: [{{"rule": "{measure.name}", "amount": ...}}]; rules that ask this measure'
            " pay nothing until then.",
            "context.quota",
        )


def _whose(measure: Measure, payee: str) -> str:
    """Whose sales count: the payee's, or everybody's, as for a pool."""
    return _EVERYBODY if measure.everybody else payee


def measured_steps(rule: Rule, figures: Mapping[str, Decimal]) -> Iterator[str]:
    """What the measures of a rule say, and what follows."""
    for gate in rule.gates:
        if gate.measure is not None:
            asked = [f"at least {number(gate.at_least)}"] if gate.at_least is not None else []
            asked += [f"at most {number(gate.at_most)}"] if gate.at_most is not None else []
            yield f"{gate.measure} is {number(figures[gate.measure])}, asked is {' and '.join(asked)}"
    for modifier in rule.modifiers:
        figure = figures[modifier.measure]
        by = number(modifier.multiplier(figure))
        yield f"{modifier.measure} is {number(figure)}, so everything is multiplied by {by}"
    columns = rule.columns
    if columns is not None and columns.measure is not None:
        figure = figures[columns.measure]
        yield f"{columns.measure} is {number(figure)}, so column {columns.index(figure) + 1} pays"
