"""All that the calculation of a period needs, read in one snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from commission_mcp.domain.calculation import ENGINE_VERSION
from commission_mcp.domain.money import ZERO
from commission_mcp.domain.periods import Period
from commission_mcp.domain.plan import Assignment, Plan, Proration
from commission_mcp.domain.sales import Base, Fact, Facts, Sale, Situation
from commission_mcp.domain.settlement import NOT_COMMISSIONABLE, PlanInForce, windows_around
from commission_mcp.storage.runs.calendar import CalendarPeriod, inclusive
from commission_mcp.storage.runs.rates import Rates, load_rates
from commission_mcp.storage.runs.sold import SalesReader, Sold, late_refunds
from commission_mcp.storage.runs.versions import StoredPlan, versions_in_force
from commission_mcp.storage.writing import Writing

TARGET_INCENTIVE = "Target Incentive"  # the measure of a quota that is a payee's variable pay at 100 %


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a settlement takes.

    Attributes:
        sources: Where each of `plans` is stored.
        withheld: Sales that pay nothing, with the reason.
        sha256: The fingerprint of everything here, with the engine's version.
    """

    period: CalendarPeriod
    plans: Sequence[PlanInForce]
    sources: Sequence[StoredPlan]
    sales: Sequence[Sale]
    withheld: Mapping[str, str]
    sha256: bytes


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What all plans of a client share.

    Attributes:
        quotas: Payee, measure, span, amount and currency of each.
        people: Role and team of each payee.
        activity: First and last day of each payee.
        managers: To whom each payee reports on the last day.
    """

    parents: Mapping[str, Mapping[str, str]]
    quotas: Sequence[tuple[str, str, Period, Decimal, str | None]]
    people: Mapping[str, Mapping[str, str]]
    activity: Mapping[str, tuple[date | None, date | None]]
    managers: Mapping[str, str]


async def load_inputs(
    writing: Writing,
    period: CalendarPeriod,
    *,
    payees: frozenset[str] | None = None,
    versions: Sequence[StoredPlan] | None = None,
) -> RunInputs:
    """What the settlement of a period takes.

    Args:
        writing: A transaction that only reads.
        period: The period that is paid.
        payees: Only their sales, where nobody else's are needed; splits are then rounded for each by himself.
        versions: These versions instead of those in force, such as one that is not approved yet.

    Raises:
        Refused: when a stored definition cannot be read.
    """
    span = period.span
    live = list(versions) if versions is not None else await versions_in_force(writing, span.start, span.end)
    if versions is None:
        live += await _still_holding(writing, live, span)
    together = _around(live, span)
    reader = SalesReader(writing, span.end)
    shared = any(_shared(stored.plan) for stored in live)
    await reader.read(Period(together.start, span.end), None if shared else payees)
    late = [
        found
        for found in await late_refunds(writing, span, span.start)
        if shared or payees is None or found[0] in payees
    ]
    if late:
        live, together = await _take_late(writing, reader, late, (live, together), fixed=versions is not None)
    await reader.read_refunds()
    sold = reader.done()
    around = await _surroundings(writing, live, together, span.end)
    rates = await load_rates(writing, together)
    balances = await _draw_balances(writing, live, period)
    plans = [_in_force(stored, sold, around, rates, balances, span) for stored in live]
    withheld = await _withheld(writing, sold)
    digest = _digest(period, live, sold, around, rates, balances, withheld)
    return RunInputs(period, plans, live, sold.sales, withheld, digest)


async def _take_late(
    writing: Writing,
    reader: SalesReader,
    late: Sequence[tuple[str, date]],
    known: tuple[list[StoredPlan], Period],
    *,
    fixed: bool,
) -> tuple[list[StoredPlan], Period]:
    """Know closed windows again, of those whose sales are taken back in this period."""
    live, together = known
    days = sorted({day for _, day in late})
    earlier = live if fixed else await versions_in_force(writing, days[0], days[-1])
    spans = [_around(earlier, Period(day, day)) for day in days]
    span = Period(min(found.start for found in spans), max(found.end for found in spans))
    pooled = any(_shared(stored.plan) for stored in earlier)
    await reader.read(span, None if pooled else frozenset(payee for payee, _ in late))
    have = {(stored.plan_id, stored.version, stored.plan.valid_from) for stored in live}
    live += [
        _ended(stored) for stored in earlier if (stored.plan_id, stored.version, stored.plan.valid_from) not in have
    ]
    return live, Period(min(span.start, together.start), together.end)


async def _still_holding(writing: Writing, live: Sequence[StoredPlan], span: Period) -> list[StoredPlan]:
    """Versions that ended before a period and may still hold back something of what their sales have earned."""
    earlier = await versions_in_force(writing, date.min, span.start - timedelta(days=1))
    have = {(stored.plan_id, stored.version, stored.plan.valid_from) for stored in live}
    holding = [stored for stored in earlier if any(rule.holdback for rule in stored.plan.rules)]
    ended = [stored for stored in holding if (stored.plan_id, stored.version, stored.plan.valid_from) not in have]
    return [replace(found, plan=replace(found.plan, overrides=())) for found in map(_ended, ended)]


def _ended(stored: StoredPlan) -> StoredPlan:
    """A version that is no longer in force: it settles what its sales earn, and owes no draw and no salary."""
    return replace(stored, plan=replace(stored.plan, draw=None, base_salary=None, total_floor=None))


def _around(live: Sequence[StoredPlan], span: Period) -> Period:
    spans = [windows_around(stored.plan, span) for stored in live] or [span]
    return Period(min(found.start for found in spans), max(found.end for found in spans))


async def _surroundings(writing: Writing, live: Sequence[StoredPlan], together: Period, last: date) -> _Surroundings:
    client = [writing.client_id]
    parents: dict[str, Mapping[str, str]] = {
        "territory": dict(await writing.rows(_TERRITORIES, client)),
        "product": dict(await writing.rows(_PRODUCTS, client)),
    }
    quotas = [
        (str(payee), str(measure), inclusive(start, after), amount, currency)
        for payee, measure, start, after, amount, currency in await writing.rows(
            _QUOTAS, [*client, together.start, together.end]
        )
    ]
    asked = _asks_people(live) or any(_due_always(stored.plan) for stored in live)
    prorated = any(stored.plan.proration is not Proration.NONE for stored in live)
    people: dict[str, Mapping[str, str]] = {}
    activity: dict[str, tuple[date | None, date | None]] = {}
    for payee, role, team, hired_on, left_on in await writing.rows(_PAYEES, client) if asked or prorated else ():
        if asked:
            people[payee] = {name: value for name, value in (("role", role), ("team", team)) if value}
        activity[payee] = (hired_on, left_on)
    chained = any(override.level is not None for stored in live for override in stored.plan.overrides)
    managers: dict[str, str] = dict(await writing.rows(_MANAGERS, [*client, last])) if chained else {}
    return _Surroundings(parents, quotas, people, activity, managers)


def _shared(plan: Plan) -> bool:
    """Whether what a payee gets depends on the sales of others."""
    others = plan.overrides or any(measure.everybody for measure in plan.measures)
    return bool(others) or any(rule.pool or rule.payout_split for rule in plan.rules)


def _due_always(plan: Plan) -> bool:
    """Whether it owes something in every period, with or without a sale."""
    return plan.draw is not None or plan.base_salary is not None or plan.total_floor is not None


def _asks_people(live: Sequence[StoredPlan]) -> bool:
    """Whether anything selects by role or team, which belong to payees and not to sales."""
    scopes = [assignment.scope for stored in live for assignment in stored.plan.assignments]
    for stored in live:
        for rule in stored.plan.rules:
            by_scope = getattr(rule.scheme, "by_scope", ())
            scopes += [rule.scope, *(scope for scope, _ in (*by_scope, *rule.multipliers))]
            scopes += [gate.scope for gate in rule.gates]
        scopes += [measure.scope for measure in stored.plan.measures]
    return any(name in {"role", "team"} for scope in scopes for name, _ in scope.wanted)


async def _draw_balances(
    writing: Writing, live: Sequence[StoredPlan], period: CalendarPeriod
) -> Mapping[str, Sequence[tuple[str, Decimal]]]:
    """What is owed from the draws of each plan before the period, by what earlier runs have written."""
    found: dict[str, list[tuple[str, Decimal]]] = {}
    plans = sorted({stored.plan_id for stored in live if stored.plan.draw and stored.plan.draw.recoverable})
    if plans:
        rows = await writing.rows(_DRAWN, [writing.client_id, plans, period.span.start])
        for plan_id, payee, amount in rows:
            found.setdefault(plan_id, []).append((payee, max(ZERO, amount)))
    return found


async def _withheld(writing: Writing, sold: Sold) -> dict[str, str]:
    rows = await writing.rows(
        "SELECT product_id FROM cm.product WHERE client_id = %s AND NOT commissionable", [writing.client_id]
    )
    unpaid = {row[0] for row in rows}
    return {
        sale.sale_id: NOT_COMMISSIONABLE
        for sale, product in zip(sold.sales, sold.products, strict=True)
        if product in unpaid
    }


def _in_force(
    stored: StoredPlan,
    sold: Sold,
    around: _Surroundings,
    rates: Rates,
    balances: Mapping[str, Sequence[tuple[str, Decimal]]],
    span: Period,
) -> PlanInForce:
    plan = stored.plan
    situation = Situation(
        period=span,
        targets=Facts(tuple(_facts(around, TARGET_INCENTIVE, plan.currency))),
        draw_balances=Facts(tuple(Fact(amount, payee) for payee, amount in balances.get(stored.plan_id, ()))),
        activity=around.activity if plan.proration is not Proration.NONE else {},
        people=around.people,
        assigned=_assigned(plan, around, span),
        managers=around.managers,
        measured={base: Facts(tuple(_facts(around, base, plan.currency))) for base in Base},
        parents=around.parents,
    )
    sales = sold.sales if set(sold.currencies) <= {plan.currency} else _converted(sold, rates, plan.currency)
    return PlanInForce(stored.plan_id, stored.version, plan, situation, sales)


def _facts(around: _Surroundings, measure: str, currency: str) -> list[Fact]:
    """Quotas of a measure; one in another currency is none."""
    return [
        Fact(amount, payee, span)
        for payee, found, span, amount, its_currency in around.quotas
        if found.casefold() == measure.casefold() and its_currency in {None, currency}
    ]


def _converted(sold: Sold, rates: Rates, currency: str) -> list[Sale | None]:
    converted: list[Sale | None] = []
    for sale, its_currency in zip(sold.sales, sold.currencies, strict=True):
        rate = rates.on(its_currency, currency, sale.date or date.min)
        converted.append(None if rate is None else replace(sale, fx_rate=rate))
    return converted


def _assigned(plan: Plan, around: _Surroundings, span: Period) -> frozenset[str]:
    """To whom something is due in every period: payees named, or those of a role or team, while they are employed."""
    if not _due_always(plan):
        return frozenset()
    named = {payee for assignment in plan.assignments for payee in _named(assignment, around)}
    for payee in list(named):
        start, end = around.activity.get(payee, (None, None))
        if (start is not None and start > span.end) or (end is not None and end < span.start):
            named.discard(payee)
    return frozenset(named)


def _named(assignment: Assignment, around: _Surroundings) -> frozenset[str]:
    wanted = dict(assignment.scope.wanted)
    if not wanted or not wanted.keys() <= {"payee", "role", "team"}:
        return frozenset()
    return frozenset(
        payee
        for payee, labels in around.people.items()
        if all((payee if name == "payee" else labels.get(name)) in values for name, values in wanted.items())
    )


def _digest(period: CalendarPeriod, live: Sequence[StoredPlan], sold: Sold, *others: object) -> bytes:
    plans = [
        [stored.plan_id, stored.version, stored.sha256.hex(), str(stored.plan.valid_from), str(stored.plan.valid_to)]
        + [f"{found.override_key} {found.priority} {found.multiplier}" for found in stored.plan.assignments]
        for stored in live
    ]
    told = json.dumps([ENGINE_VERSION, period.period_id, str(period.span), plans, sold.digest, *map(repr, others)])
    return hashlib.sha256(told.encode()).digest()


_TERRITORIES = (
    "SELECT territory_id, parent_id FROM cm.territory WHERE client_id = %s AND parent_id IS NOT NULL ORDER BY 1"
)
_PRODUCTS = "SELECT product_id, parent_id FROM cm.product WHERE client_id = %s AND parent_id IS NOT NULL ORDER BY 1"
_PAYEES = "SELECT payee_id, job_role, team, hired_on, left_on FROM cm.payee WHERE client_id = %s ORDER BY 1"
_MANAGERS = "SELECT payee_id, manager_id FROM cm.reports_to WHERE client_id = %s AND valid @> %s::date ORDER BY 1"
_QUOTAS = (
    "SELECT payee_id, measure, lower(span), upper(span), amount, currency FROM cm.quota"
    " WHERE client_id = %s AND span && daterange(%s, %s, '[]') ORDER BY payee_id, measure, span"
)
_DRAWN = """SELECT l.plan_id, l.payee_id, sum(l.amount)
FROM cm.result_line l JOIN cm.calc_run r USING (client_id, run_id) JOIN cm.period p USING (client_id, period_id)
WHERE l.client_id = %s AND l.plan_id = ANY (%s) AND l.kind IN ('draw_advance', 'draw_recovery')
  AND upper(p.span) <= %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY 1, 2 ORDER BY 1, 2"""
