"""Ids of sessions: made here when the caller brings none, checked when it does."""

from __future__ import annotations

import re
import secrets
import time
import uuid

from commission_mcp.errors import Code, Problem, Refused

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VERSION, _VARIANT = 7, 0b10


def mint() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of Unix time in milliseconds, then 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | _VERSION << 76 | secrets.randbits(12) << 64 | _VARIANT << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


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
