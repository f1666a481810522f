"""The server's side of the cache: short waits, and none at all for a server that has just failed.

Importing this module imports redis, which takes about 150 ms: whoever opens a cache imports it then, not before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import ResponseError

from commission_mcp.errors import Code, Refused
from commission_mcp.storage.query_cache.breaker import CircuitBreaker, Outage, Unavailable
from commission_mcp.storage.query_cache.records import Kept
from commission_mcp.storage.redis_connections import Command, RedisServer, Script
from commission_mcp.storage.redis_servers import RedisState

# What is kept, or else the turn to fill the name. KEYS: name, turn. ARGV: token, ms. Answers {turn given, kept}.
_FETCH = Script("""
local kept = redis.call('GET', KEYS[1])
if kept then return { 0, kept } end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return { 1, false } end
return { 0, false }
""")
_RELEASE = Script('if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0')
SCRIPTS = (_FETCH, _RELEASE)

_PAUSE_S = 1.0  # how long a server that failed is left alone


class AnswerStore:
    """Keeps bytes under names for a while, and lets one of all processes take a name's turn.

    Args:
        server: Where they are kept.
        clock: What tells the time, in seconds.
    """

    def __init__(self, server: RedisServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._breaker = CircuitBreaker(_PAUSE_S, clock)
        self._unreached = Outage("is not reached")
        self._unwritable = Outage("takes no writes")

    async def fetch(self, name: str, token: str, *, turn_ms: int) -> tuple[bool, bytes | None]:
        """What is kept under a name; where nothing is, whether it is this caller's turn to fill it.

        Args:
            name: The name.
            token: What tells this caller from others.
            turn_ms: How long a turn lasts at most.

        Raises:
            Unavailable: when the server does not tell.
        """
        ((given, kept),) = await self._send(_FETCH.call([name, _turn(name)], token, turn_ms))
        return bool(given), kept

    async def claim(self, name: str, token: str, *, turn_ms: int) -> tuple[bool, bytes | None]:
        """Whether it is this caller's turn to fill a name, and what is kept there, looked up after the turn was given.

        Args:
            name: The name.
            token: What tells this caller from others.
            turn_ms: How long a turn lasts at most.

        Raises:
            Unavailable: when the server does not tell.
        """
        claiming: Command = ("SET", _turn(name), token, "NX", "PX", turn_ms)
        given, kept = await self._send(claiming, ("GET", name), writing=True)
        return given is not None, kept

    async def end_turn(self, name: str, token: str, kept: Kept | None = None) -> None:
        """End this caller's turn, if it has it, and keep what came of it; a turn that is not ended ends by itself."""
        release = _RELEASE.call([_turn(name)], token)
        with suppress(Unavailable):
            if kept is None:
                await self._send(release)
            else:
                await self._send(("SET", kept.name, kept.content, "PX", kept.ttl_ms), release, writing=True)

    async def clear(self, prefix: str) -> int:
        """Remove what is kept under names that begin so; how many there were.

        Raises:
            Refused: when the server does not do it.
        """
        return await self._server.remove(prefix)

    async def state(self) -> RedisState:
        """What the server says of itself.

        Raises:
            Refused: when it does not answer.
        """
        return RedisState.of(await self._server.info())

    async def _send(self, *commands: Command, writing: bool = False) -> list[Any]:
        if not self._breaker.allows():
            raise Unavailable
        try:
            answers = await self._server.send(*commands)
        except Refused as refused:
            self._note(refused.problems[0].code)
            raise Unavailable from None
        except ResponseError:
            raise Unavailable from None  # what lies under the name is not ours, or the server knows us no more
        self._breaker.succeeded()
        self._unreached.note(lasts=False)
        if writing:
            self._unwritable.note(lasts=False)
        return answers

    def _note(self, code: Code) -> None:
        if code is Code.REDIS_UNREACHABLE:
            self._breaker.failed()
            self._unreached.note(lasts=True, code=code)
        elif code is not Code.BUSY:
            self._unwritable.note(lasts=True, code=code)


def _turn(name: str) -> str:
    """The name of a turn; not among the client's answers, so that clearing those ends no turn."""
    return name.replace("cm:1:q:", "cm:1:qt:", 1)
