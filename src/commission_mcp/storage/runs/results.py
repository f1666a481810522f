"""Writing a run: its lines, its payouts and what it says beside them, in one transaction and never changed again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import LiteralString
from uuid import UUID

import anyio.to_thread

from commission_mcp.domain.calculation import ENGINE_VERSION
from commission_mcp.domain.money import ZERO, plain
from commission_mcp.domain.settlement import NotDue, Settlement
from commission_mcp.storage.runs.history import History
from commission_mcp.storage.runs.inputs import RunInputs
from commission_mcp.storage.runs.payments import keep_holds, void_payouts
from commission_mcp.storage.runs.spool import Cell, Spool
from commission_mcp.storage.runs.versions import StoredPlan
from commission_mcp.storage.writing import Writing

_CHUNK_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Payout:
    """What a payee is paid with a run.

    Attributes:
        earned: What the run's own lines come to, of what is due now.
        before: Carried from before, and earned in earlier periods of the payment period.
        amount: To be paid: never below 0.
        carried: The rest, 0 or negative.
    """

    payee: str
    currency: str
    earned: Decimal
    before: Decimal
    amount: Decimal
    carried: Decimal


@dataclass(frozen=True, slots=True)
class Delta:
    """What a closed period comes to more (or less) than what was posted for it."""

    payee: str
    source: StoredPlan
    currency: str
    posted: Decimal
    now: Decimal

    @property
    def amount(self) -> Decimal:
        """What is posted."""
        return self.now - self.posted


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is about to be written."""

    run_id: UUID
    kind: str
    supersedes: UUID | None
    sha256: bytes
    complete: bool


def payouts(settlement: Settlement, history: History) -> list[Payout]:
    """What everybody is paid: all plans together, with what was carried and what earlier periods have earned."""
    waiting = {(found.plan_id, found.version) for found in settlement.not_due if found.sale_id is None}
    earned: dict[tuple[str, str], Decimal] = {}
    for result in settlement.results:
        if (result.source.plan_id, result.source.version) not in waiting:
            for statement in result.outcome.statements:
                key = (statement.payee, result.outcome.currency)
                earned[key] = earned.get(key, ZERO) + statement.total
    before = dict(history.carried)
    for (_, payee, currency), amount in history.earned.items():
        before[payee, currency] = before.get((payee, currency), ZERO) + amount
    return [_payout(key, earned.get(key, ZERO), before.get(key, ZERO)) for key in sorted({*earned, *before})]


def _payout(key: tuple[str, str], earned: Decimal, before: Decimal) -> Payout:
    total = earned + before
    return Payout(*key, earned, before, max(ZERO, total), min(ZERO, total))


def deltas(inputs: RunInputs, settlement: Settlement, history: History) -> list[Delta]:
    """How what a closed period comes to now differs from what was posted for it."""
    now: dict[tuple[str, str, str], Decimal] = {}
    for result in settlement.results:
        for statement in result.outcome.statements:
            key = (statement.payee, result.source.plan_id, result.outcome.currency)
            now[key] = now.get(key, ZERO) + statement.total
    sources = {stored.plan_id: stored for stored in inputs.sources}
    return [
        Delta(key[0], sources[key[1]], key[2], history.posted.get(key, ZERO), now.get(key, ZERO))
        for key in sorted({*now, *history.posted})
        if key[1] in sources and now.get(key, ZERO) != history.posted.get(key, ZERO)
    ]


async def write_run(writing: Writing, run: NewRun, period_id: str) -> None:
    """Write the run itself; its lines, notes and payouts follow in the same transaction."""
    await writing.execute(
        "INSERT INTO cm.calc_run (client_id, run_id, period_id, kind, complete, supersedes, engine_version,"
        " inputs_sha256, started_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            writing.client_id,
            run.run_id,
            period_id,
            run.kind,
            run.complete,
            run.supersedes,
            ENGINE_VERSION,
            run.sha256,
            writing.admission.user_id,
        ],
    )


async def write_lines(writing: Writing, run: NewRun, spool: Spool) -> int:
    """Write the lines that were spooled; how many there are."""
    run_id = str(run.run_id)
    rows = ((run_id, number, *row) for number, row in enumerate(spool.lines(), start=1))
    return await _insert(writing, _LINES, rows)


async def write_deltas(writing: Writing, run: NewRun, period_id: str, found: Sequence[Delta]) -> int:
    """Write what a closed period comes to more or less than was posted; how many lines."""

    def row(number: int, delta: Delta) -> Sequence[Cell]:
        amount = plain(delta.amount)
        text = (
            f"{period_id} calculated again: {plain(delta.now)} instead of {plain(delta.posted)},"
            f" so {amount} {delta.currency} is posted"
        )
        told = json.dumps({"text": text, "plan": delta.source.name, "kind": "prior period"}, ensure_ascii=False)
        return (
            str(run.run_id),
            number,
            delta.payee,
            delta.source.plan_id,
            delta.source.version,
            None,
            None,
            None,
            "0",
            None,
            amount,
            amount,
            delta.currency,
            "adjustment",
            told,
        )

    return await _insert(writing, _LINES, (row(number, delta) for number, delta in enumerate(found, start=1)))


async def write_payouts(writing: Writing, run: NewRun, period_id: str, found: Sequence[Payout]) -> None:
    """Write the payouts as drafts; those of the run that is superseded are void, and what was held stays so."""
    held = [] if run.supersedes is None else await void_payouts(writing, run.supersedes, run.run_id)
    async with writing.connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO cm.payout (client_id, payout_id, payee_id, period_id, run_id, amount, carried_balance,"
            " currency) VALUES (%s, gen_random_uuid(), %s, %s, %s, %s, %s, %s)",
            [
                (writing.client_id, payout.payee, period_id, run.run_id, payout.amount, payout.carried, payout.currency)
                for payout in found
            ],
        )
    if held:
        await keep_holds(writing, run.run_id, held)


async def write_notes(writing: Writing, run: NewRun, settlement: Settlement, spool: Spool) -> None:
    """Write the steps, what was not paid and why, and the problems."""
    run_id = str(run.run_id)
    notes = chain(_notes(settlement), spool.notes())
    rows = ((run_id, number, *note) for number, note in enumerate(notes, start=1))
    await _insert(writing, _NOTES, rows)


def _notes(settlement: Settlement) -> Iterator[Sequence[Cell]]:
    """Kind, payee, plan, version, sale, amount, currency and message of each note."""
    for problem in settlement.problems:
        yield ("problem", None, None, None, None, None, None, f"{problem.code}: {problem.message}")
    for result in settlement.results:
        plan = (result.source.plan_id, result.source.version)
        for problem in result.outcome.problems:
            yield ("problem", None, *plan, None, None, None, f"{problem.code}: {problem.message}")
    for miss in settlement.unmatched:
        yield ("unmatched", miss.payee or None, None, None, miss.sale_id, plain(miss.amount), None, miss.reason)
    for found in settlement.not_due:
        yield _not_due(found)


def _not_due(found: NotDue) -> Sequence[Cell]:
    return (
        "not_due",
        found.payee or None,
        found.plan_id,
        found.version,
        found.sale_id,
        plain(found.amount),
        found.currency,
        found.reason,
    )


async def _insert(writing: Writing, statement: LiteralString, rows: Iterator[Sequence[Cell]]) -> int:
    """Write rows, some thousand in a statement (COPY does not work under row security); how many there were."""

    def columns() -> list[str]:
        return [_array(column) for column in zip(*islice(rows, _CHUNK_ROWS), strict=True)]

    count = 0
    # Making the rows is work for the processor; others are to be answered meanwhile.
    while found := await anyio.to_thread.run_sync(columns):
        count += await writing.execute(statement, [writing.client_id, *found])
    return count


def _array(column: Sequence[Cell]) -> str:
    """A column as PostgreSQL's text of an array; the driver takes ten times as long for it."""
    cells = [
        "NULL" if cell is None else '"' + str(cell).replace("\\", "\\\\").replace('"', '\\"') + '"' for cell in column
    ]
    return "{" + ",".join(cells) + "}"


_LINES: LiteralString = """
INSERT INTO cm.result_line (client_id, run_id, line_no, payee_id, plan_id, version, rule_no, sale_id,
  tier_band, base, commission_rate, amount_exact, amount, currency, kind, explanation)
SELECT %s, * FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::int[], %s::int[], %s::text[],
  %s::numrange[],
  %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[], %s::text[], %s::jsonb[])"""
_NOTES: LiteralString = """
INSERT INTO cm.run_note (client_id, run_id, note_no, kind, payee_id, plan_id, version, sale_id, amount,
  currency, message)
SELECT %s, * FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[],
  %s::numeric[],
  %s::text[], %s::text[])"""
