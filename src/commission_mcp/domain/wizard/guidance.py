"""What the author is told after every step: where the draft stands, and the next call that would work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import cast

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.wizard.assessment import Assessment
from commission_mcp.domain.wizard.draft import Draft
from commission_mcp.domain.wizard.fields import (
    ASSIGNEE_TYPES,
    OBJECT_TYPES,
    PHASE_NAMES,
    PHASES,
    PLAN_TYPES,
    phase_of_path,
)
from commission_mcp.domain.wizard.known import Known
from commission_mcp.errors import Problem

SCHEDULES = ("Per Transaction", "Daily", "Weekly", "Monthly", "Quarterly", "Half-Yearly", "Yearly")
_SAVED_CHARS_MAX = 8_000
_SAVED_TEXT_CHARS_MAX = 3_000
_ENTRIES_SHOWN = 6
_TEXT_SHOWN = 200

EXAMPLES: Mapping[str, object] = {
    "plan_name": "Sales Plan, Third Quarter 2026",
    "calculation_schedule": "Monthly",
    "payment_schedule": "Monthly",
    "assignee_type": "Territory",
    "valid_from": "2026-07-01",
    "valid_to": "2026-09-30",
    "proration": "actual",
    "plan_type": "Revenue Target",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "fixed_basis": "per_unit",
    "base_value": "Gross Revenue",
    "commission": "5",
    "tiers": [
        {"from": "0", "to": "100000", "commission": "5"},
        {"from": "100000", "to": None, "commission": "7.5"},
    ],
    "assignments": [{"territory": "North", "product": "Product A"}],
    "uom": "Each",
    "currency": "USD",
    "client_specific_rules": {"currency": "USD", "region": "North America"},
    "measures": [{"name": "margin", "range_type": "Margin Percent"}],
    "columns": {"measure": "margin", "from": ["0", "20", "30"]},
    "modifiers": [{"measure": "margin", "tiers": [{"from": "20", "to": None, "multiplier": "1.1"}]}],
    "gates": [{"measure": "margin", "at_least": "20"}],
    "holdback": {"percentage": "20", "until": {"days": "90"}},
    "payout_split": [{"payee": "p1", "share": "30"}],
    "change": "+1pt",
    "rule_no": 1,
}
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "calculation_schedule": SCHEDULES,
    "payment_schedule": SCHEDULES[1:],
    "assignee_type": ASSIGNEE_TYPES,
    "object_type": OBJECT_TYPES,
    "proration": ("none", "actual", "30"),
    "plan_type": PLAN_TYPES,
    "category_type": ("Flat", "Slab", "Tiered", "Interpolated"),
    "range_type": ("Amount", "Quantity", "Percentage of Quota"),
    "value_type": ("Percentage", "Fixed Amount"),
    "fixed_basis": ("per_transaction", "per_unit", "per_period", "per_step"),
    "base_value": ("Gross Revenue", "Net Revenue", "Margin", "Bookings", "Cash Collected", "Units"),
    "accumulation": ("transaction", "calculation_period", "quarter", "year", "plan"),
    "boundary": ("upper_inclusive", "lower_inclusive"),
}
"""The choices of each field, as far as they do not depend on the client."""


def step_text(phase: int) -> str:
    """`Step 2 of 3: business rules`."""
    return f"Step {phase} of {len(PHASES)}: {PHASE_NAMES[phase]}"


def shown_problem(problem: Problem, known: Known) -> dict[str, object]:
    """A problem as the author gets it, with the allowed values and an example where there are any."""
    name = _field_of(problem.path)
    shown: dict[str, object] = {"code": str(problem.code), "path": problem.path, "phase": phase_of_path(problem.path)}
    shown |= {"message": problem.message, "fix": problem.fix}
    if name in ALLOWED:
        shown["allowed"] = list(ALLOWED[name])
    if name in EXAMPLES:
        shown["example"] = example(name, known)
    return shown


def example(name: str, known: Known) -> object:
    """An example of a field, with the client's own names where it has any."""
    if name == "assignments" and known.territories.shown:
        products = {"product": known.products.shown[0]} if known.products.shown else {}
        return [{"territory": known.territories.shown[0], **products}]
    if name == "uom" and known.uoms.shown:
        return known.uoms.shown[0]
    if name == "client_specific_rules":
        return {"currency": known.base_currency, **({} if known.region is None else {"region": known.region})}
    return known.base_currency if name == "currency" else EXAMPLES.get(name, "...")


def saved_fields(draft: Draft) -> dict[str, object]:
    """What the draft holds, by phase; long lists are counted instead when it would become too long."""
    saved: dict[str, object] = {
        "1": dict(draft.metadata),
        "2": {"rules": [{"rule_no": number, **rule} for number, rule in enumerate(draft.rules, 1)], **draft.extras},
        "3": dict(draft.submission),
    }
    return saved if len(canonical_json(saved)) <= _SAVED_CHARS_MAX else cast("dict[str, object]", _short(saved))


def next_call(draft_id: str, phase: int, assessment: Assessment, known: Known) -> dict[str, object]:
    """The next call: the open fields of the phase with example values, or the review."""
    if assessment.open_phase is None:
        return {
            "say": "The plan is whole. Review it: the answer has worked amounts and the `revision` to submit.",
            "tool": "plan_wizard",
            "arguments": {"action": "review", "draft_id": draft_id},
        }
    missing, problems = assessment.of_phase(phase)
    names = _first_names([*missing, *problems])
    verb = "Correct" if problems and not missing else "Give"
    listed = ", ".join(names) or "nothing"
    return {
        "say": f"{verb} {listed} ({step_text(phase)}). The values here are examples.",
        "tool": "plan_wizard",
        "arguments": {
            "draft_id": draft_id,
            "phase": phase,
            "fields": {name: example(name, known) for name in names},
        },
    }


def saved_line(draft: Draft) -> str:
    """What the draft holds, as a line of text."""
    text = canonical_json(saved_fields(draft))
    return f"Saved: {text if len(text) <= _SAVED_TEXT_CHARS_MAX else f'{text[:_SAVED_TEXT_CHARS_MAX]} ... (cut)'}"


def lines_of(title: str, problems: Sequence[Problem]) -> list[str]:
    """Problems as lines of text."""
    return [f"{title}:", *(f"- {problem}" for problem in problems)] if problems else []


def default_rows(assessment: Assessment) -> list[dict[str, object]]:
    """What was filled in, and from where."""
    rows = [asdict(default) for default in assessment.defaults]
    return rows if len(canonical_json(rows)) <= _SAVED_CHARS_MAX else cast("list[dict[str, object]]", _short(rows))


def _first_names(problems: Iterable[Problem]) -> list[str]:
    names: list[str] = []
    for problem in problems:
        root = problem.path.split(".", 1)[0]
        name = _field_of(problem.path) if root.startswith("rules[") else root.split("[", 1)[0]
        if name and name not in names:
            names.append(name)
    return names


def _field_of(path: str) -> str:
    return path.rpartition(".")[2].split("[", 1)[0]


def _short(value: object) -> object:
    """The value with long lists and texts counted instead of shown."""
    if isinstance(value, Mapping):
        return {name: _short(part) for name, part in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        items = cast("list[object]", value)
        nested = any(isinstance(item, list | Mapping) for item in items)
        if len(items) > _ENTRIES_SHOWN and nested:
            return [*(_short(item) for item in items[:_ENTRIES_SHOWN]), f"... {len(items)} in all"]
        return [_short(item) for item in items]
    return f"{value[:_TEXT_SHOWN]} ..." if isinstance(value, str) and len(value) > _TEXT_SHOWN else value


def call_text(call: Mapping[str, object]) -> str:
    """A call as a line: `plan_wizard {"action":"review",...}`."""
    return f"{call['tool']} {canonical_json(call['arguments'])}"
