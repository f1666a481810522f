"""The issuer's public keys (JWKS, RFC 7517), fetched, kept, and fetched again when a token names an unknown one.

How often they are fetched is bounded whatever tokens come in, and while the issuer does not answer, the keys that are
known go on serving.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import anyio
import jwt
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity.keys import PUBLIC_ALGORITHMS

if TYPE_CHECKING:
    import httpx2

Fetch: TypeAlias = Callable[[], Awaitable[bytes]]

LIFETIME_S = 3_600.0
PAUSE_S = 30.0
STALE_S = 24 * 3_600.0
_OK = 200
_TIMEOUT_S = 5.0
_BYTES_MAX = 256 * 1024
_KEYS_MAX = 100

_log = logging.getLogger("commission_mcp.identity")


class RemoteKeys:
    """The keys of one issuer.

    Args:
        fetch: Gets the key set's JSON; raises `OSError` or `ValueError` when it cannot.
        lifetime_s: Keys are fetched again when they are older than this.
        pause_s: Between two attempts to fetch them lies at least this long.
        stale_s: Keys that could not be fetched again for this long are not used any more.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        lifetime_s: float = LIFETIME_S,
        pause_s: float = PAUSE_S,
        stale_s: float = STALE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._lifetime_s = lifetime_s
        self._pause_s = pause_s
        self._stale_s = stale_s
        self._clock = clock
        self._keys: tuple[dict[str, Any], ...] = ()
        self._fetched_s: float | None = None
        self._tried_s: float | None = None
        self._fetching = anyio.Lock()

    @property
    def algorithms(self) -> frozenset[str]:
        """Public-key algorithms only: a public key must never be taken for a shared secret."""
        return PUBLIC_ALGORITHMS

    async def find(self, key_id: str | None, algorithm: str) -> PublicKeyTypes:
        """The key of this id for this algorithm.

        Raises:
            Refused: with `E_TOKEN` when the issuer has no such key, `E_TOKEN_KEYS` when it does not answer.
        """
        found = self._known(key_id, algorithm)
        # Whoever finds a known key does not wait behind another's fetching.
        if found is None or (self._is_due() and not self._fetching.locked()):
            await self._refresh(unknown=found is None)
            found = self._known(key_id, algorithm)
        if found is not None:
            return found
        if self._fetched_s is None or self._fetched_s != self._tried_s:
            raise Refused(
                Problem(
                    Code.TOKEN_KEYS,
                    "The token's signature cannot be checked now: the issuer's keys cannot be fetched.",
                    "Try again in a minute. The operator checks COMMISSION_TOKEN_JWKS_URL.",
                )
            )
        raise Refused(
            Problem(
                Code.TOKEN, "The token is signed with a key that its issuer does not publish.", "Get another token."
            )
        )

    def _is_due(self) -> bool:
        return self._fetched_s is None or self._clock() - self._fetched_s > self._lifetime_s

    def _known(self, key_id: str | None, algorithm: str) -> PublicKeyTypes | None:
        if self._fetched_s is None or self._clock() - self._fetched_s > self._stale_s:
            return None
        fitting = [key for key in map(_reader(algorithm), self._named(key_id)) if key is not None]
        # Without an id there must be no choice.
        return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None

    def _named(self, key_id: str | None) -> list[dict[str, Any]]:
        return [key for key in self._keys if key_id is None or key.get("kid") == key_id]

    async def _refresh(self, *, unknown: bool) -> None:
        seen_s = self._fetched_s
        async with self._fetching:
            now_s = self._clock()
            if self._fetched_s != seen_s or (self._tried_s is not None and now_s - self._tried_s < self._pause_s):
                return
            if not unknown and not self._is_due():
                return
            self._tried_s = now_s
            try:
                keys = _parsed(await self._fetch())
            except (OSError, ValueError) as error:
                _log.warning("the issuer's keys could not be fetched", extra={"reason": type(error).__name__})
                return
            self._keys, self._fetched_s = keys, now_s


@asynccontextmanager
async def open_remote_keys(url: str) -> AsyncGenerator[RemoteKeys]:
    """The keys at this address; nothing is fetched before a token needs it."""
    import httpx2  # noqa: PLC0415 - 60 ms that only a server with such keys pays

    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:

        async def fetch() -> bytes:
            with anyio.fail_after(_TIMEOUT_S):
                return await _get(client, url)

        yield RemoteKeys(fetch)


async def _get(client: httpx2.AsyncClient, url: str) -> bytes:
    import httpx2  # noqa: PLC0415 - as in `open_remote_keys`

    received = b""
    try:
        async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != _OK:
                raise OSError("the address does not answer with a key set")
            async for part in response.aiter_bytes():
                received += part
                if len(received) > _BYTES_MAX:
                    raise OSError("the key set is too large")
    except httpx2.HTTPError:
        raise OSError("the address does not answer") from None
    return received


def _parsed(text: bytes) -> tuple[dict[str, Any], ...]:
    content: object = json.loads(text)
    keys: object = cast("dict[str, object]", content).get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise ValueError("no key set")  # noqa: TRY004 - what callers catch
    entries = cast("list[object]", keys)[:_KEYS_MAX]
    # A shared secret in a public key set would be known to everybody.
    return tuple(
        cast("dict[str, Any]", key)
        for key in entries
        if isinstance(key, dict) and cast("dict[str, Any]", key).get("kty") in {"RSA", "EC", "OKP"}
    )


def _reader(algorithm: str) -> Callable[[dict[str, Any]], PublicKeyTypes | None]:
    def read(key: dict[str, Any]) -> PublicKeyTypes | None:
        if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            return None
        try:
            return jwt.PyJWK.from_dict(key, algorithm).key
        except jwt.PyJWTError:
            return None

    return read
