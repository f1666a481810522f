"""The lists of a client's backend, where it has some: names that it knows, beside the client's own masters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.domain.wizard.draft import Draft
from commission_mcp.domain.wizard.known import Known, Names
from commission_mcp.errors import Code, Problem

SCHEDULES, ASSIGNEES, UOMS, CURRENCIES = "schedules", "assignees", "uoms", "currencies"
PLAN_PARAMS, PLAN_TYPES = "plan_params", "plan_types"
_LISTED_MAX = 12


@dataclass(frozen=True, slots=True)
class ListedNames:
    """One list of the backend.

    Attributes:
        shown: A name for each row.
        accepted: Every text of its rows, in lower case: names, codes, keys that are words.
    """

    shown: tuple[str, ...]
    accepted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Backend:
    """What a client's backend knows.

    Attributes:
        lists: Its lists, by kind; one that it does not have is not there.
        failure: Why they could not be read anew; None when they could.
    """

    lists: Mapping[str, ListedNames] = field(default_factory=dict[str, ListedNames])
    failure: str | None = None


def with_backend(known: Known, backend: Backend | None) -> Known:
    """The client's masters, and the units of measure of the backend; without its list every unit is taken."""
    if backend is None:
        return known
    uoms = backend.lists.get(UOMS)
    if uoms is None:
        return known if backend.failure is None else replace(known, uoms=Names(free=True))
    ids = {name.lower(): (name,) for name in uoms.shown} | dict(known.uoms.ids)
    return replace(known, uoms=Names(ids, tuple(dict.fromkeys((*known.uoms.shown, *uoms.shown)))))


def backend_warnings(draft: Draft, backend: Backend | None) -> Iterator[Problem]:
    """What the backend does not have of a plan: it would get the name without a key."""
    if backend is None:
        return
    if backend.failure is not None:
        kept = "those of before are used" if backend.lists else "the client's own masters are used"
        message = f"The lists of the backend could not be read: {backend.failure}; {kept}."
        yield Problem(Code.BACKEND_LISTS, message, "Go on; names are checked again when the backend is back.")
    for kind, name, path in _stated(draft):
        listed = backend.lists.get(kind)
        if listed is not None and name.strip().lower() not in listed.accepted:
            shown = ", ".join(listed.shown[:_LISTED_MAX]) + (" ..." if len(listed.shown) > _LISTED_MAX else "")
            message = f"The backend does not have {name[:80]!r} among its {kind.replace('_', ' ')}."
            yield Problem(Code.BACKEND_UNKNOWN, message, f"{nearest(name, listed.shown)}It has: {shown}.", path)


def _stated(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """Kind, name and path of everything that the backend may have in a list."""
    profile = draft.metadata.get("client_specific_rules")
    currency = cast("Mapping[str, object]", profile).get("currency") if isinstance(profile, Mapping) else None
    found: list[tuple[str, object, str]] = [
        (SCHEDULES, draft.metadata.get("calculation_schedule"), "calculation_schedule"),
        (SCHEDULES, draft.metadata.get("payment_schedule"), "payment_schedule"),
        (ASSIGNEES, draft.metadata.get("assignee_name"), "assignee_name"),
        (CURRENCIES, currency or draft.submission.get("currency"), "currency"),
        (UOMS, draft.submission.get("uom"), "uom"),
    ]
    for index, rule in enumerate(draft.rules):
        found.append((PLAN_TYPES, rule.get("plan_type"), f"rules[{index}].plan_type"))
        params = rule.get("plan_params")
        named = cast("list[object]", params) if isinstance(params, list) else []
        found += [(PLAN_PARAMS, param, f"rules[{index}].plan_params") for param in named]
    yield from ((kind, name, path) for kind, name, path in found if isinstance(name, str) and name.strip())
