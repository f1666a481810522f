"""Where two plans would both pay: their dates overlap, and some sale matches an assignment of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import Scope


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two assignments that a sale can match both; dates included, None is open."""

    mine: str
    other: str
    first: date | None
    last: date | None


def overlaps(plan: Plan, other: Plan, parents: Mapping[str, Mapping[str, str]]) -> Iterator[Overlap]:
    """The pairs of assignments of two plans that overlap.

    Args:
        plan: One plan.
        other: The other.
        parents: For each dimension, the parent of a key: a sale in New York is one in the North.
    """
    for one in plan.assignments or (Assignment(Scope()),):
        for another in other.assignments or (Assignment(Scope()),):
            days = _days((plan, one), (other, another))
            if days is not None and _meet(one, another, parents):
                yield Overlap(described(one), described(another), *days)


def described(assignment: Assignment) -> str:
    """An assignment in words."""
    parts = [f"{name} {', '.join(sorted(values))}" for name, values in assignment.scope.wanted]
    return " and ".join(parts) or "everything"


def _days(mine: tuple[Plan, Assignment], other: tuple[Plan, Assignment]) -> tuple[date | None, date | None] | None:
    """The days in which all four are valid; None when there are none."""
    valid = [*mine, *other]
    first = max((one.valid_from for one in valid if one.valid_from is not None), default=None)
    last = min((one.valid_to for one in valid if one.valid_to is not None), default=None)
    return None if first is not None and last is not None and first > last else (first, last)


def _meet(one: Assignment, other: Assignment, parents: Mapping[str, Mapping[str, str]]) -> bool:
    mine, others = dict(one.scope.wanted), dict(other.scope.wanted)
    return all(
        _share(mine[name], others[name], parents.get(name, {})) for name in mine.keys() & others.keys()
    )  # a dimension that only one of them names leaves room for both


def _share(mine: frozenset[str], others: frozenset[str], parents: Mapping[str, str]) -> bool:
    """Whether a key below one of mine is also below one of the others."""
    above_mine = {up for key in mine for up in _upwards(key, parents)}
    above_others = {up for key in others for up in _upwards(key, parents)}
    return not (mine.isdisjoint(above_others) and others.isdisjoint(above_mine))


def _upwards(key: str, parents: Mapping[str, str]) -> Iterator[str]:
    seen: set[str] = set()
    found: str | None = key
    while found is not None and found not in seen:
        seen.add(found)
        yield found
        found = parents.get(found)
