"""Names and passwords of database logins, all derived from one master secret, so that none of them is stored."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from commission_mcp.domain.caller import MaskingClass

GATE = "cm_gate"
WRITER = "cm_writer"
AUDIT = "cm_audit"
READER = "cm_reader"
OPERATIONS = "cm_ops"
OWNER = "cm_owner"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Derives what the server needs to log in and to seal; the secret itself is never shown."""

    master_secret: str = field(repr=False)

    def _derive(self, purpose: str, *parts: str) -> bytes:
        message = "\0".join((purpose, *parts)).encode()
        return hmac.new(self.master_secret.encode(), message, hashlib.sha256).digest()

    def reader_login(self, client_id: str, masking: MaskingClass) -> str:
        """The opaque name of the login that reads as this client under this masking class."""
        return "cm_r_" + self._derive("reader login", client_id, masking).hex()[:24]

    def password(self, login: str) -> str:
        """The password of a login."""
        return self._derive("password", login).hex()

    def sealing_key(self, purpose: str) -> bytes:
        """A key of 32 bytes for sealing what leaves the server, one for each purpose."""
        return self._derive("sealing key", purpose)
