"""Approving, holding and paying what a run came to: events that are added, along the ways that a payout can go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import LiteralString
from uuid import UUID

from commission_mcp.domain.caller import Role
from commission_mcp.domain.money import plain
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs.calendar import find_period
from commission_mcp.storage.writing import Writing

_NAMED_MAX = 5


class Step(StrEnum):
    """What is done with payouts."""

    APPROVE = "approve"
    HOLD = "hold"
    RELEASE = "release"
    PAY = "pay"


# From where each step leads where; drafts, held and approved payouts become void when another run takes their place.
_WAYS: Mapping[Step, tuple[frozenset[str], str]] = MappingProxyType(
    {
        Step.APPROVE: (frozenset({"draft"}), "approved"),
        Step.HOLD: (frozenset({"draft", "approved"}), "held"),
        Step.RELEASE: (frozenset({"held"}), "draft"),
        Step.PAY: (frozenset({"approved"}), "paid"),
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step that somebody takes.

    Attributes:
        run_id: The run whose payouts were looked at.
        payees: Only theirs; None for all that are ready for the step.
        reference: Of the payment, by which the payroll or the bank knows it.
        paid_on: The day of the payment.
        comment: Why; holding needs it.
    """

    step: Step
    run_id: UUID
    payees: Sequence[str] | None = None
    reference: str | None = None
    paid_on: date | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutState:
    """A payout of a run that counts, and how it stands.

    Attributes:
        started_by: Who ran it.
        user_id: Which user the payee is, if any.
        left_on: The payee's last day of employment; None while employed.
    """

    payout_id: UUID
    run_id: UUID
    run_kind: str
    started_by: str
    payee: str
    user_id: str | None
    amount: Decimal
    carried: Decimal
    currency: str
    status: str
    paid_on: date | None
    reference: str | None
    left_on: date | None


@dataclass(frozen=True, slots=True)
class Payments:
    """How the payouts of a period stand.

    Attributes:
        status: Of the period.
        changed: How many payouts the step moved.
        payouts: Those of the runs that count; of one run where one was named.
    """

    status: str
    changed: int
    payouts: Sequence[PayoutState]

    @property
    def by_status(self) -> dict[str, int]:
        """How many payouts have each status."""
        return dict(sorted(Counter(payout.status for payout in self.payouts).items()))


async def show_payments(reading: Writing, period_id: str, run_id: UUID | None) -> Payments:
    """How the payouts of a period stand, for finance.

    Raises:
        Refused: with `E_ROLE_REQUIRED`, `E_NOT_FOUND` or `E_PAYOUT_STATE`.
    """
    reading.admission.caller.require(Role.FINANCE)
    period = await find_period(reading, period_id)
    return Payments(period.status, 0, await _payouts_of(reading, period_id, run_id))


async def take_step(writing: Writing, period_id: str, wanted: Wanted) -> Payments:
    """Move payouts of a run on, in the caller's name; taking the same step again changes nothing.

    Approving needs somebody else than who ran the period, unless the client's policy `payout_approval` says otherwise,
    and nobody ever approves the own payout. When every payout is approved or paid, so is the period.

    Raises:
        Refused: with `E_ROLE_REQUIRED`, `E_NOT_FOUND`, `E_PAYOUT_STATE`, `E_OWN_PAYOUT` or `E_ARGUMENT`.
    """
    writing.admission.caller.require(Role.FINANCE)
    _check_arguments(wanted, date.fromisoformat(writing.admission.today))
    # Runs of the client are written under the same lock, so that none takes the place of what is approved here.
    await writing.row("SELECT pg_advisory_xact_lock(hashtextextended(%s, 8))", [writing.client_id])
    await find_period(writing, period_id)
    found = await _payouts_of(writing, period_id, wanted.run_id)
    moved = _chosen(found, wanted)
    if wanted.step is Step.APPROVE:
        await _check_approver(writing, moved)
    await _note(writing, moved, wanted)
    await _settle_period(writing, period_id)
    status = (await find_period(writing, period_id)).status
    return Payments(status, len(moved), await _payouts_of(writing, period_id, wanted.run_id))


async def void_payouts(writing: Writing, run_id: UUID, superseding: UUID) -> list[tuple[str, str]]:
    """Make the payouts of a run void, because another takes its place; payee and currency of those that were held."""
    held = await writing.rows(
        "SELECT payee_id, currency FROM cm.payout WHERE client_id = %s AND run_id = %s AND status = 'held'",
        [writing.client_id, run_id],
    )
    await writing.execute(
        _EVENTS + "WHERE o.client_id = %s AND o.run_id = %s AND o.status <> 'void'",
        ["void", writing.admission.user_id, None, None, f"run {superseding} took its place", writing.client_id, run_id],
    )
    return [(str(payee), str(currency)) for payee, currency in held]


async def keep_holds(writing: Writing, run_id: UUID, held: Sequence[tuple[str, str]]) -> None:
    """Hold the payouts of these payees and currencies, as those of the run before were: why has not gone away."""
    await writing.execute(
        _EVENTS + "JOIN unnest(%s::text[], %s::text[]) AS h (payee_id, currency) USING (payee_id, currency)"
        " WHERE o.client_id = %s AND o.run_id = %s",
        [
            *("held", writing.admission.user_id, None, None, "held in the run before"),
            *([payee for payee, _ in held], [currency for _, currency in held]),
            *(writing.client_id, run_id),
        ],
    )


def _check_arguments(wanted: Wanted, today: date) -> None:
    problems: list[Problem] = []
    paying = wanted.step is Step.PAY
    if paying and not (wanted.reference or "").strip():
        problems.append(Problem(Code.ARGUMENT, "A payment needs its reference.", "Pass `reference`.", "reference"))
    if paying and wanted.paid_on is None:
        problems.append(Problem(Code.ARGUMENT, "On which day was it paid?", "Pass `paid_on`.", "paid_on"))
    if wanted.paid_on is not None and (wanted.paid_on - today).days > 1:  # somewhere it is tomorrow already
        message = f"{wanted.paid_on} is not there yet; only what has been paid is noted."
        problems.append(Problem(Code.ARGUMENT, message, "Note it on that day.", "paid_on"))
    if not paying:
        problems += [
            Problem(Code.ARGUMENT, f"`{wanted.step}` takes no `{name}`.", "Leave it out.", name)
            for name, value in (("reference", wanted.reference), ("paid_on", wanted.paid_on))
            if value is not None
        ]
    if wanted.step is Step.HOLD and not (wanted.comment or "").strip():
        problems.append(Problem(Code.ARGUMENT, "Why is it held?", "Pass `comment`.", "comment"))
    if wanted.step is Step.HOLD and not wanted.payees:
        problems.append(Problem(Code.ARGUMENT, "Whose payout is held?", "Pass `payees`.", "payees"))
    if problems:
        raise Refused(*problems)


async def _payouts_of(writing: Writing, period_id: str, run_id: UUID | None) -> list[PayoutState]:
    """The payouts of the runs that count for a period, or of one of them.

    Raises:
        Refused: with `E_PAYOUT_STATE`, when the run is not one that counts, naming those that do.
    """
    client = writing.client_id
    runs = {UUID(str(row[0])): str(row[1]) for row in await writing.rows(_RUNS, [client, period_id])}
    if run_id is not None and run_id not in runs:
        listed = ", ".join(f"{found} ({kind})" for found, kind in runs.items())
        message = f"Run {run_id} does not count for {period_id}, or not any more."
        fix = f"Look at what counts: {listed}." if runs else "Calculate the period first."
        raise Refused(Problem(Code.PAYOUT_STATE, message, fix, "run_id"))
    meant = list(runs) if run_id is None else [run_id]
    return [PayoutState(*row) for row in await writing.rows(_PAYOUTS, [client, meant])]


def _chosen(found: Sequence[PayoutState], wanted: Wanted) -> list[PayoutState]:
    """The payouts that the step moves; those that it has moved before are left alone."""
    ready, becomes = _WAYS[wanted.step]
    if wanted.payees is None:
        moved = [payout for payout in found if payout.status in ready]
        if moved or any(_is_done(payout, wanted, becomes) for payout in found):
            return moved
        have = ", ".join(sorted({payout.status for payout in found})) or "none there"
        fix = f"`{wanted.step}` is for payouts that are {' or '.join(sorted(ready))}."
        raise Refused(Problem(Code.PAYOUT_STATE, f"No payout is ready for this; they are {have}.", fix, "action"))
    named = set(wanted.payees)
    meant = [payout for payout in found if payout.payee in named]
    problems = [
        Problem(
            Code.PAYOUT_STATE,
            f"The payout of {payout.payee} is {payout.status}{_paid_as(payout)}.",
            f"`{wanted.step}` is for payouts that are {' or '.join(sorted(ready))}.",
            "payees",
        )
        for payout in meant
        if payout.status not in ready and not _is_done(payout, wanted, becomes)
    ]
    missing = sorted(named - {payout.payee for payout in meant})
    if missing:
        message = f"The run has no payout of {', '.join(name[:60] for name in missing[:_NAMED_MAX])}."
        problems.append(Problem(Code.NOT_FOUND, message, "Action `show` lists the payouts.", "payees"))
    if problems:
        raise Refused(*problems)
    return [payout for payout in meant if payout.status in ready]


def _is_done(payout: PayoutState, wanted: Wanted, becomes: str) -> bool:
    """Whether exactly this step was taken before."""
    if wanted.step is Step.PAY:
        return payout.status == "paid" and (payout.reference, payout.paid_on) == (wanted.reference, wanted.paid_on)
    return payout.status == becomes


def _paid_as(payout: PayoutState) -> str:
    return "" if payout.paid_on is None else f", on {payout.paid_on} as {payout.reference!r}"


async def _check_approver(writing: Writing, moved: Sequence[PayoutState]) -> None:
    """Refuse the own payout always, and payouts of an own run as far as the client's policy wants another person."""
    me = writing.admission.user_id
    policy = await writing.row(
        "SELECT p.requirement, p.automatic_below, c.base_currency FROM cm.client c LEFT JOIN cm.approval_policy p"
        " ON p.client_id = c.client_id AND p.step = 'payout_approval' WHERE c.client_id = %s",
        [writing.client_id],
    )
    requirement, limit, currency = policy or (None, None, None)
    problems: list[Problem] = []
    own = [payout.payee for payout in moved if payout.user_id == me]
    if own:
        fix = "Somebody else with the role finance approves it; name the others in `payees`."
        problems.append(Problem(Code.OWN_PAYOUT, f"{own[0]} is yourself.", fix, "payees"))
    ran = [payout for payout in moved if payout.started_by == me and requirement != "not_required"]
    if limit is not None:
        ran = [payout for payout in ran if payout.currency != currency or payout.amount >= limit]
    if ran:
        most = "" if limit is None else f" of {plain(limit)} {currency} and more"
        message = f"You ran {ran[0].run_id} yourself, so its payouts{most} are approved by somebody else."
        fix = (
            "Another user with the role finance approves them; the operator can say otherwise with `commission-mcp"
            " client set --approval payout_approval=not_required:finance`."
        )
        problems.append(Problem(Code.OWN_PAYOUT, message, fix, "run_id"))
    if problems:
        raise Refused(*problems)


async def _note(writing: Writing, moved: Collection[PayoutState], wanted: Wanted) -> None:
    _, becomes = _WAYS[wanted.step]
    await writing.execute(
        _EVENTS + "WHERE o.client_id = %s AND o.payout_id = ANY (%s)",
        [
            *(becomes, writing.admission.user_id, wanted.paid_on, wanted.reference, (wanted.comment or "").strip()),
            *(writing.client_id, [payout.payout_id for payout in moved]),
        ],
    )


async def _settle_period(writing: Writing, period_id: str) -> None:
    """Let the period have the status that its payouts amount to; one that is paid or closed stays so."""
    await writing.execute(_SETTLE, {"client": writing.client_id, "period": period_id})


_RUNS: LiteralString = """SELECT r.run_id, r.kind FROM cm.calc_run r WHERE r.client_id = %s AND r.period_id = %s
  AND NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
ORDER BY r.kind <> 'official', r.started_at, r.run_id"""
_PAYOUTS: LiteralString = """
SELECT o.payout_id, r.run_id, r.kind, r.started_by, o.payee_id, y.user_id, o.amount, o.carried_balance,
  o.currency, o.status, e.paid_on, e.reference, y.left_on
FROM cm.payout o JOIN cm.calc_run r USING (client_id, run_id) JOIN cm.payee y USING (client_id, payee_id)
LEFT JOIN cm.payout_event e ON e.client_id = o.client_id AND e.payout_id = o.payout_id AND e.status = 'paid'
WHERE o.client_id = %s AND o.run_id = ANY (%s) ORDER BY r.kind <> 'official', r.started_at, o.payee_id, o.currency"""
_EVENTS: LiteralString = """
INSERT INTO cm.payout_event (client_id, payout_id, event_no, status, decided_by, paid_on, reference, comment)
SELECT o.client_id, o.payout_id, coalesce((SELECT max(e.event_no) FROM cm.payout_event e
    WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id), 0) + 1,
  %s, %s, %s, %s, nullif(%s, '')
FROM cm.payout o """
_SETTLE: LiteralString = """UPDATE cm.period p SET status = c.status
FROM (SELECT CASE
    WHEN bool_and(o.status = 'paid' OR (o.status = 'approved' AND o.amount = 0)) AND bool_or(o.status = 'paid')
      THEN 'paid'
    WHEN bool_and(o.status IN ('approved', 'paid')) THEN 'approved' ELSE 'calculated' END AS status
  FROM cm.payout o WHERE o.client_id = %(client)s AND o.period_id = %(period)s AND o.status <> 'void'
  HAVING count(*) > 0) c
WHERE p.client_id = %(client)s AND p.period_id = %(period)s AND p.status NOT IN ('paid', 'closed')
  AND p.status <> c.status"""
