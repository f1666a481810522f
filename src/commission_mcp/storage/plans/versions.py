"""Reading plan versions: the inline form in canonical JSON, and the hash of it that approvals bind to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import LiteralString, cast

from psycopg.rows import TupleRow

from commission_mcp.domain.money import loads
from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.validity import Stretch, days_in_force
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.writing import Writing

_NAMES_MAX = 2_000
_COLUMNS: LiteralString = (
    "SELECT p.plan_id, v.version, p.plan_name, v.status, v.description, lower(v.valid), upper(v.valid) - 1, "
    "v.assignee_type, v.object_type, v.currency, v.definition::text, encode(v.definition_sha256, 'hex'), v.created_by "
    "FROM cm.plan p JOIN cm.plan_version v USING (client_id, plan_id) "
)


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A stored version of a plan.

    Attributes:
        definition: The plan in the inline form; its numbers are integers or texts.
        sha256: SHA-256 of the canonical JSON, in hexadecimal.
        valid_from: First day of validity.
        valid_to: Last day of validity; None is open.
        created_by: The author's `user_id`.
    """

    plan_id: str
    version: int
    name: str
    status: str
    description: str
    valid_from: date
    valid_to: date | None
    assignee_type: str
    object_type: str
    currency: str
    definition: dict[str, object]
    sha256: str
    created_by: str

    @property
    def ref(self) -> str:
        """How approvals name it: `plan-123/2`."""
        return f"{self.plan_id}/{self.version}"

    @property
    def news(self) -> dict[str, object]:
        """What others are told of it."""
        return {
            "plan_id": self.plan_id,
            "version": self.version,
            "plan_name": self.name,
            "status": self.status,
            "sha256": self.sha256,
            "definition": self.definition,
        }

    def plan(self) -> Plan:
        """The plan as the engine takes it.

        Raises:
            Refused: when the stored definition is no plan.
        """
        return parse_plan(self.definition, self.currency)[0]

    def covers(self, day: date) -> bool:
        """Whether the day lies in its validity."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


async def load_version(writing: Writing, plan_id: str, version: int | None = None) -> PlanVersion:
    """One version of a plan; without a number the newest active one, else the newest that is not withdrawn.

    Raises:
        Refused: with `E_NOT_FOUND`, naming the nearest plan.
    """
    rows = await writing.rows(
        _COLUMNS + "WHERE p.client_id = %s AND p.plan_id = %s AND (v.version = %s OR (%s::int IS NULL "
        "AND v.status <> 'withdrawn')) ORDER BY (v.status = 'active') DESC, v.version DESC LIMIT 1",
        [writing.client_id, plan_id, version, version],
    )
    if not rows:
        raise await _not_found(writing, plan_id, version)
    return version_of(rows[0])


async def load_versions(writing: Writing, plan_id: str) -> list[PlanVersion]:
    """All versions of a plan, the newest first; empty when there is no such plan."""
    rows = await writing.rows(
        _COLUMNS + "WHERE p.client_id = %s AND p.plan_id = %s ORDER BY v.version DESC", [writing.client_id, plan_id]
    )
    return [version_of(row) for row in rows]


async def list_plans(writing: Writing) -> dict[str, str]:
    """The plans that are not withdrawn: key -> name."""
    rows = await writing.rows(
        "SELECT plan_id, plan_name FROM cm.plan WHERE client_id = %s AND NOT withdrawn ORDER BY plan_id LIMIT %s",
        [writing.client_id, _NAMES_MAX],
    )
    return {str(plan_id): str(name) for plan_id, name in rows}


async def load_live_versions(writing: Writing, first: date, last: date | None) -> list[PlanVersion]:
    """The versions, of all plans, that pay or are to pay sales of some of these days; None is open."""
    rows = await writing.rows(
        _COLUMNS + "WHERE p.client_id = %s AND v.status IN ('submitted', 'approved', 'active', 'superseded') "
        "AND NOT p.withdrawn AND v.valid && daterange(%s, %s, '[]') ORDER BY p.plan_id, v.version DESC",
        [writing.client_id, first, last],
    )
    in_force = {
        (plan_id, stretch.version)
        for plan_id, stretches in (await load_days_in_force(writing)).items()
        for stretch in stretches
        if stretch.last >= first and (last is None or stretch.start <= last)
    }
    found = (version_of(row) for row in rows)
    return [one for one in found if one.status != "superseded" or (one.plan_id, one.version) in in_force]


async def load_days_in_force(writing: Writing) -> dict[str, list[Stretch]]:
    """For each plan, the days on which each of its versions counts; see `domain.validity`."""
    dates: dict[str, list[Stretch]] = {}
    rows = await writing.rows(
        "SELECT v.plan_id, lower(v.valid), upper(v.valid) - 1, v.version FROM cm.plan_version v "
        "JOIN cm.plan p USING (client_id, plan_id) "
        "WHERE v.client_id = %s AND v.status IN ('active', 'superseded') AND NOT p.withdrawn",
        [writing.client_id],
    )
    for plan_id, start, end, version in rows:
        dates.setdefault(str(plan_id), []).append(Stretch(start, end, version))
    return {plan_id: days_in_force(versions) for plan_id, versions in dates.items()}


def version_of(row: TupleRow) -> PlanVersion:
    """The version in a row of the columns above."""
    values = list(row)
    values[-3] = cast("dict[str, object]", loads(values[-3]))
    return PlanVersion(*values)


async def _not_found(writing: Writing, plan_id: str, version: int | None) -> Refused:
    known = await list_plans(writing)
    what = f"plan {plan_id[:80]!r}" if version is None else f"version {version} of plan {plan_id[:80]!r}"
    fix = f"{nearest(plan_id, known)}The view `commission_plans` lists the plans, `plan_versions` their versions."
    return Refused(Problem(Code.NOT_FOUND, f"There is no {what}.", fix, "plan_id" if version is None else "version"))
