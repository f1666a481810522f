"""The plans of the demo: one definition each, from which the stored JSON and the stored rows are both made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Tier:
    """A band of a rule: what it starts above, where it ends, and what it pays."""

    above: int
    up_to: int | None
    commission: Decimal


def tiers(*steps: tuple[int, str]) -> tuple[Tier, ...]:
    """Bands from their lower cuts and rates, without gaps, the last one open."""
    ends = [above for above, _ in steps[1:]]
    return tuple(Tier(above, end, Decimal(rate)) for (above, rate), end in zip(steps, [*ends, None], strict=True))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a plan; it accumulates over the calculation period, and cuts belong to the lower band."""

    plan_type: str
    category_type: str
    base_value: str
    tiers: tuple[Tier, ...]
    range_type: str | None = None
    value_type: str = "Percentage"
    fixed_basis: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a plan applies; one that names more goes first."""

    territory_id: str | None = None
    product_id: str | None = None
    override_key: str | None = None
    priority: int = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a plan, with its single rule."""

    plan_id: str
    name: str
    description: str
    status: str
    first: date
    last: date
    rule: Rule
    assignments: tuple[Assignment, ...]
    currency: str
    region: str
    compliance_level: str
    uom: str
    version: int = 1
    assignee_type: str = "Territory"

    @property
    def in_force(self) -> bool:
        """Whether results were computed from it."""
        return self.status in {"active", "superseded"}

    @property
    def definition(self) -> str:
        """The plan in the inline form, as canonical JSON: sorted keys, no spaces."""
        return canonical(
            {
                "plan_name": self.name,
                "description": self.description,
                "calculation_schedule": "Monthly",
                "payment_schedule": "Monthly",
                "assignee_type": self.assignee_type,
                "object_type": "Invoices",
                "valid_from": self.first.isoformat(),
                "valid_to": self.last.isoformat(),
                "client_specific_rules": {
                    "currency": self.currency,
                    "region": self.region,
                    "compliance_level": self.compliance_level,
                },
                "currency": self.currency,
                "uom": self.uom,
                "rules": [_rule(self.rule)],
                "assignments": [_assignment(assignment) for assignment in self.assignments],
            }
        )

    @property
    def definition_sha256(self) -> bytes:
        """What approvals are bound to."""
        return hashlib.sha256(self.definition.encode()).digest()


def canonical(value: Json) -> str:
    """JSON that is equal exactly when its text is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _rule(rule: Rule) -> Json:
    """A rule in the inline form; what does not apply is left out."""
    written: dict[str, Json] = {
        "plan_type": rule.plan_type,
        "category_type": rule.category_type,
        "value_type": rule.value_type,
        "base_value": rule.base_value,
        "accumulation": "calculation_period",
        "boundary": "upper_inclusive",
        "tiers": [{"from": t.above, "to": t.up_to, "commission": f"{t.commission:f}"} for t in rule.tiers],
    }
    if rule.range_type is not None:
        written["range_type"] = rule.range_type
    if rule.fixed_basis is not None:
        written["fixed_basis"] = rule.fixed_basis
    return written


def _assignment(assignment: Assignment) -> Json:
    """An assignment in the inline form."""
    named = {
        "territory": assignment.territory_id,
        "product": assignment.product_id,
        "client_override": assignment.override_key,
    }
    return {**{name: value for name, value in named.items() if value is not None}, "priority": assignment.priority}
