"""A client at a glance: its plans, and what a period comes to, as far as the caller may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from commission_mcp.storage.runs.calendar import CalendarPeriod, find_period
from commission_mcp.storage.writing import Writing

BANDS = (("below 50 %", 0, 50), ("50 to 80 %", 50, 80), ("80 to 100 %", 80, 100), ("100 to 120 %", 100, 120))
_LAST_BAND = "120 % and above"
_EXTREMES = 5
_TREND_PERIODS = 12


@dataclass(frozen=True, slots=True)
class PlanShown:
    """A plan, by its newest version that the caller may know of."""

    plan_id: str
    name: str
    version: int
    status: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class PayeeSum:
    """What a payee earned in a period."""

    payee: str
    name: str
    currency: str
    earned: Decimal


@dataclass(frozen=True, slots=True)
class PeriodSum:
    """What a period comes to in a currency."""

    period: str
    currency: str
    earned: Decimal
    to_pay: Decimal
    payees: int


@dataclass(frozen=True, slots=True)
class StatusSum:
    """The payouts of a period that have a status."""

    status: str
    currency: str
    payouts: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """A period in numbers.

    Attributes:
        complete: None where the period has not been run.
        trend: This period and those of its kind before it, the oldest first.
        attainment: How many payees lie in each band of their quotas.
        unmatched: Reason, credits and amount of what earned nothing.
        payouts: How far they are on their way to the payees.
    """

    complete: bool | None
    trend: Sequence[PeriodSum]
    payees: Sequence[PayeeSum]
    attainment: Mapping[str, int]
    unmatched: Sequence[tuple[str, int, Decimal]]
    payouts: Sequence[StatusSum]

    @property
    def top(self) -> Sequence[PayeeSum]:
        """Who earned most."""
        return self.payees[:_EXTREMES]

    @property
    def bottom(self) -> Sequence[PayeeSum]:
        """Who earned least, the least first."""
        return list(reversed(self.payees[_EXTREMES:][-_EXTREMES:]))


async def client_context(writing: Writing) -> dict[str, str | None]:
    """The client and its profile."""
    row = await writing.row(_CONTEXT, [writing.client_id])
    names = ("name", "region", "currency", "commission_model", "tier", "compliance_level", "time_zone")
    return dict(zip(names, row or [None] * len(names), strict=True))


async def plans_shown(writing: Writing, statuses: Sequence[str]) -> list[PlanShown]:
    """The plans that have a version of one of these statuses."""
    rows = await writing.rows(_PLANS, [writing.client_id, list(statuses)])
    return [
        PlanShown(plan, name, version, status, start, None if after is None else after - timedelta(days=1))
        for plan, name, version, status, start, after in rows
    ]


async def latest_period(writing: Writing) -> CalendarPeriod | None:
    """The period that was run last by its dates; where none was, the last one that has begun."""
    row = await writing.row(_LATEST_RUN, [writing.client_id])
    row = row or await writing.row(_LATEST, [writing.client_id, writing.admission.today])
    return None if row is None else await find_period(writing, str(row[0]))


async def period_figures(writing: Writing, period: CalendarPeriod, payees: frozenset[str] | None) -> Figures:
    """The figures of a period; with `payees` only theirs."""
    client, whom = writing.client_id, None if payees is None else sorted(payees)
    complete = await writing.row(_COMPLETE, [client, period.period_id])
    trend = await writing.rows(_TREND, {"client": client, "kind": period.kind, "end": period.span.end, "whom": whom})
    sums = await writing.rows(_PAYEES, {"client": client, "period": period.period_id, "whom": whom})
    missed = await writing.rows(_UNMATCHED, {"client": client, "period": period.period_id, "whom": whom})
    states = await writing.rows(_STATES, {"client": client, "period": period.period_id, "whom": whom})
    reached = await writing.rows(_ATTAINED, {"client": client, "day": period.span.end, "whom": whom})
    return Figures(
        None if complete is None or complete[0] is None else bool(complete[0]),
        [PeriodSum(*row) for row in reversed(trend[:_TREND_PERIODS])],
        [PayeeSum(*row) for row in sums],
        _banded([row[0] for row in reached if row[0] is not None]),
        [(str(reason), int(count), amount) for reason, count, amount in missed],
        [StatusSum(*row) for row in states],
    )


def _banded(percents: Sequence[Decimal]) -> dict[str, int]:
    """How many lie in each band; a band holds its lower edge."""
    found = {name: sum(low <= percent < high for percent in percents) for name, low, high in BANDS}
    found[BANDS[0][0]] += sum(percent < 0 for percent in percents)
    found[_LAST_BAND] = sum(percent >= BANDS[-1][2] for percent in percents)
    return found


_CONTEXT = """SELECT c.name, p.region, c.base_currency, p.commission_model, p.tier, p.compliance_level, c.time_zone
FROM cm.client c LEFT JOIN cm.client_profile p USING (client_id) WHERE c.client_id = %s"""
_PLANS = """SELECT DISTINCT ON (p.plan_name, v.plan_id) v.plan_id, p.plan_name, v.version, v.status, lower(v.valid),
  upper(v.valid)
FROM cm.plan_version v JOIN cm.plan p USING (client_id, plan_id)
WHERE v.client_id = %s AND v.status = ANY (%s) AND NOT p.withdrawn
ORDER BY p.plan_name, v.plan_id, v.status = 'active' DESC, v.version DESC"""
_LATEST_RUN = """SELECT p.period_id FROM cm.period p
WHERE p.client_id = %s AND EXISTS (SELECT FROM cm.calc_run r
  WHERE r.client_id = p.client_id AND r.period_id = p.period_id AND r.kind = 'official')
ORDER BY upper(p.span) DESC, p.period_id LIMIT 1"""
_LATEST = """SELECT period_id FROM cm.period WHERE client_id = %s AND lower(span) <= %s::date
ORDER BY kind <> 'month', upper(span) DESC LIMIT 1"""
_COMPLETE = """SELECT bool_and(r.complete) FROM cm.calc_run r
WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)"""
_TREND = """SELECT p.period_id, l.currency, l.earned, coalesce(o.to_pay, 0), l.payees
FROM cm.period p
CROSS JOIN LATERAL (
  SELECT l.currency, sum(l.amount) AS earned, count(DISTINCT l.payee_id) AS payees
  FROM cm.calc_run r JOIN cm.result_line l USING (client_id, run_id)
  WHERE r.client_id = p.client_id AND r.period_id = p.period_id
    AND (%(whom)s::text[] IS NULL OR l.payee_id = ANY (%(whom)s))
    AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
  GROUP BY 1) l
LEFT JOIN LATERAL (
  SELECT sum(o.amount) AS to_pay FROM cm.payout o
  WHERE o.client_id = p.client_id AND o.period_id = p.period_id AND o.status <> 'void' AND o.currency = l.currency
    AND (%(whom)s::text[] IS NULL OR o.payee_id = ANY (%(whom)s))) o ON true
WHERE p.client_id = %(client)s AND p.kind = %(kind)s AND upper(p.span) - 1 <= %(end)s
  AND upper(p.span) > %(end)s::date - 400
ORDER BY upper(p.span) DESC, l.currency LIMIT 40"""
_PAYEES = """SELECT l.payee_id, y.name, l.currency, sum(l.amount)
FROM cm.calc_run r JOIN cm.result_line l USING (client_id, run_id) JOIN cm.payee y USING (client_id, payee_id)
WHERE r.client_id = %(client)s AND r.period_id = %(period)s
  AND (%(whom)s::text[] IS NULL OR l.payee_id = ANY (%(whom)s))
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1"""
_STATES = """SELECT o.status, o.currency, count(*), sum(o.amount) FROM cm.payout o
WHERE o.client_id = %(client)s AND o.period_id = %(period)s AND o.status <> 'void'
  AND (%(whom)s::text[] IS NULL OR o.payee_id = ANY (%(whom)s))
GROUP BY 1, 2 ORDER BY 1, 2"""
_UNMATCHED = """SELECT n.message, count(*), sum(n.amount)
FROM cm.calc_run r JOIN cm.run_note n USING (client_id, run_id)
WHERE r.client_id = %(client)s AND r.period_id = %(period)s AND n.kind = 'unmatched' AND r.kind = 'official'
  AND (%(whom)s::text[] IS NULL OR n.payee_id = ANY (%(whom)s))
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY 1 ORDER BY 3 DESC, 1"""
# As in the view `attainment`: credited sales and refunds on their own dates.
_ATTAINED = """SELECT (SELECT 100 * coalesce(sum(c.share * CASE lower(q.measure)
    WHEN 'units' THEN s.quantity WHEN 'gross revenue' THEN s.gross * x.rate
    WHEN 'net revenue' THEN s.net * x.rate WHEN 'cash collected' THEN s.collected * x.rate
    WHEN 'bookings' THEN CASE WHEN s.object_type <> 'Invoices' THEN s.gross * x.rate END
    ELSE (s.net - s.cost) * x.rate END), 0) / q.amount
  FROM cm.credit c JOIN cm.sale s ON s.client_id = c.client_id AND s.sale_id = c.sale_id
  LEFT JOIN cm.fx_rate f ON f.client_id = s.client_id AND f.from_currency = s.currency AND f.to_currency = q.currency
    AND f.span @> s.sold_on
  CROSS JOIN LATERAL (SELECT CASE WHEN q.currency IS NULL OR s.currency = q.currency THEN 1 ELSE f.rate END AS rate) x
  WHERE c.client_id = q.client_id AND c.payee_id = q.payee_id AND s.sold_on >= lower(q.span)
    AND s.sold_on < upper(q.span))
FROM cm.quota q
WHERE q.client_id = %(client)s AND q.span @> %(day)s::date
  AND lower(q.measure) IN ('gross revenue', 'net revenue', 'margin', 'units', 'cash collected', 'bookings')
  AND (%(whom)s::text[] IS NULL OR q.payee_id = ANY (%(whom)s))"""
