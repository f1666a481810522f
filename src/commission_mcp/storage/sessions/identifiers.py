"""Ids of sessions: made here when the caller brings none, checked when it does."""

from __future__ import annotations

import re

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.identifiers import mint

__all__ = ["check", "mint"]

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check(text: str) -> str:
    """The id, if it is one: 1 to 64 letters, digits, hyphens and underscores.

    Raises:
        Refused: with `E_ARGUMENT`.
    """
    if not _SESSION_ID.fullmatch(text):
        raise Refused(
            Problem(
                Code.ARGUMENT,
                "This is not the id of a session.",
                "Use 1 to 64 letters, digits, hyphens and underscores, or leave it out.",
                "session_id",
            )
        )
    return text
