"""Writing a plan version: its rows all come from the one canonical form, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import product
from typing import cast

from psycopg.types.json import Jsonb

from commission_mcp.domain.canonical import canonical_json, fingerprint
from commission_mcp.domain.money import plain
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Curve, FixedBasis, Flat, Limit, RangeType, Rule, Slab, Tiered, ValueType
from commission_mcp.storage.writing import Writing

_COLUMN_OF = {
    "payee": "payee_id",
    "territory": "territory_id",
    "product": "product_id",
    "team": "team",
    "role": "job_role",
    "customer": "customer",
    "plant": "plant",
    "group": "customer_group",
}


async def store_version(
    writing: Writing, plan_id: str, version: int, definition: Mapping[str, object], plan: Plan
) -> str:
    """Write a submitted version with its rules, bands and assignments; its hash.

    Args:
        writing: The transaction; the plan's own row is there.
        plan_id: The plan.
        version: The number that it gets.
        definition: The canonical form.
        plan: What the definition was parsed to.
    """
    rules = list(_rules(definition, plan))
    assignments = list(_assignments(definition))
    sha256 = fingerprint(definition)
    key = [writing.client_id, plan_id, version]
    await writing.execute(
        "INSERT INTO cm.plan_version (client_id, plan_id, version, status, description, valid, assignee_type, "
        "object_type, calculation_schedule, payment_schedule, currency, definition, definition_sha256, created_by) "
        "VALUES (%s, %s, %s, 'submitted', %s, daterange(%s, %s, '[]'), %s, %s, %s, %s, %s, %s::jsonb, "
        "decode(%s, 'hex'), %s)",
        [
            *key,
            definition.get("description") or "",
            plan.valid_from,
            plan.valid_to,
            *(definition[name] for name in ("assignee_type", "object_type", "calculation_schedule")),
            definition["payment_schedule"],
            plan.currency,
            canonical_json(dict(definition)),
            sha256,
            writing.admission.user_id,
        ],
    )
    await _insert_rules(writing, key, rules)
    await _insert_assignments(writing, key, plan, assignments)
    return sha256


async def _insert_rules(writing: Writing, key: Sequence[object], rules: Sequence[dict[str, object]]) -> None:
    await writing.execute(
        "INSERT INTO cm.plan_rule (client_id, plan_id, version, rule_no, plan_type, category_type, range_type, "
        "value_type, fixed_basis, base_value, accumulation, boundary, cap, floor, threshold, draw, draw_recoverable, "
        "premium_threshold, multiplier, cap_range) SELECT %s, %s, %s, r.* FROM jsonb_to_recordset(%s) AS r(rule_no "
        "int, plan_type text, category_type text, range_type text, value_type text, fixed_basis text, base_value text, "
        "accumulation text, boundary text, cap numeric, floor numeric, threshold numeric, draw numeric, "
        "draw_recoverable boolean, premium_threshold numeric, multiplier numeric, cap_range boolean)",
        [*key, Jsonb(list(rules))],
    )
    # In one statement: after it the bands of a rule are checked to leave no gap.
    await writing.execute(
        "INSERT INTO cm.tier (client_id, plan_id, version, rule_no, band, commission) SELECT %s, %s, %s, r.rule_no, "
        "numrange(t.above, t.up_to), t.commission FROM jsonb_to_recordset(%s) AS r(rule_no int, tiers jsonb) "
        "CROSS JOIN jsonb_to_recordset(r.tiers) AS t(above numeric, up_to numeric, commission numeric)",
        [*key, Jsonb(list(rules))],
    )


async def _insert_assignments(
    writing: Writing, key: Sequence[object], plan: Plan, assignments: Sequence[dict[str, object]]
) -> None:
    await writing.execute(
        "INSERT INTO cm.assignment (client_id, plan_id, version, payee_id, territory_id, product_id, team, job_role, "
        "customer, plant, customer_group, override_key, priority, valid) SELECT %s, %s, %s, a.payee_id, "
        "a.territory_id, a.product_id, a.team, a.job_role, a.customer, a.plant, a.customer_group, a.override_key, "
        "a.priority, daterange(coalesce(a.valid_from, %s), coalesce(a.valid_to, %s), '[]') "
        "FROM jsonb_to_recordset(%s) AS a(payee_id text, territory_id text, product_id text, team text, job_role text, "
        "customer text, plant text, customer_group text, override_key text, priority int, valid_from date, "
        "valid_to date)",
        [*key, plan.valid_from, plan.valid_to, Jsonb(list(assignments))],
    )


def _rules(definition: Mapping[str, object], plan: Plan) -> Iterator[dict[str, object]]:
    """A row for every rule of the plan, its SPIFFs and bonuses behind those that were written as rules."""
    written = cast("Sequence[Mapping[str, object]]", definition["rules"])
    for index, rule in enumerate(plan.rules):
        plan_type = written[index]["plan_type"] if index < len(written) else "Bonus"
        draw = plan.draw if index == 0 else None
        yield {
            "rule_no": index + 1,
            "plan_type": plan_type,
            **_kind(rule),
            "cap": _amount(rule.cap),
            "floor": _amount(rule.floor),
            "threshold": _threshold(rule),
            "draw": None if draw is None else plain(draw.amount),
            "draw_recoverable": None if draw is None else draw.recoverable,
            **_tier_override(rule),
            "tiers": _tiers(rule),
        }


def _kind(rule: Rule) -> dict[str, object]:
    category = type(rule.scheme).__name__ if isinstance(rule.scheme, Flat | Slab | Tiered) else "Interpolated"
    basis = None if rule.fixed_basis is None else rule.fixed_basis.value
    if rule.value_type is ValueType.FIXED and basis is None:
        basis = "per_period"  # an interpolated amount is for the window
    if rule.fixed_basis is FixedBasis.PER_STEP:
        basis = "per_period"  # so many steps of the window; the definition holds their size
    return {
        "category_type": category,
        "range_type": None if category == "Flat" else rule.range_type.value,
        "value_type": rule.value_type.value,
        "fixed_basis": basis,
        "base_value": rule.base.value,
        "accumulation": rule.accumulation.value,
        "boundary": "upper_inclusive" if rule.bands is None else rule.bands.boundary.value,
        "cap_range": rule.bands is not None and rule.bands.ceiling is not None,
    }


def _amount(limit: Limit | None) -> str | None:
    return None if limit is None or limit.of_target else plain(limit.at)


def _threshold(rule: Rule) -> str | None:
    measured = rule.threshold
    return None if measured is None or measured.measure is RangeType.QUOTA_PERCENT else plain(measured.at)


def _tier_override(rule: Rule) -> dict[str, str]:
    override = rule.tier_override
    if override is None or not override.multiplier:
        return {}
    return {"premium_threshold": plain(override.premium_threshold), "multiplier": plain(override.multiplier)}


def _tiers(rule: Rule) -> list[dict[str, str | None]]:
    if isinstance(rule.scheme, Flat):
        return [_tier(Decimal(0), None, rule.scheme.value)]
    if isinstance(rule.scheme, Curve):
        return []  # points have no bands; the definition holds them
    bands = rule.scheme.bands
    return [_tier(floor, bands.edge(index), bands.values[index]) for index, floor in enumerate(bands.floors)]


def _tier(above: Decimal, up_to: Decimal | None, commission: Decimal) -> dict[str, str | None]:
    return {"above": plain(above), "up_to": None if up_to is None else plain(up_to), "commission": plain(commission)}


def _assignments(definition: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """A row for every combination of the values that an assignment names."""
    for assignment in cast("Sequence[Mapping[str, object]]", definition["assignments"]):
        named = [name for name in _COLUMN_OF if assignment.get(name)]
        values = [_listed(assignment[name]) for name in named]
        for combination in product(*values):
            yield {
                **{_COLUMN_OF[name]: value for name, value in zip(named, combination, strict=True)},
                "override_key": assignment.get("client_override"),
                "priority": assignment["priority"],
                "valid_from": _day(assignment.get("valid_from")),
                "valid_to": _day(assignment.get("valid_to")),
            }


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in cast("Sequence[object]", value)]


def _day(value: object) -> str | None:
    return None if value is None else date.fromisoformat(str(value)).isoformat()
