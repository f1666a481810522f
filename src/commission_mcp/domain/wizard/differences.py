"""What differs between two plans in canonical form, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs; None where one of the plans does not have it."""

    path: str
    before: object
    after: object


def differences(before: object, after: object, path: str = "") -> list[Difference]:
    """The differences, in the order of the fields; a field that is null is one that is not there."""
    old, new = _fields(before), _fields(after)
    if old is not None and new is not None:
        listed = isinstance(before, list)
        return [
            found
            for name in sorted({*old, *new}, key=lambda name: (len(name), name) if listed else (0, name))
            for found in differences(old.get(name), new.get(name), _below(path, name, listed=listed))
        ]
    return [] if _same(before, after) else [Difference(path, before, after)]


def _fields(value: object) -> dict[str, object] | None:
    """The parts of an object or a list, by name or place."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list):
        return {str(place): part for place, part in enumerate(cast("list[object]", value))}
    return None


def _below(path: str, name: str, *, listed: bool) -> str:
    if listed:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _same(before: object, after: object) -> bool:
    """Whether two values mean the same: 5 and "5" do."""
    plain = (int, str)
    if isinstance(before, plain) and isinstance(after, plain) and not isinstance(before, bool | None):
        return str(before) == str(after)
    return before == after
