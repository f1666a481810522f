"""What is stored of a payee's period: the lines of the runs that count, the payout, and what was said beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from commission_mcp.domain.money import ZERO
from commission_mcp.storage.runs.calendar import CalendarPeriod
from commission_mcp.storage.writing import Writing


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A result line with the sale that it is from.

    Attributes:
        share: The payee's credit, where the line is for a sale.
        explanation: As it was stored: text, parts, rule, kind.
    """

    run_id: str
    number: int
    plan_id: str
    plan: str
    version: int
    kind: str
    sale_id: str | None
    sold_on: date | None
    customer: str | None
    gross: Decimal | None
    sale_currency: str | None
    share: Decimal | None
    base: Decimal
    rate: Decimal | None
    amount: Decimal
    currency: str
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredNote:
    """What a run says about a payee, beside the lines."""

    kind: str
    plan_id: str | None
    sale_id: str | None
    amount: Decimal | None
    currency: str | None
    message: str


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that counts."""

    run_id: str
    kind: str
    complete: bool
    engine_version: str
    started_at: str


@dataclass(frozen=True, slots=True)
class Payment:
    """A payout that was paid."""

    amount: Decimal
    currency: str
    paid_on: date
    reference: str


@dataclass(frozen=True, slots=True)
class PayeeStatement:
    """A payee's period.

    Attributes:
        runs: The runs that count: the official one, then the adjustments.
        paid: Amount to pay, by currency.
        carried: The negative rest, by currency.
        statuses: Of the payouts.
        payments: Those of them that were paid, as far as it was noted when and how.
    """

    runs: Sequence[StoredRun]
    lines: Sequence[StoredLine]
    notes: Sequence[StoredNote]
    paid: Mapping[str, Decimal]
    carried: Mapping[str, Decimal]
    statuses: Sequence[str]
    payments: Sequence[Payment]

    @property
    def earned(self) -> dict[str, Decimal]:
        """The sum of the lines, by currency."""
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            sums[line.currency] = sums.get(line.currency, ZERO) + line.amount
        return sums


async def load_statement(writing: Writing, payee: str, period_id: str) -> PayeeStatement:
    """What is stored of a payee's period; without a run there are no runs in it."""
    client = writing.client_id
    runs = [StoredRun(str(row[0]), *row[1:]) for row in await writing.rows(_RUNS, [client, period_id])]
    ids = [run.run_id for run in runs]
    lines = [StoredLine(str(row[0]), *row[1:]) for row in await writing.rows(_LINES, [client, ids, payee])]
    notes = [StoredNote(*row) for row in await writing.rows(_NOTES, [client, ids, payee])]
    paid: dict[str, Decimal] = {}
    carried: dict[str, Decimal] = {}
    statuses: list[str] = []
    payments: list[Payment] = []
    for currency, amount, rest, status, paid_on, reference in await writing.rows(_PAYOUTS, [client, ids, payee]):
        paid[currency] = paid.get(currency, ZERO) + amount
        carried[currency] = carried.get(currency, ZERO) + rest
        statuses.append(str(status))
        if paid_on is not None:
            payments.append(Payment(amount, currency, paid_on, reference))
    return PayeeStatement(runs, lines, notes, paid, carried, statuses, payments)


async def period_before(writing: Writing, period: CalendarPeriod) -> str | None:
    """The period of the same kind that ended last before this one."""
    row = await writing.row(
        "SELECT period_id FROM cm.period WHERE client_id = %s AND kind = %s AND upper(span) <= %s"
        " ORDER BY upper(span) DESC LIMIT 1",
        [writing.client_id, period.kind, period.span.start],
    )
    return None if row is None else str(row[0])


async def payee_name(writing: Writing, payee: str) -> str | None:
    """The name of a payee; None for nobody."""
    row = await writing.row(
        "SELECT name FROM cm.payee WHERE client_id = %s AND payee_id = %s", [writing.client_id, payee]
    )
    return None if row is None else str(row[0])


_RUNS = """SELECT r.run_id, r.kind, r.complete, r.engine_version, r.started_at::text FROM cm.calc_run r
WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY r.kind <> 'official', r.started_at, r.run_id"""
_LINES = """SELECT l.run_id, l.line_no, l.plan_id, p.plan_name, l.version, l.kind, l.sale_id, s.sold_on, s.customer,
  s.gross, s.currency, (SELECT sum(c.share) FROM cm.credit c
    WHERE c.client_id = l.client_id AND c.sale_id = l.sale_id AND c.payee_id = l.payee_id),
  l.base, l.commission_rate, l.amount, l.currency, l.explanation
FROM cm.result_line l
JOIN cm.plan p ON p.client_id = l.client_id AND p.plan_id = l.plan_id
LEFT JOIN cm.sale s ON s.client_id = l.client_id AND s.sale_id = l.sale_id
WHERE l.client_id = %s AND l.run_id = ANY (%s::uuid[]) AND l.payee_id = %s
ORDER BY l.run_id, l.line_no"""
_NOTES = """SELECT n.kind, n.plan_id, n.sale_id, n.amount, n.currency, n.message FROM cm.run_note n
WHERE n.client_id = %s AND n.run_id = ANY (%s::uuid[]) AND n.payee_id = %s ORDER BY n.run_id, n.note_no"""
_PAYOUTS = """SELECT o.currency, o.amount, o.carried_balance, o.status, e.paid_on, e.reference FROM cm.payout o
LEFT JOIN cm.payout_event e ON e.client_id = o.client_id AND e.payout_id = o.payout_id AND e.status = 'paid'
WHERE o.client_id = %s AND o.run_id = ANY (%s::uuid[]) AND o.payee_id = %s AND o.status <> 'void'
ORDER BY 1, e.decided_at"""
