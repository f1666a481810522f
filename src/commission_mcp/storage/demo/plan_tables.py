"""The rows of a demo company's plans: versions, rules, tiers, assignments, and who approved them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import LiteralString

from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.months import half_open
from commission_mcp.storage.demo.plans import Assignment, Plan
from commission_mcp.storage.demo.tables import Cell, Rows

_STEPS = (
    ("manager_approval", "approver"),
    ("finance_review", "finance"),
    ("compliance_check", "compliance"),
)


def plan_rows(company: Company) -> Iterator[Rows]:
    """Plans, from their names to their approvals."""
    names = {plan.plan_id: (plan.name, plan.status == "withdrawn") for plan in company.plans}
    yield Rows("plan", ("plan_id", "plan_name", "withdrawn"), ((key, *row) for key, row in names.items()))
    yield _versions(company)
    yield _rules(company)
    yield _tiers(company)
    yield _assignments(company)
    yield _approvals(company)


def _versions(company: Company) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "plan_id",
        "version",
        "status",
        "description",
        "valid",
        "assignee_type",
        "object_type",
        "calculation_schedule",
        "payment_schedule",
        "currency",
        "definition",
        "definition_sha256",
        "created_by",
        "created_at",
    )
    return Rows("plan_version", columns, (_version(company, plan) for plan in company.plans))


def _version(company: Company, plan: Plan) -> tuple[Cell, ...]:
    return (
        plan.plan_id,
        plan.version,
        plan.status,
        plan.description,
        half_open(plan.first, plan.last),
        plan.assignee_type,
        "Invoices",
        "Monthly",
        "Monthly",
        plan.currency,
        plan.definition,
        plan.definition_sha256,
        f"{company.client.prefix}-author",
        _at(plan, days_before=30),
    )


def _rules(company: Company) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "plan_id",
        "version",
        "rule_no",
        "plan_type",
        "category_type",
        "range_type",
        "value_type",
        "fixed_basis",
        "base_value",
        "accumulation",
        "boundary",
    )
    rows = (
        (
            plan.plan_id,
            plan.version,
            1,
            rule.plan_type,
            rule.category_type,
            rule.range_type,
            rule.value_type,
            rule.fixed_basis,
            rule.base_value,
            "calculation_period",
            "upper_inclusive",
        )
        for plan in company.plans
        for rule in (plan.rule,)
    )
    return Rows("plan_rule", columns, rows)


def _tiers(company: Company) -> Rows:
    rows = (
        (plan.plan_id, plan.version, 1, band(tier.above, tier.up_to), tier.commission)
        for plan in company.plans
        for tier in plan.rule.tiers
    )
    return Rows("tier", ("plan_id", "version", "rule_no", "band", "commission"), rows)


def band(above: int, up_to: int | None) -> str:
    """A band as the database writes it; to which band a cut belongs is said by the rule."""
    return f"[{above},{'' if up_to is None else up_to})"


def _assignments(company: Company) -> Rows:
    columns: tuple[LiteralString, ...] = (
        "plan_id",
        "version",
        "territory_id",
        "product_id",
        "override_key",
        "priority",
        "valid",
    )
    rows = (_assignment(plan, assignment) for plan in company.plans for assignment in plan.assignments)
    return Rows("assignment", columns, rows)


def _assignment(plan: Plan, assignment: Assignment) -> tuple[Cell, ...]:
    return (
        plan.plan_id,
        plan.version,
        assignment.territory_id,
        assignment.product_id,
        assignment.override_key,
        assignment.priority,
        half_open(plan.first, plan.last),
    )


def _approvals(company: Company) -> Rows:
    """What was asked of whom: given for plans in force, pending for a submitted one, nothing for a withdrawn one."""
    columns: tuple[LiteralString, ...] = (
        "subject_kind",
        "subject_ref",
        "subject_sha256",
        "step",
        "requested_by",
        "decided_by",
        "decision",
        "decided_at",
        "comment",
    )
    steps = _STEPS if company.client.compliance_level == "enterprise" else _STEPS[:2]
    rows = (
        _approval(company, plan, step, role)
        for plan in company.plans
        if plan.status != "withdrawn"
        for step, role in steps
    )
    return Rows("approval", columns, rows)


def _approval(company: Company, plan: Plan, step: str, role: str) -> tuple[Cell, ...]:
    prefix = company.client.prefix
    decision: tuple[Cell, ...] = (None, "pending", None, None)
    if plan.in_force:
        decision = (f"{prefix}-{role}", "approved", _at(plan, days_before=14), "Checked against the budget.")
    subject = ("plan_version", f"{plan.plan_id}/{plan.version}", plan.definition_sha256)
    return (*subject, step, f"{prefix}-author", *decision)


def _at(plan: Plan, *, days_before: int) -> str:
    """A moment before a plan takes effect."""
    return f"{datetime.combine(plan.first - timedelta(days=days_before), time(9, 30)).isoformat()}Z"
