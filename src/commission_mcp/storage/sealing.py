"""Sealed tokens: what the server hands out and wants back unread and unchanged."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import cast

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_TOKEN_CHARS_MAX = 4000


class Sealer:
    """Seals small JSON objects with AES-GCM under one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: dict[str, object]) -> str:
        """The content as an opaque token."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, orjson.dumps(content), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, token: str) -> dict[str, object] | None:
        """The content of a token that this key sealed, None for any other text."""
        if len(token) > _TOKEN_CHARS_MAX:
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            content: object = orjson.loads(self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None))
        except (InvalidTag, ValueError, binascii.Error):
            return None
        return cast("dict[str, object]", content) if isinstance(content, dict) else None
