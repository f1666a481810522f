"""Ids that are made here."""

from __future__ import annotations

import secrets
import time
import uuid

_VERSION, _VARIANT = 7, 0b10


def mint() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of Unix time in milliseconds, then 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | _VERSION << 76 | secrets.randbits(12) << 64 | _VARIANT << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))
