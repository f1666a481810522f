"""The query cache: an answer from the server, from a caller who reads it right now, or read anew."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread

from commission_mcp.errors import Refused
from commission_mcp.storage.credentials import Credentials
from commission_mcp.storage.query_cache.answer import Answer
from commission_mcp.storage.query_cache.breaker import Unavailable
from commission_mcp.storage.query_cache.flights import Flights
from commission_mcp.storage.query_cache.keeping import Keeping, open_keeping
from commission_mcp.storage.query_cache.question import Question, prefix
from commission_mcp.storage.query_cache.records import Kept, Record, Records
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.redis_servers import RedisState
from commission_mcp.tracing import step

if TYPE_CHECKING:
    from commission_mcp.storage.query_cache.store import AnswerStore

TTL_S = 300.0
_TURN_S = 5  # how long another process is waited for; a slower query may run once in each
_POLL_S = 0.02
WAIT_MS = 200

_log = logging.getLogger("commission_mcp.query_cache")


class Outcome(StrEnum):
    """How an answer came about."""

    HIT = "hit"  # kept, or read for another caller just now
    MISS = "miss"  # read, and on its way to be kept
    BYPASS = "bypass"  # read, and not kept


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that was read just now, and the versions of the data in its snapshot."""

    answer: Answer
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, how it came about, and versions of all data in which it is right."""

    answer: Answer
    versions: Mapping[str, str]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Turn:
    """The right to read one answer for all processes."""

    token: str


Read: TypeAlias = Callable[[], Awaitable[Made]]


class QueryCache:
    """Gives answers; see `open_query_cache`.

    Args:
        keeping: Keeps answers; None when there is nowhere to keep them.
        credentials: What answers are sealed with, and their names made.
        ttl_s: How long an answer is kept.
        clock: What tells the time, in seconds since 1970.
        chance: What draws numbers, at least 0 and less than 1.
    """

    def __init__(
        self,
        keeping: Keeping | None,
        credentials: Credentials,
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._keeping = keeping
        self._records = Records(credentials.sealing_key("query cache"))
        self._naming = credentials.sealing_key("query cache names")
        self._flights: Flights[Found] = Flights()
        self._ttl_s = ttl_s
        self._clock = clock
        self._chance = chance

    async def find(self, question: Question, read: Read) -> Found:
        """The answer to a question.

        Raises:
            Refused: when it has to be read and cannot.
        """
        if not question.cacheable:
            return _bypassing(await read())
        admission = question.admission
        name = question.name(self._naming, admission.versions, admission.today)
        with step("cache") as span:
            found, own = await self._flights.share(name, lambda: self._find(question, name, read))
            if not own and found.outcome is not Outcome.BYPASS:
                found = replace(found, outcome=Outcome.HIT)
            span.set_attribute("commission.cache", str(found.outcome))
            return found

    async def clear(self, client_id: str | None) -> int:
        """Forget the kept answers of a client, or of all clients; how many there were.

        Raises:
            Refused: with `E_REDIS_UNREACHABLE`, `E_REDIS_READ_ONLY` or `E_BUSY`; some may be forgotten then.
        """
        if self._keeping is None:
            return 0
        await self._keeping.settled()
        return await self._keeping.store.clear(prefix(client_id))

    async def state(self) -> RedisState | None:
        """What the server says of itself; None where nothing is kept.

        Raises:
            Refused: with `E_REDIS_UNREACHABLE`.
        """
        return None if self._keeping is None else await self._keeping.store.state()

    async def _find(self, question: Question, name: str, read: Read) -> Found:
        if self._keeping is None:
            return _bypassing(await read())
        await self._keeping.settled(name)
        try:
            found = await self._kept_or_turn(self._keeping.store, name)
        except Unavailable:
            return _bypassing(await read())
        if isinstance(found, Answer):
            return Found(found, question.admission.versions, Outcome.HIT)
        return await self._make(self._keeping, question, name, found, read)

    async def _kept_or_turn(self, store: AnswerStore, name: str) -> Answer | _Turn:
        """The answer that is kept, or the turn to read it."""
        turn = _Turn(secrets.token_hex(8))
        given, sealed = await store.fetch(name, turn.token, turn_ms=_TURN_S * 1000)
        if given:
            return turn
        record = self._open(name, sealed)
        if record is None:
            return await self._await_turn(store, name)
        if record.is_due(self._clock(), self._chance()):
            return await self._early_turn(store, name, sealed) or record.answer
        return record.answer

    async def _early_turn(self, store: AnswerStore, name: str, sealed: bytes | None) -> _Turn | None:
        """The turn to renew an answer that is good for a little longer, unless somebody has it or has done it."""
        turn = _Turn(secrets.token_hex(8))
        try:
            given, sealed_now = await store.claim(name, turn.token, turn_ms=_TURN_S * 1000)
        except Unavailable:
            return None
        if given and sealed_now == sealed:
            return turn
        if given:
            await store.end_turn(name, turn.token)
        return None

    async def _await_turn(self, store: AnswerStore, name: str) -> Answer | _Turn:
        """The turn to read an answer, or the answer when another process has read it meanwhile."""
        turn = _Turn(secrets.token_hex(8))
        with anyio.move_on_after(_TURN_S):
            while True:
                given, sealed = await store.claim(name, turn.token, turn_ms=_TURN_S * 1000)
                record = self._open(name, sealed)
                if record is not None:
                    if given:
                        await store.end_turn(name, turn.token)
                    return record.answer
                if given:
                    return turn
                await anyio.sleep(_POLL_S)
        return turn  # whoever has it takes too long

    def _open(self, name: str, sealed: bytes | None) -> Record | None:
        record = self._records.open(name, sealed)
        return record if record is not None and self._clock() < record.expires_at_s else None

    async def _make(self, keeping: Keeping, question: Question, name: str, turn: _Turn, read: Read) -> Found:
        """Read the answer, and have it kept under the versions that it was read in."""
        started_s = time.perf_counter()
        kept = None
        try:
            made = await read()
            kept = self._to_keep(question, made, time.perf_counter() - started_s)
        finally:
            if kept is None:
                with anyio.CancelScope(shield=True):
                    await keeping.store.end_turn(name, turn.token)
        if kept is None:
            return _bypassing(made)
        keeping.begin(name, turn.token, kept)
        return Found(made.answer, made.versions, Outcome.MISS)

    def _to_keep(self, question: Question, made: Made, cost_s: float) -> Kept | None:
        # The snapshot may be later than the admission, or earlier on a replica: its own versions and date count.
        name = question.name(self._naming, made.versions, made.answer.as_of[:10])
        sealed = self._records.seal(name, Record(made.answer, self._clock() + self._ttl_s, cost_s))
        return Kept(name, sealed, int(self._ttl_s * 1000)) if sealed is not None else None


@asynccontextmanager
async def open_query_cache(
    url: str, credentials: Credentials, *, connections_max: int = 10, ttl_s: float = TTL_S, wait_ms: int = WAIT_MS
) -> AsyncGenerator[QueryCache]:
    """The cache on a Redis or Valkey, which need not be up; without one, every answer is read anew.

    Args:
        url: Its address; see `redis_topologies.topology`.
        credentials: What answers are sealed with.
        connections_max: Connections kept to the server.
        ttl_s: How long an answer is kept; 0 keeps none.
        wait_ms: How long the server may take for an answer; a quarter of it to connect, twice as long in all.
    """
    if ttl_s == 0:
        yield QueryCache(None, credentials)
        return
    # The import takes 150 ms, for which the event loop has better use.
    await anyio.to_thread.run_sync(import_module, f"{__package__}.store")
    from commission_mcp.storage.query_cache.store import SCRIPTS, AnswerStore  # noqa: PLC0415 - imports redis
    from commission_mcp.storage.redis_connections import open_redis  # noqa: PLC0415 - as above

    limits = RedisLimits(connections_max, wait_ms // 4, wait_ms, wait_ms * 2, pauses_ms=())
    async with AsyncExitStack() as stack:
        try:
            store = AnswerStore(await stack.enter_async_context(open_redis(url, SCRIPTS, limits)))
            keeping = await stack.enter_async_context(open_keeping(store))
        except Refused as refused:
            _log.warning("there is no query cache", extra={"code": refused.problems[0].code})
            keeping = None
        yield QueryCache(keeping, credentials, ttl_s=ttl_s)


def _bypassing(made: Made) -> Found:
    return Found(made.answer, made.versions, Outcome.BYPASS)
