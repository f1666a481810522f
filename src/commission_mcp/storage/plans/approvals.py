"""Approvals of plan versions: bound to the version's hash, made by others than its author, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from commission_mcp.domain.caller import Role
from commission_mcp.domain.canonical import fingerprint
from commission_mcp.domain.wizard.approvals import NeededStep, usual_role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.outbox import Targets, enqueue
from commission_mcp.storage.plans.masters import load_policies
from commission_mcp.storage.plans.versions import PlanVersion, load_version
from commission_mcp.storage.writing import Writing

_WAITING_MAX = 200


@dataclass(frozen=True, slots=True)
class ApprovalStep:
    """A step of a version, and how it stands."""

    step: str
    decision: str
    deciding_role: str
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision led to: the version with its status now, and its steps."""

    version: PlanVersion
    steps: tuple[ApprovalStep, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided.

    Attributes:
        sha256: The hash of exactly what was looked at.
        step: The step; None for the only one that the caller can decide.
        approve: False rejects.
        comment: Kept with the decision; a rejection needs one.
    """

    sha256: str
    step: str | None
    approve: bool
    comment: str | None


async def ask_for(writing: Writing, version: PlanVersion, steps: Sequence[NeededStep]) -> None:
    """Write the steps that a version needs; those that the client's policy decides are decided."""
    for step in steps:
        await writing.execute(
            "INSERT INTO cm.approval (client_id, subject_kind, subject_ref, subject_sha256, step, requested_by, "
            "decision, decided_at, comment) VALUES (%s, 'plan_version', %s, decode(%s, 'hex'), %s, %s, %s, "
            "CASE WHEN %s THEN now() END, %s)",
            [
                writing.client_id,
                version.ref,
                version.sha256,
                step.step,
                writing.admission.user_id,
                "automatic" if step.automatic else "pending",
                step.automatic,
                step.reason if step.automatic else None,
            ],
        )


async def load_steps(writing: Writing, version: PlanVersion) -> tuple[ApprovalStep, ...]:
    """The steps of a version."""
    roles = {policy.step: policy.deciding_role for policy in await load_policies(writing)}
    rows = await writing.rows(
        "SELECT step, decision, decided_by, decided_at, comment FROM cm.approval WHERE client_id = %s "
        "AND subject_kind = 'plan_version' AND subject_ref = %s AND subject_sha256 = decode(%s, 'hex') "
        "ORDER BY array_position(ARRAY['manager_approval', 'finance_review', 'compliance_check'], step)",
        [writing.client_id, version.ref, version.sha256],
    )
    return tuple(
        ApprovalStep(step, decision, roles.get(step, usual_role(step)), decided_by, decided_at, comment)
        for step, decision, decided_by, decided_at, comment in rows
    )


async def waiting_steps(writing: Writing) -> list[tuple[PlanVersion, tuple[ApprovalStep, ...]]]:
    """The versions that wait for a decision, the oldest first, with all of their steps."""
    rows = await writing.rows(
        "SELECT v.plan_id, v.version FROM cm.plan_version v WHERE v.client_id = %s AND v.status = 'submitted' "
        "ORDER BY v.created_at, v.plan_id LIMIT %s",
        [writing.client_id, _WAITING_MAX],
    )
    versions = [await load_version(writing, plan_id, version) for plan_id, version in rows]
    return [(version, await load_steps(writing, version)) for version in versions]


async def decide(writing: Writing, version: PlanVersion, verdict: Verdict, targets: Targets) -> Decision:
    """Decide a step of a submitted version, in the caller's name.

    The last approval makes the version active and supersedes what it replaces; a rejection withdraws it.

    Args:
        writing: The transaction, in which the plan is locked.
        version: The version as it is stored.
        verdict: The decision.
        targets: Where the news goes.

    Raises:
        Refused: with `E_PLAN_STATE`, `E_PLAN_HASH`, `E_OWN_PLAN`, `E_ROLE_REQUIRED`, `E_NAME_TAKEN` or `E_ARGUMENT`.
    """
    _check_version(writing, version, verdict)
    step = _step(writing, await load_steps(writing, version), verdict.step)
    await writing.execute(
        "UPDATE cm.approval SET decision = %s, decided_by = %s, decided_at = now(), comment = %s "
        "WHERE client_id = %s AND subject_kind = 'plan_version' AND subject_ref = %s "
        "AND subject_sha256 = decode(%s, 'hex') AND step = %s AND decision = 'pending'",
        [
            "approved" if verdict.approve else "rejected",
            writing.admission.user_id,
            verdict.comment,
            writing.client_id,
            version.ref,
            version.sha256,
            step.step,
        ],
    )
    await settle(writing, version, targets)
    now = await load_version(writing, version.plan_id, version.version)
    return Decision(now, await load_steps(writing, now))


async def settle(writing: Writing, version: PlanVersion, targets: Targets) -> None:
    """Draw the consequence of the steps as they stand: active, withdrawn, or still waiting."""
    decisions = {step.decision for step in await load_steps(writing, version)}
    if "rejected" in decisions:
        await _withdraw(writing, version)
    elif "pending" not in decisions:
        await _activate(writing, version)
    else:
        return
    decided = await load_version(writing, version.plan_id, version.version)
    await enqueue(writing, "plan.decided", decided.news, targets)


def _check_version(writing: Writing, version: PlanVersion, verdict: Verdict) -> None:
    if version.created_by == writing.admission.user_id:
        message = f"{version.ref} is your own, and nobody approves the own plan."
        raise Refused(Problem(Code.OWN_PLAN, message, "Another user with the role decides.", "plan_id"))
    if version.status != "submitted":
        message = f"{version.ref} is {version.status}, and only a submitted version is decided on."
        raise Refused(Problem(Code.PLAN_STATE, message, "Call without `decision` for what waits.", "plan_id"))
    if verdict.sha256.lower() != version.sha256 or fingerprint(version.definition) != version.sha256:
        message = f"This is not the hash of {version.ref}; what you looked at is not what is stored."
        raise Refused(Problem(Code.PLAN_HASH, message, f"Read plan://{version.plan_id} again.", "sha256"))


def _step(writing: Writing, steps: Sequence[ApprovalStep], wanted: str | None) -> ApprovalStep:
    """The pending step that is meant, which the caller has the role for."""
    pending = [step for step in steps if step.decision == "pending"]
    mine = [step for step in pending if Role(step.deciding_role) in writing.admission.caller.roles]
    if wanted is None:
        if len(mine) > 1:
            listed = ", ".join(step.step for step in mine)
            raise Refused(Problem(Code.ARGUMENT, "Several steps wait for you.", f"Pass one of: {listed}.", "step"))
        wanted = mine[0].step if mine else pending[0].step
    found = next((step for step in pending if step.step == wanted), None)
    if found is None:
        listed = ", ".join(step.step for step in pending)
        message = f"The step {wanted[:40]!r} does not wait for a decision."
        raise Refused(Problem(Code.PLAN_STATE, message, f"What waits is: {listed}.", "step"))
    writing.admission.caller.require(Role(found.deciding_role))
    return found


async def _activate(writing: Writing, version: PlanVersion) -> None:
    """Let the version count on its days; older ones that it outlasts end on the day before, see `domain.validity`."""
    await writing.execute(
        "UPDATE cm.plan_version o SET status = 'superseded', valid = CASE WHEN lower(o.valid) < lower(v.valid) "
        "AND (upper_inf(v.valid) OR upper(v.valid) >= upper(o.valid)) "
        "THEN daterange(lower(o.valid), lower(v.valid)) ELSE o.valid END "
        "FROM cm.plan_version v WHERE (v.client_id, v.plan_id, v.version) = (%s, %s, %s) "
        "AND o.client_id = v.client_id AND o.plan_id = v.plan_id AND o.version <> v.version "
        "AND o.status IN ('approved', 'active', 'superseded') AND o.valid && v.valid",
        [writing.client_id, version.plan_id, version.version],
    )
    await _set_status(writing, version, "active")
    name = version.definition.get("plan_name", version.name)
    try:
        await writing.execute(
            "UPDATE cm.plan SET plan_name = %s WHERE client_id = %s AND plan_id = %s AND plan_name <> %s",
            [name, writing.client_id, version.plan_id, name],
        )
    except psycopg.errors.UniqueViolation:
        message = f"Another plan is called {name!r} by now."
        fix = "Reject the version; its author submits it under another name."
        raise Refused(Problem(Code.NAME_TAKEN, message, fix, "plan_id")) from None


async def _withdraw(writing: Writing, version: PlanVersion) -> None:
    """Take the version back; a plan without any other gives its name back too."""
    await _set_status(writing, version, "withdrawn")
    await writing.execute(
        "UPDATE cm.plan p SET withdrawn = true WHERE p.client_id = %s AND p.plan_id = %s AND NOT EXISTS "
        "(SELECT FROM cm.plan_version v WHERE v.client_id = p.client_id AND v.plan_id = p.plan_id "
        "AND v.status <> 'withdrawn')",
        [writing.client_id, version.plan_id],
    )


async def _set_status(writing: Writing, version: PlanVersion, status: str) -> None:
    await writing.execute(
        "UPDATE cm.plan_version SET status = %s WHERE client_id = %s AND plan_id = %s AND version = %s",
        [status, writing.client_id, version.plan_id, version.version],
    )
