"""The rows of what was calculated: one run a month, its lines, the payouts they sum to, and one objection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import LiteralString
from uuid import UUID, uuid5

from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.explaining import explanation
from commission_mcp.storage.demo.months import Month, status
from commission_mcp.storage.demo.paying import Line
from commission_mcp.storage.demo.plan_tables import band
from commission_mcp.storage.demo.tables import Cell, Rows, sale_id

_NAMESPACE = UUID("6f9c9f5e-8d0b-5c57-9a39-6f6f1f3f2a10")
_ENGINE = "demo-1"
_PAYOUT_STATUS = {"paid": "paid", "approved": "approved", "calculated": "draft"}


def result_rows(company: Company, lines: Sequence[Line]) -> Iterator[Rows]:
    """Runs, lines, payouts and a dispute."""
    by_month = {month: list(found) for month, found in groupby(lines, key=attrgetter("month"))}
    yield _runs(company, by_month)
    yield _lines(company, by_month)
    yield _payouts(company, by_month)
    yield _dispute(company, by_month)


def _key(company: Company, *parts: str) -> str:
    """A key that is the same in every installation."""
    return str(uuid5(_NAMESPACE, "/".join((company.client.client_id, *parts))))


def _runs(company: Company, by_month: dict[Month, list[Line]]) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "run_id",
        "period_id",
        "kind",
        "engine_version",
        "inputs_sha256",
        "started_by",
        "started_at",
    )
    rows = (
        (
            _key(company, "run", month.period_id),
            month.period_id,
            "official",
            _ENGINE,
            _inputs(lines),
            f"{company.client.prefix}-finance",
            f"{month.after.isoformat()}T06:00:00Z",
        )
        for month, lines in by_month.items()
    )
    return Rows("calc_run", columns, rows)


def _inputs(lines: Sequence[Line]) -> bytes:
    """The hash of what a run was computed from: the bases and the definitions of the plans."""
    told = (f"{line.payee_id} {line.plan.definition_sha256.hex()} {line.piece.base:f}" for line in lines)
    return hashlib.sha256("\n".join(told).encode()).digest()


def _lines(company: Company, by_month: dict[Month, list[Line]]) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "run_id",
        "line_no",
        "payee_id",
        "plan_id",
        "version",
        "rule_no",
        "sale_id",
        "tier_band",
        "base",
        "commission_rate",
        "amount_exact",
        "amount",
        "currency",
        "kind",
        "explanation",
    )
    rows = (
        (_key(company, "run", month.period_id), number, *_line(company, line))
        for month, lines in by_month.items()
        for number, line in enumerate(lines, start=1)
    )
    return Rows("result_line", columns, rows)


def _line(company: Company, line: Line) -> tuple[Cell, ...]:
    tier = line.piece.tier
    sale = None if line.sale_number is None else sale_id(company.client.prefix, line.sale_number)
    return (
        line.payee_id,
        line.plan.plan_id,
        line.plan.version,
        1,
        sale,
        band(tier.above, tier.up_to),
        line.piece.base,
        tier.commission,
        line.piece.exact,
        line.amount,
        line.plan.currency,
        "commission",
        explanation(line),
    )


def _payouts(company: Company, by_month: dict[Month, list[Line]]) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "payout_id",
        "payee_id",
        "period_id",
        "run_id",
        "amount",
        "carried_balance",
        "currency",
        "status",
    )
    rows: list[tuple[Cell, ...]] = []
    for month, lines in by_month.items():
        for payee_id, found in groupby(lines, key=attrgetter("payee_id")):
            earned = sum((line.amount for line in found), Decimal(0))
            rows.append(
                (
                    _key(company, "payout", month.period_id, payee_id),
                    payee_id,
                    month.period_id,
                    _key(company, "run", month.period_id),
                    max(earned, Decimal(0)),
                    min(earned, Decimal(0)),
                    company.client.base_currency,
                    _PAYOUT_STATUS[status(month)],
                )
            )
    return Rows("payout", columns, rows)


def _dispute(company: Company, by_month: dict[Month, list[Line]]) -> Rows:
    """One payee objects to the first line of the last month."""
    month = max(by_month)
    payee_id = by_month[month][0].payee_id
    run_id = _key(company, "run", month.period_id)
    reason = "A sale of the last day of the month is missing from my base."
    return Rows("dispute", ("payee_id", "run_id", "line_no", "reason"), ((payee_id, run_id, 1, reason),))
