"""What a message looks like in Redis: JSON, or JSON under a seal."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.sessions.message import Message

_PLAIN, _SEALED = b"j", b"s"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class Records:
    """Encodes messages, sealed with AES-GCM where there is a key.

    A record is sealed for its place, so that one that is moved to another session cannot be opened there. Records from
    before there was a key stay readable.

    Args:
        keys: Keys of 32 bytes: the first one seals, all of them open. To rotate, put the new key first, and drop the
            old one when the longest session under it has been forgotten. Without keys nothing is sealed.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers: Mapping[bytes, AESGCM] = {_key_id(key): AESGCM(key) for key in keys}
        self._sealing = _key_id(keys[0]) if keys else None

    def encode(self, message: Message, place: str) -> bytes:
        """The message as a record for this place."""
        if self._sealing is None:
            return _PLAIN + message.to_json()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._sealing].encrypt(nonce, message.to_json(), place.encode())
        return _SEALED + self._sealing + nonce + sealed

    def decode(self, record: bytes, place: str) -> Message:
        """The message of a record that stands at this place.

        Raises:
            Refused: with `E_HISTORY_KEY` when no key opens it.
        """
        kind, rest = record[:1], record[1:]
        if kind == _PLAIN:
            return Message.from_json(rest)
        cipher = self._ciphers.get(rest[:_KEY_ID_BYTES])
        nonce, sealed = rest[_KEY_ID_BYTES:][:_NONCE_BYTES], rest[_KEY_ID_BYTES + _NONCE_BYTES :]
        try:
            if cipher is not None:
                return Message.from_json(cipher.decrypt(nonce, sealed, place.encode()))
        except (InvalidTag, ValueError):
            pass
        raise Refused(
            Problem(
                Code.HISTORY_KEY,
                "This conversation was sealed with a key that the server does not have.",
                "Begin a new session. The operator puts the earlier key back behind the present one.",
            )
        )


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"key id\0" + key).digest()[:_KEY_ID_BYTES]
