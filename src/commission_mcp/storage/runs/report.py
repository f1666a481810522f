"""The results of a period as CSV."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import LiteralString, TextIO

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.database import Database
from commission_mcp.storage.runs.access import SEE_ALL
from commission_mcp.storage.runs.calendar import find_period

_BATCH_ROWS = 5_000
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ReportKind:
    """What a report lists: its header, and the statement for it."""

    header: tuple[str, ...]
    statement: LiteralString
    text_columns: frozenset[str]


async def write_report(database: Database, caller: Caller, period_id: str, kind: ReportKind, file: TextIO) -> int:
    """Write a report of the runs that count for a period; how many rows it has.

    Texts that a spreadsheet would take for a formula get an apostrophe before them.

    Raises:
        Refused: with `E_ROLE_REQUIRED` or `E_NOT_FOUND`.
    """
    writer = csv.writer(file)
    count = 0
    async with database.writing(caller, read_only=True) as reading:
        reading.admission.caller.require(*SEE_ALL)
        period = await find_period(reading, period_id)
        runs = "SELECT FROM cm.calc_run WHERE client_id = %s AND period_id = %s LIMIT 1"
        if not await reading.execute(runs, [reading.client_id, period.period_id]):
            raise Refused(
                Problem(
                    Code.NOT_FOUND, f"{period_id} has not been calculated.", "Run it: `commission-mcp run`.", "PERIOD"
                )
            )
        writer.writerow(kind.header)
        texts = [name in kind.text_columns for name in kind.header]
        async with reading.connection.cursor(name="report") as cursor:
            await cursor.execute(kind.statement, [reading.client_id, period.period_id])
            while rows := await cursor.fetchmany(_BATCH_ROWS):
                for row in rows:
                    writer.writerow([_safe(cell) if text else cell for cell, text in zip(row, texts, strict=True)])
                count += len(rows)
    return count


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


PAYOUTS = ReportKind(
    (
        *("period", "payee_id", "name", "currency", "earned", "to_pay", "carried", "status", "run_kind", "run_id"),
        *("paid_on", "reference"),
    ),
    """SELECT r.period_id, o.payee_id, y.name, o.currency,
  (SELECT coalesce(sum(l.amount), 0) FROM cm.result_line l WHERE l.client_id = o.client_id AND l.run_id = o.run_id
     AND l.payee_id = o.payee_id AND l.currency = o.currency),
  o.amount, o.carried_balance, o.status, r.kind, r.run_id, e.paid_on, e.reference
FROM cm.calc_run r JOIN cm.payout o USING (client_id, run_id) JOIN cm.payee y USING (client_id, payee_id)
LEFT JOIN cm.payout_event e ON e.client_id = o.client_id AND e.payout_id = o.payout_id AND e.status = 'paid'
WHERE r.client_id = %s AND r.period_id = %s AND o.status <> 'void'
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY o.payee_id, r.started_at, o.currency""",
    frozenset({"payee_id", "name", "reference"}),
)
PAYROLL = ReportKind(
    ("payout_id", "payee_id", "name", "currency", "amount", "period", "run_kind", "approved_by", "approved_at"),
    """SELECT o.payout_id, o.payee_id, y.name, o.currency, o.amount, r.period_id, r.kind, e.decided_by,
  to_char(e.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM cm.calc_run r JOIN cm.payout o USING (client_id, run_id) JOIN cm.payee y USING (client_id, payee_id)
LEFT JOIN LATERAL (SELECT e.decided_by, e.decided_at FROM cm.payout_event e
  WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id ORDER BY e.event_no DESC LIMIT 1) e ON true
WHERE r.client_id = %s AND r.period_id = %s AND o.status = 'approved' AND o.amount > 0
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY o.payee_id, r.started_at, o.currency""",
    frozenset({"payee_id", "name", "approved_by"}),
)
LINES = ReportKind(
    (
        "period",
        "run_id",
        "line_no",
        "payee_id",
        "name",
        "plan_id",
        "version",
        "rule_no",
        "kind",
        "sale_id",
        "sold_on",
        "customer",
        "gross",
        "sale_currency",
        "base",
        "rate",
        "amount_exact",
        "amount",
        "currency",
        "explanation",
    ),
    """SELECT r.period_id, r.run_id, l.line_no, l.payee_id, y.name, l.plan_id, l.version, l.rule_no, l.kind, l.sale_id,
  s.sold_on, s.customer, s.gross, s.currency, l.base, l.commission_rate, l.amount_exact, l.amount, l.currency,
  l.explanation ->> 'text'
FROM cm.calc_run r JOIN cm.result_line l USING (client_id, run_id) JOIN cm.payee y USING (client_id, payee_id)
LEFT JOIN cm.sale s ON s.client_id = l.client_id AND s.sale_id = l.sale_id
WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY r.started_at, l.run_id, l.line_no""",
    frozenset({"payee_id", "name", "plan_id", "sale_id", "customer", "explanation"}),
)
