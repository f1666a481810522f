"""Names of the client's masters in a plan, replaced by their keys; what is not known is answered with near names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import cast

from commission_mcp.domain.parsing.parts import dimension
from commission_mcp.domain.wizard.known import Known, Names
from commission_mcp.errors import Code, Problem

_NEAR_MAX = 3
_LISTED_MAX = 12
_KINDS = {
    "territory": "territories",
    "product": "products",
    "payee": "payees",
    "payees": "payees",
    "manager": "payees",
    "team": "teams",
    "role": "job_roles",
}


def resolved(value: object, known: Known, path: str, problems: list[Problem]) -> object:
    """The value with every territory, product, payee, team and role in it by its key.

    Args:
        value: A part of the plan: an assignment, a rule.
        known: The client.
        path: Where the part is.
        problems: Takes up what is not known.
    """
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [resolved(item, known, f"{path}[{index}]", problems) for index, item in enumerate(items)]
    if not isinstance(value, Mapping):
        return value
    fields: dict[str, object] = {}
    for name, content in cast("Mapping[str, object]", value).items():
        where = f"{path}.{name}" if path else name
        kind = _KINDS.get(dimension(name))
        if kind is not None and _is_names(content):
            spelled = name if name in _KINDS else dimension(name)
            fields[spelled] = _keys(content, getattr(known, kind), name, where, problems)
        else:
            fields[name] = resolved(content, known, where, problems)
    return fields


def mentioned(value: object, kind: str) -> set[str]:
    """The texts of a part of a plan that name masters of a kind, such as `payees`."""
    if isinstance(value, list):
        return {text for item in cast("list[object]", value) for text in mentioned(item, kind)}
    if not isinstance(value, Mapping):
        return set()
    found: set[str] = set()
    for name, content in cast("Mapping[str, object]", value).items():
        if _KINDS.get(dimension(name)) == kind and _is_names(content):
            found.update(_texts(content))
        else:
            found |= mentioned(content, kind)
    return found


def unknown(kind: str, text: str, names: Names, path: str) -> Problem:
    """The problem of a name that the client does not have."""
    by_case = {name.lower(): name for name in names.shown}
    near = [by_case[name] for name in get_close_matches(text[:200].lower(), list(by_case), n=_NEAR_MAX)]
    if near:
        fix = f"Did you mean {' or '.join(repr(name) for name in near)}?"
    elif names.shown:
        more = " ..." if len(names.shown) > _LISTED_MAX else ""
        fix = f"There are: {', '.join(names.shown[:_LISTED_MAX])}{more}."
    else:
        fix = "The client has none yet; `commission-mcp import` loads them."
    return Problem(Code.UNKNOWN, f"There is no {kind} {text[:80]!r}.", fix, path)


def _is_names(content: object) -> bool:
    if isinstance(content, list):
        return all(isinstance(item, str) for item in cast("list[object]", content))
    return isinstance(content, str)


def _texts(content: object) -> list[str]:
    return [content] if isinstance(content, str) else [str(item) for item in cast("Sequence[object]", content)]


def _keys(content: object, names: Names, name: str, path: str, problems: list[Problem]) -> object:
    keys: list[str] = []
    for text in _texts(content):
        found = names.find(text)
        if len(found) > 1:
            listed = ", ".join(found[:_LISTED_MAX])
            problems.append(
                Problem(Code.UNKNOWN, f"{text[:80]!r} is the name of several: {listed}.", "Send the key.", path)
            )
        elif not found:
            problems.append(unknown(dimension(name), text, names, path))
        keys.append(found[0] if found else text)
    return keys[0] if isinstance(content, str) else sorted(set(keys))
