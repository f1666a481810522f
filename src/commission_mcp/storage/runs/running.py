"""Running a period: read in one snapshot, calculated beside the database, written in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

import anyio.to_thread

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.domain.money import ZERO, plain
from commission_mcp.domain.settlement import Settlement, settle_period
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.database import Database
from commission_mcp.storage.runs.calendar import find_period, keep_period, settled_before
from commission_mcp.storage.runs.history import History, load_history
from commission_mcp.storage.runs.inputs import RunInputs, load_inputs
from commission_mcp.storage.runs.results import (
    Delta,
    NewRun,
    Payout,
    deltas,
    payouts,
    write_deltas,
    write_lines,
    write_notes,
    write_payouts,
    write_run,
)
from commission_mcp.storage.runs.spool import Spool
from commission_mcp.storage.writing import Writing

Progress: TypeAlias = Callable[[float, str], Awaitable[None]]

_READ, _CALCULATED = 0.3, 0.7  # the usual part of the time after which that is done


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run.

    Attributes:
        outcome: Calculated; unchanged, because a run of the same inputs is there; or a difference posted.
        run_id: The run that counts now.
        supersedes: The run whose place it takes.
        reopened: Whether results that were approved are drafts again.
        lines: How many result lines were written.
    """

    outcome: Literal["calculated", "unchanged", "adjusted"]
    run_id: UUID
    inputs: RunInputs
    settlement: Settlement
    sha256: bytes
    payouts: list[Payout] = field(default_factory=list[Payout])
    deltas: list[Delta] = field(default_factory=list[Delta])
    supersedes: UUID | None = None
    reopened: bool = False
    lines: int = 0


async def run_period(
    database: Database, caller: Caller, period_id: str, *, adjust: bool = False, progress: Progress | None = None
) -> Ran:
    """Calculate a period and store the result.

    A period that is paid is never calculated over: with `adjust` the difference to what was posted is posted.

    Args:
        database: The database.
        caller: Somebody with the role finance.
        period_id: Which period.
        adjust: Whether to post the difference, for a period that is paid or closed.
        progress: Told how far it is, from 0 to 1.

    Raises:
        Refused: with `E_ROLE_REQUIRED`, `E_NOT_FOUND`, `E_PERIOD`, `E_PERIOD_PAID` or `E_BUSY`.
    """
    tell = progress or _nobody
    async with database.writing(caller, read_only=True) as reading:
        reading.admission.caller.require(Role.FINANCE)
        inputs, history = await _read(reading, period_id)
    await tell(_READ, f"{len(inputs.sales)} sales read")
    with Spool(inputs.sources) as spool:
        settlement = await anyio.to_thread.run_sync(
            settle_period, inputs.plans, inputs.sales, inputs.period.span, inputs.withheld, spool.take
        )
        await tell(_CALCULATED, "calculated")
        ran = await _store(database, caller, _Known(inputs, history, settlement, spool), adjust=adjust)
    await tell(1.0, f"{ran.lines} lines written")
    return ran


async def _read(reading: Writing, period_id: str) -> tuple[RunInputs, History]:
    period = await find_period(reading, period_id)
    others = await settled_before(reading, period)
    if others:
        raise Refused(
            Problem(
                Code.PERIOD,
                f"Other periods with days of {period_id} are calculated already: {', '.join(others[:6])}.",
                "Run those; a plan would be paid twice for the same days.",
                "period",
            )
        )
    inputs = await load_inputs(reading, period)
    return inputs, await load_history(reading, period, inputs.plans)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read and calculated."""

    inputs: RunInputs
    history: History
    settlement: Settlement
    spool: Spool


async def _store(database: Database, caller: Caller, known: _Known, *, adjust: bool) -> Ran:
    inputs, history, settlement = known.inputs, known.history, known.settlement
    sha256 = _fingerprint(inputs, history)
    if history.latest is not None and history.latest.inputs_sha256 == sha256:
        return Ran("unchanged", history.latest.run_id, inputs, settlement, sha256, payouts(settlement, history))
    settled = inputs.period.settled or history.paid
    if settled:
        return await _adjust(database, caller, known, sha256, adjust=adjust)
    supersedes = None if history.official is None else history.official.run_id
    run = NewRun(uuid4(), "official", supersedes, sha256, settlement.complete)
    due = payouts(settlement, history)
    async with database.writing(caller) as writing:
        await _claim(writing, known)
        await write_run(writing, run, inputs.period.period_id)
        lines = await write_lines(writing, run, known.spool)
        await write_notes(writing, run, settlement, known.spool)
        await write_payouts(writing, run, inputs.period.period_id, due)
        await writing.execute(
            "UPDATE cm.period SET status = 'calculated'"
            " WHERE client_id = %s AND period_id = %s AND status <> 'calculated'",
            [writing.client_id, inputs.period.period_id],
        )
    reopened = inputs.period.status == "approved"
    return Ran(
        "calculated", run.run_id, inputs, settlement, sha256, due, [], supersedes, reopened=reopened, lines=lines
    )


async def _adjust(
    database: Database,
    caller: Caller,
    known: _Known,
    sha256: bytes,
    *,
    adjust: bool,
) -> Ran:
    """Post what a paid period comes to more or less than was posted."""
    inputs, history, settlement = known.inputs, known.history, known.settlement
    if history.official is None:
        raise Refused(
            Problem(
                Code.PERIOD_PAID,
                f"{inputs.period.period_id} is {inputs.period.status}, and no results of it are stored here.",
                "Run a period that is open.",
                "period",
            )
        )
    found = deltas(inputs, settlement, history)
    if found and not adjust:
        raise _paid(inputs, found)
    if not found:
        latest = history.latest or history.official
        return Ran("unchanged", latest.run_id, inputs, settlement, sha256)
    run = NewRun(uuid4(), "prior_period_adjustment", None, sha256, settlement.complete)
    summed: dict[tuple[str, str], Decimal] = {}
    for delta in found:
        key = (delta.payee, delta.currency)
        summed[key] = summed.get(key, ZERO) + delta.amount
    due = [Payout(*key, amount, ZERO, max(ZERO, amount), min(ZERO, amount)) for key, amount in summed.items()]
    async with database.writing(caller) as writing:
        await _claim(writing, known)
        await write_run(writing, run, inputs.period.period_id)
        lines = await write_deltas(writing, run, inputs.period.period_id, found)
        await write_notes(writing, run, settlement, known.spool)
        await write_payouts(writing, run, inputs.period.period_id, due)
    return Ran("adjusted", run.run_id, inputs, settlement, sha256, due, found, lines=lines)


def _paid(inputs: RunInputs, found: list[Delta]) -> Refused:
    sums: dict[str, Decimal] = {}
    for delta in found:
        sums[delta.currency] = sums.get(delta.currency, ZERO) + delta.amount
    told = ", ".join(f"{plain(amount)} {currency}" for currency, amount in sorted(sums.items()))
    return Refused(
        Problem(
            Code.PERIOD_PAID,
            f"{inputs.period.period_id} is paid, so it is not calculated over. It would come to {told} more or less for"
            f" {len({delta.payee for delta in found})} payees now.",
            "Call again with `adjust`: true to post these differences as an adjustment of that period.",
            "period",
        )
    )


async def _know_payees(writing: Writing, named: Collection[str]) -> None:
    """Refuse a plan that pays somebody who is no payee of the client, such as a manager named in an override."""
    rows = await writing.rows(
        "SELECT n FROM unnest(%s::text[]) n EXCEPT SELECT payee_id FROM cm.payee WHERE client_id = %s ORDER BY 1",
        [sorted(named), writing.client_id],
    )
    if rows:
        raise Refused(
            Problem(
                Code.UNKNOWN,
                f"Plans pay somebody who is no payee: {', '.join(str(row[0])[:60] for row in rows[:5])}.",
                "Import the payee, or correct the plan's pool, override or assignment in a new version.",
            )
        )


async def _claim(writing: Writing, known: _Known) -> None:
    """Be the only one who writes runs of this client, and find the period as it was read.

    Raises:
        Refused: with `E_BUSY`, when somebody else has run it meanwhile.
    """
    inputs, history = known.inputs, known.history
    await writing.row("SELECT pg_advisory_xact_lock(hashtextextended(%s, 8))", [writing.client_id])
    await _know_payees(writing, known.spool.payees)
    period = inputs.period
    await keep_period(writing, period)
    row = await writing.row(
        "SELECT (SELECT r.run_id FROM cm.calc_run r WHERE r.client_id = p.client_id AND r.period_id = p.period_id"
        " ORDER BY r.started_at DESC, r.run_id DESC LIMIT 1), p.status, EXISTS (SELECT FROM cm.payout o"
        "  WHERE o.client_id = p.client_id AND o.run_id = %s AND o.status = 'paid')"
        " FROM cm.period p WHERE p.client_id = %s AND p.period_id = %s FOR UPDATE",
        [None if history.official is None else history.official.run_id, writing.client_id, period.period_id],
    )
    latest = None if history.latest is None else history.latest.run_id
    if row is None or tuple(row) != (latest, period.status, history.paid):
        message = f"{period.period_id} was run, approved or paid by somebody else meanwhile."
        raise Refused(Problem(Code.BUSY, message, "Look at it, then run again."))


def _fingerprint(inputs: RunInputs, history: History) -> bytes:
    """Of all that the result depends on: the inputs, and what earlier periods have left."""
    left = [sorted(history.carried.items()), sorted(history.earned.items())]
    return hashlib.sha256(inputs.sha256 + repr(left).encode()).digest()


async def _nobody(done: float, what: str) -> None:
    """Nobody wants to know."""
