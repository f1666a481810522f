"""The fields of the three phases, and which phase a field belongs to."""

from __future__ import annotations

from enum import StrEnum

PHASES = (1, 2, 3)
PHASE_NAMES = {1: "plan metadata", 2: "business rules", 3: "assignments and submission"}

PROFILE = ("currency", "region", "compliance_level")
"""The fields of `client_specific_rules`."""

METADATA = (
    "plan_name",
    "description",
    "calculation_schedule",
    "payment_schedule",
    "assignee_type",
    "assignee_name",
    "object_type",
    "valid_from",
    "valid_to",
    "client_specific_rules",
    "proration",
    *PROFILE,
)
"""Phase 1; those of the profile may stand by themselves."""

RULE = (
    "name", "plan_type", "plan_params", "category_type", "range_type", "range_base", "value_type", "fixed_basis",
    "base_value", "plan_base", "accumulation", "boundary", "tiers", "commission", "rates", "points", "interpolation",
    "extrapolate", "cap_range", "scope", "component", "priority", "valid_from", "valid_to", "threshold",
    "client_tier_overrides", "accelerators", "multipliers", "gates", "floor", "cap", "negative_base", "prorate_bands",
    "rounding", "pool", "description", "modifiers", "columns", "step", "below", "holdback", "payout_split",
)  # fmt: skip # names alone, some to a line
"""Phase 2, of one rule."""

PLAN_EXTRAS = (
    "draw",
    "spiffs",
    "bonuses",
    "overrides",
    "base_salary",
    "total_cap",
    "total_floor",
    "clawback_schedule",
    "measures",
)
"""Phase 2, of the plan as a whole."""

RULE_CONTROLS = ("rule_no", "clone_of", "remove", "rules", "change", "change_meaning")
"""Phase 2: which rule is meant, and what is done with it."""

SUBMISSION = ("assignments", "currency", "uom", "client_override", "client_approvals")
"""Phase 3."""

PLAN_TYPES = ("Revenue Target", "Margin Target", "Units Target", "Bookings Target", "Bonus")
ASSIGNEE_TYPES = ("Payee", "Role", "Territory", "Product", "Team")
OBJECT_TYPES = ("Invoices", "Contracts", "Sales Orders")
PLAN_PARAMS = ("Territory", "Product", "BusinessPartner", "Plant", "Group")
SCOPE_FIELDS = ("territory", "product", "payee", "team", "role", "customer", "plant", "group")
"""What an assignment may name, in our spelling."""


class Step(StrEnum):
    """An approval step."""

    MANAGER = "manager_approval"
    FINANCE = "finance_review"
    COMPLIANCE = "compliance_check"
    PAYEE = "payee_acknowledgement"


_OF_PHASE: dict[int, tuple[str, ...]] = {
    1: METADATA,
    2: (*RULE, *PLAN_EXTRAS, *RULE_CONTROLS),
    3: SUBMISSION,
}


def fields_of(phase: int) -> tuple[str, ...]:
    """The fields that a phase knows."""
    return _OF_PHASE[phase]


def phase_of_field(name: str, asked: int) -> int | None:
    """The phase that a field belongs to: the one that was asked for, else the one that knows it."""
    return next((phase for phase in (asked, *PHASES) if name in _OF_PHASE[phase]), None)


def phase_of_path(path: str) -> int:
    """The phase in which what is wrong at a path of the plan can be corrected."""
    root = path.removeprefix("plan.").split(".", 1)[0].split("[", 1)[0]
    if root in {"assignments", "uom", "client_override", "client_approvals"}:
        return 3
    return 1 if root in METADATA or root in {"", "plan"} else 2
