"""Sessions beside a model of them in plain Python: two clients with three users each, in any order."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.embedded import open_servers
from commission_mcp.errors import Refused
from commission_mcp.storage import Credentials
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.sessions import Message, Page, SessionLimits, Sessions, open_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

T = TypeVar("T")

LIMITS = SessionLimits(ttl_s=3_600, messages_max=6, bytes_max=1_500, sessions_max=3)
PATIENT = RedisLimits(connect_timeout_ms=10_000, answer_timeout_ms=10_000, call_timeout_ms=20_000)
FULL = os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full"
ROUNDS, STEPS = (200, 50) if FULL else (8, 40)
STAMP_BYTES = 14  # the time and a colon
KIND_BYTES = 1
NOWHERE: MultipleResults[Place] = MultipleResults(())

clients = st.sampled_from(["a", "b"])
subjects = st.sampled_from(["ann", "ben", "cyd"])
session_ids = st.sampled_from(["one", "two", "3_-", "four", "five"])
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system", "tool"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=400).filter(
        lambda text: bool(text.strip())
    ),
    st.lists(st.text("ab/.", min_size=1, max_size=20), max_size=3).map(tuple),
    st.none() | st.dictionaries(st.text("xyz", max_size=3), st.integers(-9, 9) | st.booleans() | st.none(), max_size=3),
)


@dataclass
class Kept:
    """A session as it should be."""

    owner: str
    ttl_s: int
    said: list[Message] = field(default_factory=list[Message])
    dropped: int = 0

    def append(self, message: Message) -> None:
        """Append, and drop what is too much."""
        self.said.append(message)
        while len(self.said) > 1 and (len(self.said) > LIMITS.messages_max or self._bytes() > LIMITS.bytes_max):
            del self.said[0]
            self.dropped += 1

    def before(self, sequence: int, number: int) -> tuple[list[Message], bool]:
        """So many messages before one, and whether there are others before them."""
        stop = min(max(0, sequence - self.dropped), len(self.said))
        start = max(0, stop - number)
        return self.said[start:stop], start > 0 and start < stop

    def _bytes(self) -> int:
        return sum(STAMP_BYTES + KIND_BYTES + len(message.to_json()) for message in self.said)


@dataclass(frozen=True)
class Place:
    """A cursor, and what it should lead to."""

    token: str
    client: str
    subject: str
    session_id: str
    session: Kept
    before: int


class Machine(RuleBasedStateMachine):
    """Does the same to the sessions and to the model."""

    places = Bundle[Place]("places")

    def __init__(self, portal: BlockingPortal, sessions: Sessions, raw: Redis) -> None:
        super().__init__()
        self._portal = portal
        self._sessions = sessions
        self._raw = raw
        self._run = uuid.uuid4().hex[:12]
        self._kept: dict[tuple[str, str], Kept] = {}
        self._latest: dict[tuple[str, str], list[str]] = {}

    # What is done

    @rule(client=clients, subject=subjects, session_id=session_ids, message=messages, ttl=st.none() | st.just(120))
    def append(self, client: str, subject: str, session_id: str, message: Message, ttl: int | None) -> None:
        """Append to a session of one's own, to a new one, or in vain to somebody else's."""
        call = partial(self._sessions.append, self._caller(client, subject), message, session_id, ttl)
        kept = self._kept.get((client, session_id))
        if kept is not None and kept.owner != subject:
            assert self._refusal(call) == "E_NOT_FOUND"
            return
        session = self._call(call)
        if kept is None:
            kept = self._kept[client, session_id] = Kept(subject, LIMITS.ttl_s)
        kept.append(message)
        kept.ttl_s = kept.ttl_s if ttl is None else ttl
        self._touch(client, subject, session_id)

        assert (session.session_id, session.total_messages) == (session_id, len(kept.said))
        assert session.ttl_remaining_s == kept.ttl_s

    @rule(client=clients, subject=subjects, message=messages)
    def begin(self, client: str, subject: str, message: Message) -> None:
        """Append without an id."""
        session = self._call(partial(self._sessions.append, self._caller(client, subject), message))
        assert (client, session.session_id) not in self._kept
        kept = self._kept[client, session.session_id] = Kept(subject, LIMITS.ttl_s)
        kept.append(message)
        self._touch(client, subject, session.session_id)

    @rule(target=places, client=clients, subject=subjects, session_id=session_ids, number=st.integers(1, 4))
    def read(self, client: str, subject: str, session_id: str, number: int) -> Place | MultipleResults[Place]:
        """Read a session by its id."""
        call = partial(self._sessions.read, self._caller(client, subject), session_id, messages_max=number)
        kept = self._kept.get((client, session_id))
        if kept is None or kept.owner != subject:
            assert self._refusal(call) == "E_NOT_FOUND"
            return NOWHERE
        return self._check_page(self._call(call), client, subject, session_id, 2**53, number)

    @rule(target=places, client=clients, subject=subjects, number=st.integers(1, 4))
    def read_latest(self, client: str, subject: str, number: int) -> Place | MultipleResults[Place]:
        """Read without an id."""
        page = self._call(partial(self._sessions.read, self._caller(client, subject), messages_max=number))
        mine = self._latest.get((client, subject), [])
        if not mine:
            assert page is None
            return NOWHERE
        return self._check_page(page, client, subject, mine[0], 2**53, number)

    @rule(target=places, place=places, number=st.integers(1, 4))
    def read_on(self, place: Place, number: int) -> Place | MultipleResults[Place]:
        """Read on where a page ended, whatever happened since."""
        caller = self._caller(place.client, place.subject)
        call = partial(self._sessions.read, caller, messages_max=number, cursor=place.token)
        kept = self._kept.get((place.client, place.session_id))
        if kept is None or kept.owner != place.subject:
            assert self._refusal(call) == "E_NOT_FOUND"
            return NOWHERE
        if kept is not place.session:
            assert self._refusal(call) == "E_CURSOR_STALE"
            return NOWHERE
        return self._check_page(self._call(call), place.client, place.subject, place.session_id, place.before, number)

    @rule(place=places, client=clients, subject=subjects)
    def read_on_as_somebody_else(self, place: Place, client: str, subject: str) -> None:
        """Read on with somebody else's cursor."""
        if (client, subject) != (place.client, place.subject):
            caller = self._caller(client, subject)
            call = partial(self._sessions.read, caller, messages_max=1, cursor=place.token)
            assert self._refusal(call) == "E_CURSOR_INVALID"

    @rule(client=clients, subject=subjects, session_id=session_ids)
    def clear(self, client: str, subject: str, session_id: str) -> None:
        """Clear a session, or in vain somebody else's."""
        call = partial(self._sessions.clear, self._caller(client, subject), session_id)
        kept = self._kept.get((client, session_id))
        if kept is None or kept.owner != subject:
            assert self._refusal(call) == "E_NOT_FOUND"
        else:
            self._call(call)
            self._forget(client, session_id)

    @rule(client=clients, session_id=session_ids)
    def run_out(self, client: str, session_id: str) -> None:
        """Let the time of a session be over."""
        for suffix in "mi":
            key = f"cm:1:{{{self._client(client)}:{session_id}}}:{suffix}"
            self._call(partial(self._raw.pexpireat, key, 1))
        self._forget(client, session_id)

    @rule(client=clients, subject=subjects, number=st.integers(1, 3))
    def list_sessions(self, client: str, subject: str, number: int) -> None:
        """List all sessions of one's own, page by page."""
        caller = self._caller(client, subject)
        seen: list[tuple[str, int]] = []
        cursor = None
        while True:
            listed = self._call(partial(self._sessions.sessions, caller, sessions_max=number, cursor=cursor))
            seen += [(session.session_id, session.total_messages) for session in listed.sessions]
            cursor = listed.next_cursor
            if cursor is None:
                break

        mine = self._latest.get((client, subject), [])
        assert seen == [(session_id, len(self._kept[client, session_id].said)) for session_id in mine]

    # What must be so at any time

    @invariant()
    def the_auditor_sees_every_session_as_it_is(self) -> None:
        """Nothing changes but what was changed."""
        for (client, session_id), kept in self._kept.items():
            auditor = Caller(self._client(client), "local", "auditor", frozenset({Role.AUDITOR}))
            page = self._call(partial(self._sessions.read, auditor, session_id, messages_max=100))
            assert page is not None
            assert [turn.message for turn in page.turns] == kept.said
            assert not page.older

    def _check_page(
        self, page: Page | None, client: str, subject: str, session_id: str, before: int, number: int
    ) -> Place | MultipleResults[Place]:
        kept = self._kept[client, session_id]
        expected, older = kept.before(before, number)
        assert page is not None
        assert page.session.session_id == session_id
        assert ([turn.message for turn in page.turns], page.older) == (expected, older)
        token = self._sessions.cursor(self._caller(client, subject), page)
        if token is None:
            return NOWHERE
        return Place(token, client, subject, session_id, kept, page.turns[0].sequence)

    def _touch(self, client: str, subject: str, session_id: str) -> None:
        """Put a session first; the last one goes when there are too many."""
        mine = self._latest.setdefault((client, subject), [])
        mine[:] = [session_id, *(other for other in mine if other != session_id)]
        if len(mine) > LIMITS.sessions_max:
            self._forget(client, mine[-1])

    def _forget(self, client: str, session_id: str) -> None:
        kept = self._kept.pop((client, session_id), None)
        if kept is not None:
            self._latest[client, kept.owner].remove(session_id)

    def _client(self, client: str) -> str:
        return f"model-{self._run}-{client}"

    def _caller(self, client: str, subject: str) -> Caller:
        return Caller(self._client(client), "local", subject, frozenset({Role.ANALYST}))

    def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        return self._portal.call(call)

    def _refusal(self, call: Callable[[], Awaitable[object]]) -> str:
        with pytest.raises(Refused) as caught:
            self._portal.call(call)
        (problem,) = caught.value.problems
        return str(problem.code)


@pytest.fixture(scope="module")
async def url(data_directory: Path) -> AsyncIterator[str]:
    """The embedded Valkey for the history."""
    async with open_servers(data_directory, postgres=False, grace_s=0.1) as servers:
        yield servers.history_url


@pytest.fixture
def new_machine(url: str) -> Iterator[Callable[[], Machine]]:
    """Makes machines on that Valkey."""
    credentials = Credentials("a master secret of a test installation")
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        opening = open_sessions(url, credentials, PATIENT, LIMITS)
        sessions = stack.enter_context(portal.wrap_async_context_manager(opening))
        client: Redis = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        raw = stack.enter_context(portal.wrap_async_context_manager(client))
        yield partial(Machine, portal, sessions, raw)


@pytest.mark.campaign
@pytest.mark.usefixtures("anyio_backend")
def test_sessions_do_what_the_model_does(new_machine: Callable[[], Machine]) -> None:
    """300 steps; 10,000 with COMMISSION_TEST_CAMPAIGN=full. A failure prints the steps that repeat it."""
    run_state_machine_as_test(
        new_machine,  # pyright: ignore[reportArgumentType] - any factory does, by its documentation
        settings=settings(
            max_examples=ROUNDS,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
