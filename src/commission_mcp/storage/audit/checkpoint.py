"""Checkpoints: what stands for the entries of a trail that were removed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

SEALING = "audit checkpoint"
"""The purpose under which the key of the seals derives from the master secret."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The end of what was removed at one time. The rest of the chain goes on from its hash.

    Attributes:
        client_id: Whose trail.
        first_seq: The first entry that was removed then.
        seq: The last one.
        sha256: The hash of that last one.
        at: When it was removed.
        seal: HMAC-SHA-256 over all of it, under a key that the database does not have.
    """

    client_id: str
    first_seq: int
    seq: int
    sha256: bytes
    at: datetime
    seal: bytes = field(default=b"", repr=False)

    def sealed_by(self, key: bytes) -> bytes:
        """The seal that it has to have."""
        moment = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        fields = (self.client_id, str(self.first_seq), str(self.seq), self.sha256.hex(), moment)
        return hmac.new(key, "\n".join(fields).encode(), hashlib.sha256).digest()

    def holds(self, key: bytes) -> bool:
        """Whether the installation with this key sealed it."""
        return hmac.compare_digest(self.seal, self.sealed_by(key))


async def checkpoints(connection: psycopg.AsyncConnection, client_id: str) -> Sequence[Checkpoint]:
    """The checkpoints of a trail, in their order.

    Args:
        connection: An operations connection.
        client_id: The client.
    """
    cursor = await connection.execute(
        "SELECT client_id, first_seq, seq, sha256, at, seal FROM cm_priv.audit_cut WHERE client_id = %s ORDER BY seq",
        [client_id],
    )
    return [Checkpoint(*row) for row in await cursor.fetchall()]
