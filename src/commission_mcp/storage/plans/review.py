"""What a finished draft would become: its number, its amounts, what changes, what it overlaps, who has to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import cast

import anyio.to_thread

from commission_mcp.domain.canonical import fingerprint
from commission_mcp.domain.money import ONE
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import RangeType
from commission_mcp.domain.validity import Stretch, days_in_force, ended_by, gaps
from commission_mcp.domain.wizard import Draft, Known
from commission_mcp.domain.wizard.approvals import NeededStep, needed_steps
from commission_mcp.domain.wizard.differences import Difference, differences
from commission_mcp.domain.wizard.overlaps import Overlap, described, overlaps
from commission_mcp.domain.wizard.worked import WorkedRule, exposure, worked_rules
from commission_mcp.errors import Refused
from commission_mcp.storage.plans.masters import load_parents
from commission_mcp.storage.plans.versions import PlanVersion, load_live_versions, load_versions
from commission_mcp.storage.writing import Writing

_GAPS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class PlanOverlap:
    """Another plan that pays for the same; no overlaps when its assignments cannot be read."""

    plan: PlanVersion
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """A finished draft, reviewed.

    Attributes:
        revision: The hash of all that is submitted; another one as soon as anything of it changes.
        version: The number that the version would get.
        sha256: The hash of the definition.
        worked: Every rule at its cuts.
        exposure: The most that one payee was seen to get, in the plan's currency.
        steps: The approval steps.
        current: The version that it is compared with.
        differences: What changes against that version.
        pending: A version of the plan that waits for decisions, and is withdrawn by submitting.
        live: Other plans that pay for the same.
        assignees: To whom and what it applies, in words.
        without_quota: Payees without the quota that the plan counts by.
        returning: Stretches in which an older version counts again, once this one is active.
        gaps: Days, first and last, on which no version will count any more, or none between two; None is open.
    """

    revision: str
    version: int
    sha256: str
    worked: tuple[WorkedRule, ...]
    exposure: Decimal | None
    steps: tuple[NeededStep, ...]
    current: PlanVersion | None
    differences: tuple[Difference, ...]
    pending: PlanVersion | None
    live: tuple[PlanOverlap, ...]
    assignees: tuple[str, ...]
    without_quota: tuple[str, ...]
    returning: tuple[Stretch, ...]
    gaps: tuple[tuple[date, date | None], ...]


async def review(
    writing: Writing,
    draft: Draft,
    known: Known,
    plan: Plan,
    definition: Mapping[str, object],
    requested: tuple[str, ...],
) -> Review:
    """Review a finished draft; nothing is written.

    Args:
        writing: A transaction.
        draft: The draft.
        known: The client.
        plan: The plan that the draft amounts to.
        definition: Its canonical form.
        requested: The approval steps that the author asks for.
    """
    versions = [] if draft.plan_id is None else await load_versions(writing, draft.plan_id)
    number = max((version.version for version in versions), default=0) + 1
    current = next((version for version in versions if version.status != "withdrawn"), None)
    active = next((version for version in versions if version.status == "active"), current)
    worked = await anyio.to_thread.run_sync(worked_rules, plan)
    most = exposure(plan, worked, _multiplier(plan, known))
    in_base_currency = most if plan.currency == known.base_currency else None
    steps = needed_steps(known.policies, requested, _strictest(known, definition), in_base_currency)
    revision = {
        "definition": dict(definition),
        "plan_id": draft.plan_id,
        "version": number,
        "steps": [[step.step, step.deciding_role, step.automatic] for step in steps],
    }
    returning, uncovered = _after_activation(versions, plan, number)
    return Review(
        revision=fingerprint(revision),
        version=number,
        sha256=fingerprint(dict(definition)),
        worked=worked,
        exposure=most,
        steps=steps,
        current=active,
        differences=() if active is None else tuple(differences(active.definition, dict(definition))),
        pending=next((version for version in versions if version.status == "submitted"), None),
        live=await _live(writing, draft, plan),
        assignees=tuple(_described(assignment, known) for assignment in plan.assignments),
        without_quota=await _without_quota(writing, plan),
        returning=returning,
        gaps=uncovered,
    )


def _after_activation(
    versions: Sequence[PlanVersion], plan: Plan, number: int
) -> tuple[tuple[Stretch, ...], tuple[tuple[date, date | None], ...]]:
    """Where older versions count again behind the new one, and the days that no version covers."""
    stored = [
        Stretch(one.valid_from, one.valid_to, one.version) for one in versions if one.status in {"active", "superseded"}
    ]
    if plan.valid_from is None or not stored:
        return (), ()
    new = Stretch(plan.valid_from, plan.valid_to, number)
    before, after = days_in_force(stored), days_in_force([*ended_by(new, stored), new])
    returning = tuple(one for one in after if one.version != number and one.start > new.start)
    found: list[tuple[date, date | None]] = list(gaps(after))
    covered, will_be = before[-1].last, after[-1].last
    if will_be < covered:
        found.append((will_be + timedelta(days=1), before[-1].end))
    return tuple(one for one in returning if not any(one == was for was in before)), tuple(found)


def _multiplier(plan: Plan, known: Known) -> Decimal:
    """The largest multiplier of the override keys that the plan's assignments carry."""
    keys = {assignment.override_key for assignment in plan.assignments}
    return max((multiplier for key, (_, multiplier) in known.override_keys.items() if key in keys), default=ONE)


def _described(assignment: Assignment, known: Known) -> str:
    """An assignment in words, with its key and priority."""
    key = f"{assignment.override_key}, " if assignment.override_key is not None else ""
    days = [day.isoformat() for day in (assignment.valid_from, assignment.valid_to) if day is not None]
    when = f", {' to '.join(days)}" if days else ""
    _, multiplier = known.override_keys.get(assignment.override_key or "", (0, ONE))
    times = f", commission x {multiplier:f}" if multiplier != ONE else ""
    return f"{described(assignment)} ({key}priority {assignment.priority}{when}{times})"


def _strictest(known: Known, definition: Mapping[str, object]) -> str:
    profile = definition.get("client_specific_rules")
    stated = cast("Mapping[str, object]", profile).get("compliance_level") if isinstance(profile, Mapping) else None
    return "enterprise" if "enterprise" in {known.compliance_level, stated} else known.compliance_level


async def _live(writing: Writing, draft: Draft, plan: Plan) -> tuple[PlanOverlap, ...]:
    """The plans beside this one that some sale can match too."""
    if plan.valid_from is None:
        return ()
    parents = await load_parents(writing)
    others = await load_live_versions(writing, plan.valid_from, plan.valid_to)
    found = (_overlap(plan, other, parents) for other in others if other.plan_id != draft.plan_id)
    return tuple(overlap for overlap in found if overlap is not None)


async def _without_quota(writing: Writing, plan: Plan) -> tuple[str, ...]:
    """Payees who are employed in the plan's time and have no quota in it, where the plan counts by quota."""
    if all(rule.range_type is not RangeType.QUOTA_PERCENT for rule in plan.rules) or plan.valid_from is None:
        return ()
    named = {
        payee for one in plan.assignments for name, values in one.scope.wanted if name == "payee" for payee in values
    }
    rows = await writing.rows(
        "SELECT p.payee_id FROM cm.payee p WHERE p.client_id = %s AND (p.left_on IS NULL OR p.left_on >= %s) "
        "AND (%s OR p.payee_id = ANY (%s)) AND NOT EXISTS (SELECT FROM cm.quota q WHERE q.client_id = p.client_id "
        "AND q.payee_id = p.payee_id AND q.span && daterange(%s, %s, '[]')) ORDER BY 1 LIMIT %s",
        [writing.client_id, plan.valid_from, not named, sorted(named), plan.valid_from, plan.valid_to, _GAPS_MAX],
    )
    return tuple(str(row[0]) for row in rows)


def _overlap(plan: Plan, other: PlanVersion, parents: Mapping[str, Mapping[str, str]]) -> PlanOverlap | None:
    try:
        found = tuple(overlaps(plan, other.plan(), parents))
    except Refused:
        return PlanOverlap(other, ())
    return PlanOverlap(other, found) if found else None
