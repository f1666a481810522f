"""Reviews and versions as they are told: in rows for programs, and in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from commission_mcp.domain.wizard.differences import Difference
from commission_mcp.domain.wizard.worked import WorkedRule
from commission_mcp.storage.plans.approvals import ApprovalStep
from commission_mcp.storage.plans.review import Review
from commission_mcp.storage.plans.versions import PlanVersion

_ROWS_MAX = 200  # worked places of all rules together
_DIFFERENCES_MAX = 50
_TEXT_ROWS_MAX = 12  # of each rule
_OVERLAPS_MAX = 20


def review_rows(reviewed: Review) -> dict[str, Any]:
    """A review for programs."""
    each = max(2, _ROWS_MAX // max(1, len(reviewed.worked)))
    current = reviewed.current
    return {
        "version": reviewed.version,
        "sha256": reviewed.sha256,
        "rules": [_rule_rows(rule, each) for rule in reviewed.worked],
        "exposure": None if reviewed.exposure is None else f"{reviewed.exposure:f}",
        "compared_with": None if current is None else current.ref,
        "differences": [_difference_row(one) for one in reviewed.differences[:_DIFFERENCES_MAX]],
        "differences_count": len(reviewed.differences),
        "overlaps": [
            {
                "plan_id": other.plan.plan_id,
                "version": other.plan.version,
                "plan_name": other.plan.name,
                "status": other.plan.status,
                "pairs": [{"this": one.mine, "other": one.other} for one in other.overlaps[:_OVERLAPS_MAX]],
            }
            for other in reviewed.live[:_OVERLAPS_MAX]
        ],
        "assignees": list(reviewed.assignees),
        "approvals": [
            {"step": step.step, "deciding_role": step.deciding_role, "automatic": step.automatic, "reason": step.reason}
            for step in reviewed.steps
        ],
        "quota_rows_needed": [{"payee_id": payee} for payee in reviewed.without_quota[:_DIFFERENCES_MAX]],
    }


def review_text(reviewed: Review, currency: str) -> list[str]:
    """A review in lines of text."""
    lines = [f"Version {reviewed.version}, sha256 {reviewed.sha256}, revision {reviewed.revision}."]
    for rule in reviewed.worked:
        lines += _rule_lines(rule, currency)
    if reviewed.current is not None:
        changes = [f"- {one.path}: {one.before} -> {one.after}" for one in reviewed.differences[:_DIFFERENCES_MAX]]
        lines += [f"Against {reviewed.current.ref}: {len(reviewed.differences)} differences.", *changes]
    lines.append(f"For: {'; '.join(reviewed.assignees[:_OVERLAPS_MAX])}.")
    steps = (f"{step.step} ({'automatic' if step.automatic else step.deciding_role})" for step in reviewed.steps)
    return [*lines, f"Approvals: {', '.join(steps)}."]


def version_rows(version: PlanVersion, steps: Sequence[ApprovalStep]) -> dict[str, Any]:
    """A version and its approvals for programs."""
    return {
        "plan_id": version.plan_id,
        "version": version.version,
        "plan_name": version.name,
        "status": version.status,
        "sha256": version.sha256,
        "valid_from": version.valid_from.isoformat(),
        "valid_to": None if version.valid_to is None else version.valid_to.isoformat(),
        "created_by": version.created_by,
        "approvals": [
            {
                "step": step.step,
                "decision": step.decision,
                "deciding_role": step.deciding_role,
                "decided_by": step.decided_by,
                "decided_at": None if step.decided_at is None else f"{step.decided_at:%Y-%m-%dT%H:%M:%SZ}",
                "comment": step.comment,
            }
            for step in steps
        ],
    }


def _rule_rows(rule: WorkedRule, rows_max: int) -> dict[str, Any]:
    return {
        "name": rule.name,
        "category": rule.category,
        "sibling": rule.sibling,
        "unit": rule.unit,
        "tiers": list(rule.tiers[:rows_max]),
        "columns": ["at", "pays", "sibling_pays"],
        "rows": [[row.at, row.pays, row.sibling_pays] for row in rule.rows[:rows_max]],
        "assumed": rule.assumed,
    }


def _rule_lines(rule: WorkedRule, currency: str) -> list[str]:
    assumed = f" (assuming {rule.assumed})" if rule.assumed else ""
    lines = [f"{rule.name}, {rule.category}: {'; '.join(rule.tiers[:_TEXT_ROWS_MAX])}{assumed}."]
    for row in rule.rows[:_TEXT_ROWS_MAX]:
        beside = "" if rule.sibling is None else f"; as {rule.sibling} it would pay {row.sibling_pays}"
        lines.append(f"- at {row.at} {rule.unit}: {row.pays} {currency}{beside}")
    more = len(rule.rows) - _TEXT_ROWS_MAX
    return [*lines, f"- ... and {more} more places"] if more > 0 else lines


def _difference_row(one: Difference) -> dict[str, Any]:
    return {"path": one.path, "before": one.before, "after": one.after}
