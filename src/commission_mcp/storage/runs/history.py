"""What earlier runs have written: which one counts, what it posted, what it carried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from commission_mcp.domain.money import ZERO
from commission_mcp.domain.periods import Period, period_of
from commission_mcp.domain.settlement import PlanInForce
from commission_mcp.storage.runs.calendar import CalendarPeriod
from commission_mcp.storage.writing import Writing


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that was written, and what it was computed from."""

    run_id: UUID
    kind: str
    inputs_sha256: bytes
    engine_version: str


@dataclass(frozen=True, slots=True)
class History:
    """What a new run of a period builds on.

    Attributes:
        official: The run that counts for the period, if there is one.
        latest: The latest run of the period, an adjustment perhaps.
        paid: Whether a payout of the official run is paid.
        posted: What all runs of the period that count have posted, by payee, plan and currency.
        carried: Negative rests to be settled with the next payout, by payee and currency.
        earned: What earlier periods of a longer payment period have earned, by plan, payee and currency.
    """

    official: EarlierRun | None
    latest: EarlierRun | None
    paid: bool
    posted: Mapping[tuple[str, str, str], Decimal]
    carried: Mapping[tuple[str, str], Decimal]
    earned: Mapping[tuple[str, str, str], Decimal]


async def load_history(writing: Writing, period: CalendarPeriod, plans: Sequence[PlanInForce]) -> History:
    """What is written of a period, and what is carried into it."""
    client = writing.client_id
    rows = await writing.rows(_RUNS, [client, period.period_id])
    runs = [EarlierRun(row[0], row[1], bytes(row[2]), row[3]) for row in rows]
    official = next((run for run in runs if run.kind == "official"), None)
    paid = await writing.row(_PAID, [client, official.run_id]) if official is not None else None
    posted = {
        (str(payee), str(plan), str(currency)): amount
        for payee, plan, currency, amount in await writing.rows(_POSTED, [client, period.period_id])
    }
    carried: dict[tuple[str, str], Decimal] = {}
    params = [client, period.kind, period.span.start, client, period.kind]
    for payee, currency, amount in await writing.rows(_CARRIED, params):
        carried[payee, currency] = carried.get((payee, currency), ZERO) + amount
    earned = await _earned(writing, period.span, plans)
    return History(official, runs[0] if runs else None, paid is not None, posted, carried, earned)


async def _earned(writing: Writing, span: Period, plans: Sequence[PlanInForce]) -> dict[tuple[str, str, str], Decimal]:
    """What plans that are paid less often than calculated have earned in the earlier periods of the payment period."""
    found: dict[tuple[str, str, str], Decimal] = {}
    # A version that was interrupted in the period is there twice.
    for source in {(source.plan_id, source.version): source for source in plans}.values():
        payment = source.plan.payment_schedule
        if payment is None or not payment.months:
            continue
        whole = period_of(span.end, payment)
        if whole.start >= span.start or whole.end != span.end:
            continue
        rows = await writing.rows(_EARNED, [writing.client_id, source.plan_id, source.version, whole.start, span.start])
        for payee, currency, amount in rows:
            key = (source.plan_id, str(payee), str(currency))
            found[key] = found.get(key, ZERO) + amount
    return found


# A run counts as long as no other one supersedes it.
_RUNS = """SELECT r.run_id, r.kind, r.inputs_sha256, r.engine_version FROM cm.calc_run r
WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY r.started_at DESC, r.run_id DESC"""
_PAID = "SELECT 1 FROM cm.payout WHERE client_id = %s AND run_id = %s AND status = 'paid' LIMIT 1"
_POSTED = """SELECT l.payee_id, l.plan_id, l.currency, sum(l.amount)
FROM cm.result_line l JOIN cm.calc_run r USING (client_id, run_id)
WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY 1, 2, 3"""
_EARNED = """SELECT l.payee_id, l.currency, sum(l.amount)
FROM cm.result_line l JOIN cm.calc_run r USING (client_id, run_id) JOIN cm.period p USING (client_id, period_id)
WHERE l.client_id = %s AND l.plan_id = %s AND l.version = %s AND lower(p.span) >= %s AND upper(p.span) <= %s
  AND r.kind = 'official'
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY 1, 2"""
# The rest of each payee's payout before, and what was posted to closed periods since that was calculated.
_CARRIED = """WITH before AS (
  SELECT r.run_id, r.started_at FROM cm.calc_run r JOIN cm.period p USING (client_id, period_id)
  WHERE r.client_id = %s AND p.kind = %s AND upper(p.span) <= %s AND r.kind = 'official'
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
  ORDER BY upper(p.span) DESC LIMIT 1)
SELECT o.payee_id, o.currency, sum(o.carried_balance)
FROM cm.payout o JOIN cm.calc_run r USING (client_id, run_id)
JOIN cm.period p ON p.client_id = r.client_id AND p.period_id = r.period_id
WHERE o.client_id = %s AND p.kind = %s AND o.carried_balance <> 0 AND o.status <> 'void' AND (
  o.run_id IN (SELECT run_id FROM before)
  OR (r.kind = 'prior_period_adjustment'
      AND r.started_at > coalesce((SELECT started_at FROM before), '-infinity')))
GROUP BY 1, 2"""
