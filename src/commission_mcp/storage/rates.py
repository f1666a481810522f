"""How often a caller and a client may call: sliding windows of a minute on Redis, the same for all processes.

The `limits` library has the algorithm; this module lets it use the connections of this package, with their deadlines.
Importing it imports redis and limits: whoever serves many callers imports it then, not before.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from limits import RateLimitItemPerMinute
from limits.aio.storage import SlidingWindowCounterSupport, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.util import get_package_data

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Refused
from commission_mcp.storage.redis_connections import RedisServer, Script, open_redis
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.tracing import traced

_SCRIPTS = "resources/redis/lua_scripts"
WAIT_MS = 200
_ASK_AGAIN_S = 2.0

_log = logging.getLogger("commission_mcp.rates")


class _Windows(Storage, SlidingWindowCounterSupport):
    """The storage that the library's sliding windows need, on a server of ours."""

    STORAGE_SCHEME = None

    def __init__(self, server: RedisServer, take: Script, look: Script) -> None:
        super().__init__()
        self._server = server
        self._take = take
        self._look = look

    @property
    def base_exceptions(self) -> type[Exception]:
        """What means that the server does not serve."""
        return Refused

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a call, if it is within the limit."""
        (taken,) = await self._server.send(self._take.call(_keys(key), limit, expiry, amount))
        return bool(taken)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and seconds left of the window before, and of this one."""
        ((before, before_ms, now, now_ms),) = await self._server.send(self._look.call(_keys(key), expiry))
        return int(before or 0), max(before_ms, 0) / 1000, int(now or 0), max(now_ms, 0) / 1000

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a window."""
        del expiry
        await self._server.send(*(("UNLINK", name) for name in _keys(key)))

    async def check(self) -> bool:
        """Whether the server answers."""
        return bool(await self._server.send(("PING",)))

    # Fixed windows count with these; nothing here does.
    async def incr(self, key: str, expiry: int, amount: int = 1) -> NoReturn:
        """Not used."""
        raise NotImplementedError

    async def get(self, key: str) -> NoReturn:
        """Not used."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> NoReturn:
        """Not used."""
        raise NotImplementedError

    async def reset(self) -> NoReturn:
        """Not used."""
        raise NotImplementedError

    async def clear(self, key: str) -> NoReturn:
        """Not used."""
        raise NotImplementedError


class RateLimits:
    """The rates of all callers; see `open_rates`."""

    def __init__(self, windows: _Windows, *, subject_per_minute: int, client_per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(windows)
        self._subject = RateLimitItemPerMinute(subject_per_minute)
        self._client = RateLimitItemPerMinute(client_per_minute)
        self._silent_until_s = -math.inf

    @traced("rates")
    async def take(self, caller: Caller) -> int | None:
        """Count a call: None when it is within both rates, otherwise the seconds after which one may be.

        While the server does not answer, every call is within the rates, and the log says so.
        """
        now_s = time.monotonic()
        if now_s < self._silent_until_s:
            return None
        user = hashlib.sha256(f"{caller.issuer}\0{caller.subject}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        asked: tuple[tuple[RateLimitItemPerMinute, tuple[str, ...]], ...] = (
            (self._subject, (caller.client_id, user)),
            (self._client, (caller.client_id,)),
        )
        try:
            for item, of in asked:
                if not await self._limiter.hit(item, *of):
                    stats = await self._limiter.get_window_stats(item, *of)
                    return max(1, math.ceil(stats.reset_time - time.time()))
        except Refused as refused:
            self._silent_until_s = now_s + _ASK_AGAIN_S
            _log.warning("calls are not counted", extra={"code": refused.problems[0].code})
        return None


@asynccontextmanager
async def open_rates(
    url: str, *, subject_per_minute: int, client_per_minute: int, wait_ms: int = WAIT_MS
) -> AsyncGenerator[RateLimits]:
    """The rates, counted on this server.

    Args:
        url: Its address; see `redis_topologies.topology`.
        subject_per_minute: How many calls a user may make in a minute.
        client_per_minute: How many all users of a client may make.
        wait_ms: How long a call waits for the server, which only counts, before it goes on uncounted.

    Raises:
        Refused: with `E_SETTING` for an address of a kind that is not served.
    """
    take, look = (Script(_text(name)) for name in ("acquire_sliding_window", "sliding_window"))
    limits = RedisLimits(
        connect_timeout_ms=wait_ms, answer_timeout_ms=wait_ms // 2, call_timeout_ms=wait_ms, pauses_ms=()
    )
    async with open_redis(url, (take, look), limits) as server:
        windows = _Windows(server, take, look)
        yield RateLimits(windows, subject_per_minute=subject_per_minute, client_per_minute=client_per_minute)


def _text(name: str) -> str:
    content: Any = get_package_data(f"{_SCRIPTS}/{name}.lua")
    return bytes(content).decode()


def _keys(key: str) -> tuple[str, str]:
    """Where the window before and this one are kept: on one slot of a cluster, which the part in braces decides."""
    return f"cm:rate:{{{key}}}:before", f"cm:rate:{{{key}}}:now"
