"""Numbers as callers send them, before they are read."""

from __future__ import annotations

from typing import cast


def exact_numbers(value: object) -> object:
    """JSON arguments with every float as text.

    The SDK reads a JSON number with a point as a binary float. Its shortest text, which `repr` gives, is the number
    that was sent, as long as that had at most 15 significant digits (7.1 -> "7.1"); longer ones are for strings.
    """
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: exact_numbers(item) for name, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [exact_numbers(item) for item in cast("list[object]", value)]
    return value
