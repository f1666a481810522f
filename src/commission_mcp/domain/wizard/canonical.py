"""The plan as it is stored: every choice spelled one way, tiers contiguous with their boundary, keys for names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.money import plain
from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.parsing.plan_form import ASSIGNEES
from commission_mcp.domain.parsing.rule_form import CATEGORIES
from commission_mcp.domain.periods import Schedule
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import Flat, Rule
from commission_mcp.domain.wizard.fields import OBJECT_TYPES, PLAN_TYPES

_Fields = Mapping[str, object]


def canonical_plan(form: _Fields, plan: Plan) -> dict[str, object]:
    """The definition of a plan version.

    Args:
        form: The inline form, complete and right.
        plan: What it was parsed to.

    Raises:
        RuntimeError: when the definition would not pay what the form pays, which no form may cause.
    """
    rules = cast("Sequence[_Fields]", form["rules"])
    assignments = cast("Sequence[_Fields]", form["assignments"])
    definition: dict[str, object] = {
        **{name: value for name, value in form.items() if value is not None and name != "client_approvals"},
        "plan_name": plan.name,
        "calculation_schedule": plan.schedule.value,
        "payment_schedule": _one_of(form["payment_schedule"], [schedule.value for schedule in Schedule]),
        "assignee_type": _one_of(form["assignee_type"], ASSIGNEES),
        "object_type": _one_of(form["object_type"], OBJECT_TYPES),
        "currency": plan.currency,
        "valid_from": form["valid_from"],
        "valid_to": form.get("valid_to"),
        "rules": [_rule(given, rule) for given, rule in zip(rules, plan.rules, strict=False)],
        "assignments": [_assignment(given, one) for given, one in zip(assignments, plan.assignments, strict=True)],
    }
    if parse_plan(definition)[0] != plan:
        raise RuntimeError("the canonical form of a plan is another plan")
    return definition


def _rule(given: _Fields, rule: Rule) -> dict[str, object]:
    kept = {name: value for name, value in given.items() if name not in {"plan_base", "boundary", "cap_range"}}
    category = _one_of(given.get("category_type", "Flat"), CATEGORIES)
    written: dict[str, object] = {
        **kept,
        "plan_type": _one_of(given["plan_type"], PLAN_TYPES),
        "category_type": category,
        "value_type": rule.value_type.value,
        "base_value": rule.base.value,
        "accumulation": rule.accumulation.value,
    }
    if rule.fixed_basis is not None:
        written["fixed_basis"] = rule.fixed_basis.value
    if "range_base" in kept:
        written["range_base"] = rule.measure.value
    if category != "Flat":
        written["range_type"] = rule.range_type.value
    if rule.columns is not None:  # a list of values for each tier, kept as it was written
        return {**written, **{name: given[name] for name in ("boundary", "cap_range") if name in given}}
    if isinstance(rule.scheme, Flat):
        written["commission"] = plain(rule.scheme.value)
        written.pop("tiers", None)
    if rule.bands is not None:
        written["tiers"] = tier_rows(rule.bands)
        written["boundary"] = rule.bands.boundary.value
        if rule.bands.ceiling is not None:
            written["cap_range"] = True
    return written


def tier_rows(bands: Bands) -> list[dict[str, object]]:
    """Bands as tiers, each beginning where the one below ends."""
    return [
        {
            "from": plain(floor),
            "to": None if (end := bands.edge(index)) is None else plain(end),
            "commission": plain(paid),
        }
        for index, (floor, paid) in enumerate(zip(bands.floors, bands.values, strict=True))
    ]


def _assignment(given: _Fields, assignment: Assignment) -> dict[str, object]:
    written = {name: value for name, value in given.items() if name not in {"currency", "uom", "boundary"}}
    written["priority"] = assignment.priority
    if assignment.bands is not None:
        written["tiers"] = tier_rows(assignment.bands)
        written["boundary"] = assignment.bands.boundary.value
    return written


def _one_of(value: object, allowed: Sequence[str]) -> str:
    """The allowed spelling of a value that was accepted whatever its case."""
    return next(name for name in allowed if name.lower() == str(value).strip().lower())
