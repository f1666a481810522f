"""The canonical text of a plan, and its fingerprint, to which approvals are bound."""

from __future__ import annotations

import hashlib
import json
from typing import cast


def canonical_json(form: object) -> str:
    """The form as JSON with sorted keys and no spaces; equal forms have equal texts.

    The form's own numbers are kept as they came, integers and texts: "5.0" and "5" are different texts. A binary float
    has no place in it.

    Raises:
        TypeError: when it holds what JSON from `money.loads` cannot hold.
    """
    _refuse_floats(form)
    return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(form: object) -> str:
    """SHA-256 of the canonical text in UTF-8, in hexadecimal."""
    return hashlib.sha256(canonical_json(form).encode()).hexdigest()


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("a binary float has no exact text")
    if isinstance(value, dict):
        for item in cast("dict[object, object]", value).values():
            _refuse_floats(item)
    if isinstance(value, list):
        for item in cast("list[object]", value):
            _refuse_floats(item)
