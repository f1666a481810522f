"""Answers as the server keeps them: sealed, so that it cannot read them and nobody can put others in their place."""

from __future__ import annotations

import math
import secrets
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commission_mcp.storage.query_cache.answer import Answer

_NONCE_BYTES = 12
_TIMES = struct.Struct(">dd")
_BYTES_MAX = 2**20  # of one answer


@dataclass(frozen=True, slots=True)
class Record:
    """A kept answer.

    Attributes:
        answer: The answer.
        expires_at_s: When it may no longer be given.
        cost_s: How long it took to read.
    """

    answer: Answer
    expires_at_s: float
    cost_s: float

    def is_due(self, now_s: float, chance: float) -> bool:
        """Whether to read it anew: surely when expired, and now and then shortly before.

        Of many callers each draws a number, so that most often one reads anew before all have to. The more reading
        costs, the earlier.

        Args:
            now_s: The time.
            chance: A random number, at least 0 and less than 1.
        """
        return now_s - self.cost_s * math.log(1 - chance) >= self.expires_at_s


@dataclass(frozen=True, slots=True)
class Kept:
    """A sealed record: its name, and how long the server keeps it."""

    name: str
    content: bytes
    ttl_ms: int


class Records:
    """Seals answers with AES-GCM under one key, each for the one name that it is kept under."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, name: str, record: Record) -> bytes | None:
        """The record as the server keeps it, None when it is too large."""
        content = _TIMES.pack(record.expires_at_s, record.cost_s) + record.answer.pack()
        if len(content) > _BYTES_MAX:
            return None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, name.encode())

    def open(self, name: str, sealed: bytes | None) -> Record | None:
        """The record that was sealed for this name, None for anything else."""
        if sealed is None:
            return None
        try:
            content = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            return None
        expires_at_s, cost_s = _TIMES.unpack_from(content)
        return Record(Answer.unpack(content[_TIMES.size :]), expires_at_s, cost_s)
