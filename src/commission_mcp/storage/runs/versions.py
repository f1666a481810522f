"""The stored versions of plans, as the calculation takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, LiteralString

from commission_mcp.domain.money import ONE, loads
from commission_mcp.domain.parsing.plan_form import parse_plan
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.plans.versions import load_days_in_force
from commission_mcp.storage.writing import Writing

_COLUMNS: LiteralString = """
SELECT v.plan_id, p.plan_name, v.version, v.status, lower(v.valid), upper(v.valid), v.currency,
  v.object_type, v.definition::text, v.definition_sha256,
  (SELECT coalesce(array_agg(r.rule_no), '{}') FROM cm.plan_rule r
   WHERE (r.client_id, r.plan_id, r.version) = (v.client_id, v.plan_id, v.version))
FROM cm.plan_version v JOIN cm.plan p USING (client_id, plan_id)
WHERE v.client_id = %s"""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A version of a plan.

    Attributes:
        plan: What it says, with dates on which it is the version that counts.
        sha256: The fingerprint of its definition.
        rule_numbers: The rules that the table of rules has, for results to name.
    """

    plan_id: str
    name: str
    version: int
    status: str
    plan: Plan
    sha256: bytes
    rule_numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class OverrideKey:
    """What one of the client's own keys stands for."""

    priority: int
    multiplier: Decimal


async def versions_in_force(writing: Writing, first: date, last: date) -> list[StoredPlan]:
    """The versions that pay sales of these days, each with days on which it counts; see `domain.validity`.

    A version that another one interrupts is there twice, before and after: each stretch counts for itself.

    Raises:
        Refused: when a stored definition cannot be read, with every reason.
    """
    wanted = [
        (plan_id, stretch)
        for plan_id, stretches in (await load_days_in_force(writing)).items()
        for stretch in stretches
        if stretch.start <= last and stretch.last >= first
    ]
    keys = await override_keys(writing)
    rows = await writing.rows(
        _COLUMNS + _WANTED,
        [writing.client_id, [plan_id for plan_id, _ in wanted], [stretch.version for _, stretch in wanted]],
    )
    stored = {(found.plan_id, found.version): found for found in (_stored(row, keys) for row in rows)}
    return [
        replace(found, plan=replace(found.plan, valid_from=stretch.start, valid_to=stretch.end))
        for plan_id, stretch in sorted(wanted, key=lambda one: (one[0], one[1].version, one[1].start))
        for found in (stored[plan_id, stretch.version],)
    ]


async def find_version(writing: Writing, plan_id: str, version: int | None) -> StoredPlan:
    """A version of a plan, whatever its status; without a number the newest that is not withdrawn.

    Raises:
        Refused: with `E_NOT_FOUND` and the nearest names, or when its definition cannot be read.
    """
    rows = await writing.rows(
        _COLUMNS + " AND v.plan_id = %s AND (v.version = %s OR (%s::int IS NULL AND v.status <> 'withdrawn'))"
        " ORDER BY v.version DESC LIMIT 1",
        [writing.client_id, plan_id, version, version],
    )
    if rows:
        return _stored(rows[0], await override_keys(writing))
    known = [str(row[0]) for row in await writing.rows(_PLANS, [writing.client_id])]
    near = get_close_matches(plan_id, known, n=3, cutoff=0.4) or known[:5]
    has = await writing.rows(
        "SELECT version FROM cm.plan_version WHERE client_id = %s AND plan_id = %s ORDER BY 1",
        [writing.client_id, plan_id],
    )
    fix = f"Its versions are {', '.join(str(row[0]) for row in has)}." if has else f"Known are: {', '.join(near)}."
    what = plan_id[:60] if version is None else f"{plan_id[:60]} version {version}"
    raise Refused(Problem(Code.NOT_FOUND, f"There is no plan {what!r}.", fix, "plan"))


async def definition(writing: Writing, stored: StoredPlan) -> object:
    """What a version says, as JSON without binary floats."""
    row = await writing.row(
        "SELECT definition::text FROM cm.plan_version WHERE client_id = %s AND plan_id = %s AND version = %s",
        [writing.client_id, stored.plan_id, stored.version],
    )
    return None if row is None else loads(row[0])


async def override_keys(writing: Writing) -> Mapping[str, OverrideKey]:
    """The client's own keys for priorities and multipliers."""
    rows = await writing.rows(
        "SELECT override_key, priority, multiplier FROM cm.override_key WHERE client_id = %s", [writing.client_id]
    )
    return {str(key): OverrideKey(priority, multiplier) for key, priority, multiplier in rows}


def with_keys(plan: Plan, keys: Mapping[str, OverrideKey]) -> Plan:
    """The plan with what the client's keys stand for."""
    return replace(plan, assignments=tuple(_with_key(assignment, keys) for assignment in plan.assignments))


def _with_key(assignment: Assignment, keys: Mapping[str, OverrideKey]) -> Assignment:
    key = keys.get(assignment.override_key or "")
    if key is None:
        return assignment
    return replace(assignment, priority=key.priority, multiplier=key.multiplier or ONE)


def _stored(row: Sequence[Any], keys: Mapping[str, OverrideKey]) -> StoredPlan:
    plan_id, name, version, status, start, after, currency, object_type, definition, sha256, rules = row
    try:
        plan, _ = parse_plan(loads(definition), currency)
    except Refused as refused:
        where = f"plan {plan_id!r} version {version}"
        raise Refused(*(replace(problem, path=f"{where}: {problem.path}") for problem in refused.problems)) from None
    plan = replace(
        with_keys(plan, keys),
        name=name,
        currency=currency,
        valid_from=start,
        valid_to=None if after is None else after - timedelta(days=1),
        object_type=object_type,
    )
    return StoredPlan(plan_id, name, version, status, plan, bytes(sha256), frozenset(rules))


_WANTED: LiteralString = """
  AND (v.plan_id, v.version) IN (SELECT * FROM unnest(%s::text[], %s::int[])) ORDER BY v.plan_id, v.version"""
_PLANS = "SELECT plan_id FROM cm.plan WHERE client_id = %s AND NOT withdrawn ORDER BY 1"
