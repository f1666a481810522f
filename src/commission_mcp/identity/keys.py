"""Keys that tokens are verified with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SHARED_ALGORITHMS = frozenset({"HS256"})
PUBLIC_ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "ES384", "EdDSA"})


class KeySource(Protocol):
    """Finds the key for a token."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The only algorithms that tokens may be signed with."""
        ...

    async def find(self, key_id: str | None, algorithm: str) -> bytes | PublicKeyTypes:
        """The key.

        Raises:
            Refused: with `E_TOKEN` when there is no such key, `E_TOKEN_KEYS` when that cannot be said now.
        """
        ...


@dataclass(frozen=True, slots=True)
class SharedKey:
    """One secret that signs and verifies, for installations that mint their own tokens."""

    secret: bytes = field(repr=False)

    @property
    def algorithms(self) -> frozenset[str]:
        """HMAC with SHA-256."""
        return SHARED_ALGORITHMS

    async def find(self, key_id: str | None, algorithm: str) -> bytes:
        """The secret, whatever the token calls it."""
        del key_id, algorithm
        return self.secret
