"""The sessions of all callers: appended to, read, listed and cleared by whom they belong to."""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.credentials import Credentials
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.redis_servers import RedisState
from commission_mcp.storage.sealing import Sealer
from commission_mcp.storage.sessions import cursors, identifiers
from commission_mcp.storage.sessions.cursors import Cursors, MessageCursor, SessionCursor
from commission_mcp.storage.sessions.message import Message
from commission_mcp.storage.sessions.pages import Page, Session, SessionList, Turn
from commission_mcp.storage.sessions.records import Records

if TYPE_CHECKING:
    from commission_mcp.storage.redis_connections import Command, RedisServer
    from commission_mcp.storage.sessions.scripts import Scripts

TTL_S_MIN = 60
TTL_S_MAX = 30 * 24 * 3600

_READS_OTHERS = frozenset({Role.AUDITOR, Role.ADMIN})
_ANYBODY = ""
_BATCH = 50


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How much is kept, and for how long.

    Attributes:
        ttl_s: A session is forgotten this long after its last message, unless a call asked for another time.
        messages_max: Messages of a session; the oldest go first.
        bytes_max: Bytes of its messages; the oldest go first, the newest stays.
        sessions_max: Sessions of one user; the one without a message for longest goes first.
    """

    ttl_s: int = 3_600
    messages_max: int = 1_000
    bytes_max: int = 2**20
    sessions_max: int = 500


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where a session is kept: on one slot of a cluster, which the part in braces decides."""

    messages: str
    info: str

    @classmethod
    def of(cls, client_id: str, session_id: str) -> _Keys:
        base = f"cm:1:{{{client_id}:{session_id}}}"
        return cls(f"{base}:m", f"{base}:i")

    @property
    def pair(self) -> tuple[str, str]:
        return self.messages, self.info


class Sessions:
    """The conversations on one Redis; see `open_sessions`.

    Every method takes the caller as the database admitted it: with the roles that it has at this moment.
    """

    def __init__(
        self, server: RedisServer, scripts: Scripts, credentials: Credentials, records: Records, limits: SessionLimits
    ) -> None:
        self._server = server
        self._scripts = scripts
        self._records = records
        self._limits = limits
        self._cursors = Cursors(Sealer(credentials.sealing_key("history cursor")))
        self._owner_key = credentials.sealing_key("history owner")

    async def append(
        self,
        caller: Caller,
        message: Message,
        session_id: str | None = None,
        ttl_s: int | None = None,
        *,
        usual_ttl_s: int | None = None,
    ) -> Session:
        """Append a message to a session of the caller, which begins with it if there is none of that id.

        Args:
            caller: Whose session it is.
            message: What was said.
            session_id: The session; without one, a new session begins.
            ttl_s: From now on the session is forgotten so many seconds after its last message.
            usual_ttl_s: The same for a session that begins, where nothing is said of it; None: as the limits say.

        Returns:
            The session, as it is now.

        Raises:
            Refused: with `E_ARGUMENT` for a message or id that cannot be stored, `E_NOT_FOUND` when the session is
                somebody else's, `E_HISTORY_KEY`, or as `RedisServer.send` does.
        """
        session = identifiers.mint() if session_id is None else identifiers.check(session_id)
        # If the session turns out to be somebody else's, the entry in the list means nothing and is struck off later.
        stored, listed = await self._server.send(
            self._append(caller, message, session, ttl_s, usual_ttl_s), self._remember(caller, session)
        )
        if stored is None:
            raise _not_found()
        if listed > self._limits.sessions_max:
            await self._make_room(caller)
        return _session(session, stored)

    async def read(
        self, caller: Caller, session_id: str | None = None, *, messages_max: int, cursor: str | None = None
    ) -> Page | None:
        """The newest messages of a session, or those before where a cursor stands.

        Args:
            caller: Who reads: the owner, or an auditor or administrator of the client.
            session_id: The session; without one, the caller's with the latest message.
            messages_max: How many messages.
            cursor: What `cursor` made of the page before.

        Returns:
            The page, or nothing when no session was named and the caller has none.

        Raises:
            Refused: with `E_NOT_FOUND`, `E_CURSOR_INVALID`, `E_CURSOR_STALE`, `E_HISTORY_KEY`, or as
                `RedisServer.send` does.
        """
        place = None if cursor is None else self._cursors.message(cursor, self._reader(caller))
        wanted = identifiers.check(session_id) if session_id is not None else None
        if place is not None and wanted not in (None, place.session_id):
            raise cursors.invalid()
        if wanted is None:
            wanted = place.session_id if place is not None else await self._latest(caller)
        if wanted is None:
            return None
        page = await self._page(caller, wanted, place.before if place is not None else sys.maxsize, messages_max)
        if place is not None and page.session.birth != place.birth:
            raise cursors.stale("The session has been cleared since the first page.")
        return page

    def cursor(self, caller: Caller, page: Page) -> str | None:
        """What leads to the messages before this page; nothing when there are none."""
        if not page.older:
            return None
        session = page.session
        place = MessageCursor(session.session_id, session.birth, page.turns[0].sequence)
        return self._cursors.write(place, self._reader(caller))

    async def sessions(self, caller: Caller, *, sessions_max: int, cursor: str | None = None) -> SessionList:
        """The caller's own sessions, the one with the latest message first.

        Args:
            caller: Whose sessions.
            sessions_max: How many.
            cursor: The `next_cursor` of the list before.

        Raises:
            Refused: with `E_CURSOR_INVALID`, `E_CURSOR_STALE`, or as `RedisServer.send` does.
        """
        place = None if cursor is None else self._cursors.session(cursor, self._reader(caller))
        entries = [entry for entry in await self._listed(caller) if place is None or _is_behind(entry, place)]
        alive = await self._alive(caller, [entry.session_id for entry in entries], sessions_max + 1)
        shown = alive[:sessions_max]
        if len(alive) == len(shown):
            return SessionList(tuple(shown), None)
        last = next(entry for entry in entries if entry.session_id == shown[-1].session_id)
        return SessionList(tuple(shown), self._cursors.write(last, self._reader(caller)))

    async def clear(self, caller: Caller, session_id: str) -> int:
        """Forget a session of the caller; how many keys there were of it.

        Raises:
            Refused: with `E_NOT_FOUND` when the caller has no such session, or as `RedisServer.send` does.
        """
        if not await self._forget(caller, [identifiers.check(session_id)]):
            raise _not_found()
        return len(_Keys.of(caller.client_id, session_id).pair)

    async def continue_latest(
        self, caller: Caller, messages: Sequence[Message], *, usual_ttl_s: int | None = None
    ) -> None:
        """Append messages to the caller's latest session, or to a new one where there is none, all at once.

        Raises:
            Refused: as `append` does.
        """
        session = await self._latest(caller) or identifiers.mint()
        appends = [self._append(caller, message, session, None, usual_ttl_s) for message in messages]
        await self._server.send(*appends, self._remember(caller, session))

    async def state(self) -> RedisState:
        """What the server says of itself.

        Raises:
            Refused: as `RedisServer.send` does.
        """
        return RedisState.of(await self._server.info())

    def _append(
        self, caller: Caller, message: Message, session: str, ttl_s: int | None, usual_ttl_s: int | None
    ) -> Command:
        keys = _Keys.of(caller.client_id, session)
        return self._scripts.append.call(
            keys.pair,
            self._owner(caller),
            identifiers.mint(),
            self._records.encode(message.checked(), keys.messages),
            (usual_ttl_s or self._limits.ttl_s) * 1000,
            "" if ttl_s is None else ttl_s * 1000,
            self._limits.messages_max,
            self._limits.bytes_max,
        )

    def _remember(self, caller: Caller, session: str) -> Command:
        list_ms = max(self._limits.ttl_s, TTL_S_MAX) * 1000
        return self._scripts.remember.call([self._list_key(caller)], session, list_ms)

    async def _page(self, caller: Caller, session_id: str, before: int, messages_max: int) -> Page:
        owner = _ANYBODY if caller.roles & _READS_OTHERS else self._owner(caller)
        keys = _Keys.of(caller.client_id, session_id)
        (answer,) = await self._server.send(self._scripts.page.call(keys.pair, owner, before, messages_max))
        if answer is None:
            raise _not_found()
        first, start, elements = answer[5:]
        turns = tuple(
            self._turn(sequence, element, keys.messages) for sequence, element in enumerate(elements, start=start)
        )
        return Page(_session(session_id, answer), turns, older=bool(turns) and start > first)

    def _turn(self, sequence: int, element: bytes, place: str) -> Turn:
        said_ms, _, record = element.partition(b":")
        return Turn(sequence, _time(int(said_ms)), self._records.decode(record, place))

    async def _latest(self, caller: Caller) -> str | None:
        listed = [entry.session_id for entry in await self._listed(caller)]
        alive = await self._alive(caller, listed, 1)
        return alive[0].session_id if alive else None

    async def _listed(self, caller: Caller) -> list[SessionCursor]:
        """Every entry in the list of the caller's sessions, the latest first; some may be of sessions long gone."""
        (entries,) = await self._server.send(("ZREVRANGE", self._list_key(caller), 0, -1, "WITHSCORES"))
        return [SessionCursor(int(updated_us), session_id.decode()) for session_id, updated_us in entries]

    async def _alive(self, caller: Caller, session_ids: Sequence[str], wanted: int) -> list[Session]:
        """Up to so many of these sessions that are still there; those that are not are struck off the list."""
        alive: list[Session] = []
        dead: list[str] = []
        for begin in range(0, len(session_ids), _BATCH):
            batch = session_ids[begin : begin + _BATCH]
            answers = await self._server.send(*(self._look(caller, session_id) for session_id in batch))
            for session_id, answer in zip(batch, answers, strict=True):
                if answer is None:
                    dead.append(session_id)
                else:
                    alive.append(_session(session_id, answer))
            if len(alive) >= wanted:
                break
        if dead:
            with suppress(Refused):  # tidying up can wait; on a replica it has to
                await self._server.send(("ZREM", self._list_key(caller), *dead))
        return alive[:wanted]

    def _look(self, caller: Caller, session_id: str) -> Command:
        return self._scripts.page.call(_Keys.of(caller.client_id, session_id).pair, self._owner(caller), 0, 0)

    async def _make_room(self, caller: Caller) -> None:
        """Forget the sessions that are too many."""
        listed = [entry.session_id for entry in await self._listed(caller)]
        alive = await self._alive(caller, listed, len(listed))
        excess = [session.session_id for session in alive[self._limits.sessions_max :]]
        if excess:
            await self._forget(caller, excess)

    async def _forget(self, caller: Caller, session_ids: Sequence[str]) -> int:
        """Forget those of these sessions that are the caller's; how many there were."""
        owner = self._owner(caller)
        clear = [
            self._scripts.clear.call(_Keys.of(caller.client_id, session_id).pair, owner) for session_id in session_ids
        ]
        strike = ("ZREM", self._list_key(caller), *session_ids)
        *cleared, _ = await self._server.send(*clear, strike)
        return sum(cleared)

    def _owner(self, caller: Caller) -> str:
        """What a session knows its owner by: keyed, so that it tells nobody who that is."""
        subject = f"{caller.issuer}\0{caller.subject}".encode()
        return hmac.new(self._owner_key, subject, hashlib.sha256).hexdigest()[:32]

    def _reader(self, caller: Caller) -> str:
        return f"{caller.client_id}:{self._owner(caller)}"

    def _list_key(self, caller: Caller) -> str:
        return f"cm:1:{{{caller.client_id}:@{self._owner(caller)}}}:s"


@asynccontextmanager
async def open_sessions(
    url: str,
    credentials: Credentials,
    redis_limits: RedisLimits,
    limits: SessionLimits,
    keys: Sequence[bytes] = (),
) -> AsyncGenerator[Sessions]:
    """The sessions on a Redis or Valkey; it need not be up yet, every call finds out for itself.

    Args:
        url: Its address; see `redis_topologies.topology`.
        credentials: What cursors are sealed with and owners are known by.
        redis_limits: How long the server may take, and its connections.
        limits: How much is kept, and for how long.
        keys: Keys of 32 bytes that seal the messages; see `Records`.

    Raises:
        Refused: with `E_SETTING` for an address of another kind.
    """
    from commission_mcp.storage.redis_connections import open_redis  # noqa: PLC0415 - imports redis
    from commission_mcp.storage.sessions.scripts import Scripts  # noqa: PLC0415 - as above

    scripts = Scripts.load()
    async with open_redis(url, scripts.all(), redis_limits) as server:
        yield Sessions(server, scripts, credentials, Records(keys), limits)


def _session(session_id: str, answer: Sequence[Any]) -> Session:
    birth, created_ms, updated_ms, length, ttl_ms = answer[:5]
    ttl_s = -(-ttl_ms // 1000)
    return Session(session_id, birth.decode(), _time(created_ms), _time(updated_ms), length, ttl_s)


def _is_behind(entry: SessionCursor, place: SessionCursor) -> bool:
    return (entry.updated_us, entry.session_id) < (place.updated_us, place.session_id)


def _time(milliseconds: int) -> datetime:
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def _not_found() -> Refused:
    return Refused(
        Problem(
            Code.NOT_FOUND,
            "There is no such session, or it is not yours.",
            "Use action `sessions` to see yours. A session is forgotten some time after its last message.",
            "session_id",
        )
    )
