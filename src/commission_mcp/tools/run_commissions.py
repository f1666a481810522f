"""The `run_commissions` tool: calculates a period over all plans in force and stores the result for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller, CurrentProgress
from commission_mcp.domain.calculation import ENGINE_VERSION
from commission_mcp.domain.caller import Role
from commission_mcp.domain.money import ZERO, minor_unit, plain, round_money
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs.jobs import RunJob
from commission_mcp.storage.runs.payments import Payments, Step, Wanted, show_payments, take_step
from commission_mcp.storage.runs.running import Ran

ANNOTATIONS = ToolAnnotations(
    title="Run commissions",
    read_only_hint=False,
    destructive_hint=False,
    idempotent_hint=True,
    open_world_hint=False,
)

_WAIT_S = 18.0  # for the end of a run; a longer one goes on behind the answer
_TEXT_LINES_MAX = 25
_PAYEES_MAX = 1_000


class RunResult(BaseModel):
    """What became of the run. Amounts are exact text."""

    outcome: Literal["calculated", "unchanged", "adjusted", "running", "payments"] = Field(
        description="unchanged: a run of the same inputs is there. adjusted: a difference was posted. payments: how"
        " payouts stand after another action."
    )
    period: str
    run_id: str | None = Field(description="The run that counts now.")
    job_id: str | None
    progress: float = Field(description="From 0 to 1; below 1 call again to wait on.")
    complete: bool | None = Field(description="False when something could not be calculated, see `problems`.")
    supersedes: str | None
    reopened: bool = Field(description="True when approved results are drafts again.")
    lines: int = Field(description="Result lines written.")
    totals: list[Any] = Field(description="{currency, payees, earned, to_pay, carried} each.")
    payouts: list[Any] = Field(description="{payee, currency, earned, before, amount, carried} each.")
    deltas: list[Any] = Field(description="Of a paid period: {payee, plan, currency, posted, now, amount} each.")
    unmatched: list[Any] = Field(description="Sales that earned nothing: {reason, credits, amount} each.")
    not_yet_due: list[Any] = Field(description="{reason, plan, currency, entries, amount} each.")
    period_status: str | None = None
    changed: int = Field(default=0, description="Payouts that the action moved.")
    by_status: dict[str, int] = Field(default_factory=dict, description="How many payouts have each status.")
    payments: list[Any] = Field(
        default_factory=list[Any],
        description="{payee, currency, amount, carried, status, run_id, run_kind, paid_on, reference, left_on} each;"
        " left_on: the payee's last day.",
    )
    problems: list[Any] = Field(description="{code, message, fix, path} each.")
    truncated: bool = Field(description="True when a list is longer than `max_items`.")
    inputs_sha256: str | None
    engine_version: str


async def run_commissions(
    period: Annotated[str, Field(description="Such as 2026-07, 2026-Q3.", min_length=1, max_length=40)],
    adjust: Annotated[bool, Field(description="Of a paid period: post the difference to what was posted.")] = False,  # noqa: FBT002 - arguments are named
    max_items: Annotated[int, Field(ge=1, le=100_000, description="Entries of each list to return.")] = 50,
    action: Annotated[
        Literal["calculate", "show", "approve", "hold", "release", "pay"], Field(description="Others: for payouts.")
    ] = "calculate",
    run_id: Annotated[UUID | None, Field(description="Whose payouts; from `show`.")] = None,
    payees: Annotated[list[str] | None, Field(description="Only theirs.", max_length=_PAYEES_MAX)] = None,
    paid_on: Annotated[date | None, Field(description="pay: the day.")] = None,
    reference: Annotated[str | None, Field(description="pay: the payment's.", max_length=200)] = None,
    comment: Annotated[str | None, Field(description="Why; `hold` needs it.", max_length=2_000)] = None,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
    progress: CurrentProgress,
) -> Annotated[CallToolResult, RunResult]:
    """Calculate what a period pays over all plans in force, and store result lines and draft payouts; role finance.

    Results are never edited: a later run supersedes an earlier one, and the same inputs make no second run. A paid
    period is only adjusted, with `adjust`. A long run goes on while you call again with the same arguments. To try
    something without storing it, use `calculate_commission` or `compare_plans`; then `explain_payout`. The other
    actions `show` payouts, and note what people decided: approve (not who ran it), then pay.
    """
    database = await app.database()
    (await database.admit(caller)).caller.require(Role.FINANCE)
    given = {"run_id": run_id, "payees": payees, "paid_on": paid_on, "reference": reference, "comment": comment}
    _check_arguments(action, {name for name, value in given.items() if value is not None}, adjust=adjust)
    if action == "show" or (action != "calculate" and run_id is None):
        async with database.writing(caller, read_only=True) as reading:
            shown = await show_payments(reading, period, run_id)
        if action != "show":
            raise _unnamed(shown)
        return _answer(_payments(period, shown, max_items))
    if action != "calculate" and run_id is not None:
        wanted = Wanted(Step(action), run_id, payees, reference, paid_on, comment)
        async with database.writing(caller) as writing:
            moved = await take_step(writing, period, wanted)
        return _answer(_payments(period, moved, max_items))
    job = await app.runs.run(database, caller, period, adjust=adjust, wait_s=_WAIT_S, tell=progress)
    return _answer(_running(job) if job.ran is None else _result(job, job.ran, max_items))


def _answer(result: RunResult) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


def _check_arguments(action: str, given: set[str], *, adjust: bool) -> None:
    """Refuse arguments that the action does not understand, rather than overlook what somebody meant."""
    understood = {"calculate": set[str](), "show": {"run_id"}}.get(action, given)
    problems = [
        Problem(Code.ARGUMENT, f"`{action}` does not take `{name}`.", "Leave it out, or name the action.", name)
        for name in sorted(given - understood)
    ]
    if adjust and action != "calculate":
        problems.append(Problem(Code.ARGUMENT, f"`{action}` does not take `adjust`.", "Leave it out.", "adjust"))
    if problems:
        raise Refused(*problems)


def _unnamed(shown: Payments) -> Refused:
    """Nobody decides on payouts without saying which run he has looked at."""
    runs = {str(payout.run_id): payout.run_kind for payout in shown.payouts}
    listed = ", ".join(f"{run} ({kind})" for run, kind in runs.items()) or "none; calculate the period first"
    return Refused(
        Problem(Code.ARGUMENT, "Which run was looked at?", f"Pass `run_id`. What counts is: {listed}.", "run_id")
    )


def _payments(period: str, shown: Payments, max_items: int) -> RunResult:
    rows = [
        {
            "payee": payout.payee,
            "currency": payout.currency,
            "amount": str(payout.amount),
            "carried": str(payout.carried),
            "status": payout.status,
            "run_id": str(payout.run_id),
            "run_kind": payout.run_kind,
            "paid_on": None if payout.paid_on is None else payout.paid_on.isoformat(),
            "reference": payout.reference,
            "left_on": None if payout.left_on is None else payout.left_on.isoformat(),
        }
        for payout in shown.payouts
    ]
    sums: dict[tuple[str, str], Decimal] = {}
    for payout in shown.payouts:
        key = (payout.currency, payout.status)
        sums[key] = sums.get(key, ZERO) + payout.amount
    totals = [{"currency": key[0], "status": key[1], "to_pay": str(amount)} for key, amount in sorted(sums.items())]
    return _empty("payments", period).model_copy(
        update={
            "progress": 1.0,
            "totals": totals,
            "truncated": len(rows) > max_items,
            "period_status": shown.status,
            "changed": shown.changed,
            "by_status": shown.by_status,
            "payments": rows[:max_items],
        }
    )


def _running(job: RunJob) -> RunResult:
    return _empty("running", job.period_id).model_copy(update={"job_id": str(job.job_id), "progress": job.progress})


def _empty(outcome: Literal["running", "payments"], period: str) -> RunResult:
    return RunResult(
        outcome=outcome,
        period=period,
        run_id=None,
        job_id=None,
        progress=0.0,
        complete=None,
        supersedes=None,
        reopened=False,
        lines=0,
        totals=[],
        payouts=[],
        deltas=[],
        unmatched=[],
        not_yet_due=[],
        problems=[],
        truncated=False,
        inputs_sha256=None,
        engine_version=ENGINE_VERSION,
    )


def _result(job: RunJob, ran: Ran, max_items: int) -> RunResult:
    settlement = ran.settlement
    problems = [*settlement.problems, *(found for done in settlement.results for found in done.outcome.problems)]
    payouts = [
        {
            "payee": payout.payee,
            "currency": payout.currency,
            "earned": str(payout.earned),
            "before": str(payout.before),
            "amount": str(payout.amount),
            "carried": str(payout.carried),
        }
        for payout in ran.payouts
    ]
    deltas = [
        {
            "payee": delta.payee,
            "plan": delta.source.plan_id,
            "currency": delta.currency,
            "posted": str(delta.posted),
            "now": str(delta.now),
            "amount": str(delta.amount),
        }
        for delta in ran.deltas
    ]
    waiting = [
        ((found.reason, found.plan_id, found.currency), _cents(found.amount, found.currency))
        for found in settlement.not_due
    ]
    missed = [((miss.reason,), miss.amount) for miss in settlement.unmatched]
    return RunResult(
        outcome=ran.outcome,
        period=job.period_id,
        run_id=str(ran.run_id),
        job_id=str(job.job_id),
        progress=1.0,
        complete=settlement.complete,
        supersedes=None if ran.supersedes is None else str(ran.supersedes),
        reopened=ran.reopened,
        lines=ran.lines,
        totals=_totals(ran),
        payouts=payouts[:max_items],
        deltas=deltas[:max_items],
        unmatched=[{"reason": key[0], "credits": n, "amount": total} for key, n, total in _summed(missed)],
        not_yet_due=[
            {"reason": key[0], "plan": key[1], "currency": key[2], "entries": n, "amount": total}
            for key, n, total in _summed(waiting)
        ],
        problems=[_problem(found) for found in problems[:max_items]],
        truncated=max(len(payouts), len(deltas), len(problems)) > max_items,
        inputs_sha256=ran.sha256.hex(),
        engine_version=ENGINE_VERSION,
    )


def _problem(found: Problem) -> dict[str, str]:
    return {"code": str(found.code), "message": found.message, "fix": found.fix, "path": found.path}


def _cents(amount: Decimal, currency: str) -> Decimal:
    return round_money(amount, minor_unit(currency))


def _summed(entries: Iterable[tuple[tuple[str, ...], Decimal]]) -> list[tuple[tuple[str, ...], int, str]]:
    """Entries of the same key, counted and added up."""
    sums: dict[tuple[str, ...], tuple[int, Decimal]] = {}
    for key, amount in entries:
        count, total = sums.get(key, (0, ZERO))
        sums[key] = (count + 1, total + amount)
    return [(key, count, plain(total)) for key, (count, total) in sorted(sums.items())]


def _totals(ran: Ran) -> list[dict[str, object]]:
    currencies = sorted({payout.currency for payout in ran.payouts})
    return [
        {
            "currency": currency,
            "payees": sum(payout.currency == currency for payout in ran.payouts),
            "earned": str(sum((p.earned for p in ran.payouts if p.currency == currency), ZERO)),
            "to_pay": str(sum((p.amount for p in ran.payouts if p.currency == currency), ZERO)),
            "carried": str(sum((p.carried for p in ran.payouts if p.currency == currency), ZERO)),
        }
        for currency in currencies
    ]


def _text(result: RunResult) -> str:
    if result.outcome == "running":
        return (
            f"The run of {result.period} is under way ({result.progress:.0%}, job {result.job_id}).\n"
            "Call run_commissions again with the same arguments to wait for its end."
        )
    if result.outcome == "payments":
        return _payments_text(result)
    said = {
        "calculated": f"Calculated as run {result.run_id}; {result.lines} lines stored, payouts are drafts.",
        "unchanged": f"Nothing changed: run {result.run_id} has the same inputs. Nothing was stored.",
        "adjusted": f"Posted the difference as run {result.run_id}.",
    }
    parts = [f"{result.period}: {said[result.outcome]}"]
    if result.supersedes:
        parts.append(f"It supersedes run {result.supersedes}.")
    if result.reopened:
        parts.append("The results of this period had been approved; these are drafts again.")
    if result.complete is False:
        parts.append("INCOMPLETE: something could not be calculated, see the problems.")
    parts += [
        f"{found['currency']}: {found['payees']} payees earned {found['earned']}, to pay {found['to_pay']},"
        f" carried {found['carried']}"
        for found in result.totals
    ]
    parts += _shown([f"{p['payee']}: {p['amount']} {p['currency']}" for p in result.payouts])
    parts += _shown([f"{d['payee']}: {d['now']} instead of {d['posted']} {d['currency']}" for d in result.deltas])
    parts += [f"unmatched: {m['credits']} credits of {m['amount']} in all: {m['reason']}" for m in result.unmatched]
    parts += [f"not yet due: {n['amount']} {n['currency']} ({n['plan']}): {n['reason']}" for n in result.not_yet_due]
    parts += _shown([f"{p['code']}: {p['message']} {p['fix']}".rstrip() for p in result.problems])
    return "\n".join(parts)


def _payments_text(result: RunResult) -> str:
    have = ", ".join(f"{count} {status}" for status, count in result.by_status.items()) or "none"
    parts = [f"{result.period} is {result.period_status}; {result.changed} payouts changed. Payouts: {have}."]
    parts += [f"{found['currency']}: {found['to_pay']} {found['status']}" for found in result.totals]
    parts += [f"run {run}" for run in dict.fromkeys(f"{p['run_id']} ({p['run_kind']})" for p in result.payments)]
    parts += _shown(
        [
            f"{p['payee']}: {p['amount']} {p['currency']} {p['status']}"
            + (f" on {p['paid_on']}, {p['reference']}" if p["paid_on"] else "")
            + (f" (left on {p['left_on']})" if p["left_on"] else "")
            for p in result.payments
        ]
    )
    return "\n".join(parts)


def _shown(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _TEXT_LINES_MAX
    return [*lines[:_TEXT_LINES_MAX], *([f"... and {more} more"] if more > 0 else [])]
