"""The `decide_plan` tool: approving and rejecting what others submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller, outbox_fallback
from commission_mcp.domain.caller import Role
from commission_mcp.domain.wizard.guidance import call_text
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage import Writing
from commission_mcp.storage.outbox import load_destinations
from commission_mcp.storage.plans import (
    ApprovalStep,
    PlanVersion,
    Verdict,
    decide,
    load_steps,
    load_version,
    load_versions,
    lock_plan,
    waiting_steps,
)
from commission_mcp.storage.plans.telling import version_rows

ANNOTATIONS = ToolAnnotations(
    title="Decide on a plan", read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
)
_COMMENT_CHARS_MAX = 2_000
_SHOWN_MAX = 20  # versions that wait
_OVERSEE = (Role.APPROVER, Role.FINANCE, Role.COMPLIANCE, Role.MANAGER, Role.ADMIN)


class DecisionResult(BaseModel):
    """How a version stands, or what waits for a decision."""

    plan: dict[str, Any] | None = Field(description="The version: status, sha256, approvals.")
    waiting: list[Any] = Field(description="Versions that wait; `yours` are the steps that you may decide.")
    next: dict[str, Any] = Field(description="The next call: {say, tool, arguments}.")


async def decide_plan(
    plan_id: Annotated[str | None, Field(description="The plan; without it you see what waits.")] = None,
    version: Annotated[int | None, Field(ge=1, description="Its version; default: the one that waits.")] = None,
    decision: Annotated[
        Literal["approve", "reject"] | None, Field(description="Without it you see the version and its steps.")
    ] = None,
    sha256: Annotated[str | None, Field(description="The hash of the version that the user looked at.")] = None,
    step: Annotated[str | None, Field(description="manager_approval, finance_review, ...; default: yours.")] = None,
    comment: Annotated[
        str | None, Field(max_length=_COMMENT_CHARS_MAX, description="Why; a rejection needs one.")
    ] = None,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, DecisionResult]:
    """Approve or reject a submitted plan version, in the role that the client's policy names; never your own.

    Without arguments it lists what waits. Show the user the version (resource plan://{plan_id}/versions/{n}) first, and
    decide only what the user decided. The last approval activates the version; a rejection withdraws it.
    """
    async with (await app.database()).writing(caller) as writing:
        writing.admission.caller.require(*_OVERSEE, Role.PAYEE)
        if plan_id is None:
            _refuse_stray(version, decision, sha256, step, comment)
            return await _waiting(writing)
        if decision is None:
            return await _shown(writing, await _meant(writing, plan_id, version))
        verdict = _verdict(decision, sha256, step, comment)
        await lock_plan(writing, plan_id)
        found = await _meant(writing, plan_id, version)
        destinations = await load_destinations(writing, outbox_fallback(app.settings))
        decided = await decide(writing, found, verdict, destinations.targets)
        return _answer(writing, decided.version, decided.steps)


def _verdict(decision: str, sha256: str | None, step: str | None, comment: str | None) -> Verdict:
    problems: list[Problem] = []
    if sha256 is None:
        fix = "Call with the plan alone, show the version to the user, and pass the `sha256` of that answer."
        problems.append(Problem(Code.ARGUMENT, "A decision is on exactly one text: its hash is needed.", fix, "sha256"))
    if decision == "reject" and not (comment or "").strip():
        problems.append(Problem(Code.ARGUMENT, "A rejection needs a reason.", "Pass it as `comment`.", "comment"))
    if problems:
        raise Refused(*problems)
    return Verdict(sha256 or "", step, decision == "approve", comment)


def _refuse_stray(*arguments: object) -> None:
    if any(argument is not None for argument in arguments):
        raise Refused(Problem(Code.ARGUMENT, "Which plan is meant?", "Pass `plan_id`.", "plan_id"))


async def _meant(writing: Writing, plan_id: str, version: int | None) -> PlanVersion:
    """The version that is meant: without a number the one that waits, else the newest."""
    if version is None:
        versions = await load_versions(writing, plan_id)
        meant = next((one for one in versions if one.status == "submitted"), versions[0] if versions else None)
        version = None if meant is None else meant.version
    return await load_version(writing, plan_id, version)


async def _shown(writing: Writing, version: PlanVersion) -> CallToolResult:
    steps = await load_steps(writing, version)
    if not _may_see(writing, steps):
        writing.admission.caller.require(*_OVERSEE)
    return _answer(writing, version, steps)


def _may_see(writing: Writing, steps: Sequence[ApprovalStep]) -> bool:
    """Whoever decides on plans sees them all; a payee only those that payees acknowledge."""
    roles = writing.admission.caller.roles
    return not roles.isdisjoint(_OVERSEE) or any(Role(step.deciding_role) in roles for step in steps)


async def _waiting(writing: Writing) -> CallToolResult:
    everything = [one for one in await waiting_steps(writing) if _may_see(writing, one[1])]
    # What the caller can decide comes first, and of that the oldest.
    found = sorted(everything, key=lambda one: not _mine(writing, *one))[:_SHOWN_MAX]
    rows = [{**version_rows(version, steps), "yours": _mine(writing, version, steps)} for version, steps in found]
    lines = [f"{len(everything)} plan versions wait for decisions; {len(found)} are shown, yours first."]
    lines += [
        f"- {version.ref} {version.name!r} by {version.created_by}, sha256 {version.sha256}; "
        f"yours: {', '.join(_mine(writing, version, steps)) or 'none'}"
        for version, steps in found
    ]
    yours = next((row for row in rows if row["yours"]), None)
    say = "Look at it, then decide." if yours else "Nothing waits for you."
    arguments = {} if yours is None else {"plan_id": yours["plan_id"], "version": yours["version"]}
    return _result("\n".join(lines), {"say": say, "tool": "decide_plan", "arguments": arguments}, None, rows)


def _mine(writing: Writing, version: PlanVersion, steps: Sequence[ApprovalStep]) -> list[str]:
    """The steps of a version that the caller may decide."""
    if version.created_by == writing.admission.user_id or version.status != "submitted":
        return []
    roles = writing.admission.caller.roles
    return [step.step for step in steps if step.decision == "pending" and Role(step.deciding_role) in roles]


def _answer(writing: Writing, version: PlanVersion, steps: Sequence[ApprovalStep]) -> CallToolResult:
    lines = [f"{version.ref} {version.name!r} by {version.created_by} is {version.status}; sha256 {version.sha256}."]
    lines += [
        f"- {step.step} ({step.deciding_role}): {step.decision}{f' by {step.decided_by}' if step.decided_by else ''}"
        for step in steps
    ]
    mine = _mine(writing, version, steps)
    arguments: dict[str, object] = {"plan_id": version.plan_id, "version": version.version}
    say = "Nothing of it waits for you."
    if mine:
        say = f"Show plan://{version.plan_id}/versions/{version.version} to the user, and pass what they decide."
        arguments |= {"decision": "approve", "sha256": version.sha256, "step": mine[0]}
    following = {"say": say, "tool": "decide_plan", "arguments": arguments}
    return _result("\n".join(lines), following, version_rows(version, steps), [])


def _result(
    text: str, following: Mapping[str, object], plan: Mapping[str, object] | None, waiting: Sequence[object]
) -> CallToolResult:
    structured = {"plan": plan, "waiting": list(waiting), "next": dict(following)}
    text = f"{text}\nNext: {following['say']}\n{call_text(following)}"
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
