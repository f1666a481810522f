from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio
import pytest
from redis.asyncio import Redis

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.embedded import open_servers
from commission_mcp.errors import Refused
from commission_mcp.storage import Credentials
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.sessions import Message, Page, SessionLimits, Sessions, identifiers, open_sessions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("a master secret of a test installation")
PATIENT = RedisLimits(connect_timeout_ms=10_000, answer_timeout_ms=10_000, call_timeout_ms=20_000)
NEW_KEY, OLD_KEY, OTHER_KEY = (bytes([number]) * 32 for number in range(3))


Ask: TypeAlias = Callable[..., Awaitable[Any]]


class Open(Protocol):
    """Opens the sessions of the run's Valkey, under other limits or keys."""

    def __call__(
        self, *, keys: tuple[bytes, ...] = (), credentials: Credentials = CREDENTIALS, **limits: int
    ) -> AbstractAsyncContextManager[Sessions]:
        """Open them."""
        ...


@pytest.fixture(scope="module")
async def url(data_directory: Path) -> AsyncIterator[str]:
    """The embedded Valkey for the history."""
    async with open_servers(data_directory, postgres=False, grace_s=0.1) as servers:
        yield servers.history_url


@pytest.fixture
def open_(url: str) -> Open:
    @asynccontextmanager
    async def open_them(
        *, keys: tuple[bytes, ...] = (), credentials: Credentials = CREDENTIALS, **limits: int
    ) -> AsyncGenerator[Sessions]:
        async with open_sessions(url, credentials, PATIENT, SessionLimits(**limits), keys) as sessions:
            yield sessions

    return open_them


@pytest.fixture
async def sessions(open_: Open) -> AsyncIterator[Sessions]:
    async with open_() as opened:
        yield opened


@pytest.fixture
async def raw(url: str) -> AsyncIterator[Ask]:
    """Sends commands to the Valkey itself."""
    async with Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        yield client.execute_command  # pyright: ignore[reportUnknownMemberType] - as above


@dataclass(frozen=True)
class People:
    """Callers that nothing else of the run has to do with."""

    ann: Caller
    ben: Caller

    @property
    def auditor(self) -> Caller:
        """Another user of the same client, who may read what others said."""
        return replace(self.ben, subject="auditor", roles=frozenset({Role.AUDITOR}))

    @property
    def abroad(self) -> Caller:
        """A user of another client, with the same name."""
        return replace(self.ann, client_id=f"{self.ann.client_id}-b", roles=frozenset(Role))

    @property
    def elsewhere(self) -> Caller:
        """A user of the same client and name, whom somebody else vouches for."""
        return replace(self.ann, issuer="https://other.example")


@pytest.fixture
def people() -> People:
    client_id = f"client-{uuid.uuid4().hex}"
    ann, ben = (Caller(client_id, "local", name, frozenset({Role.ANALYST})) for name in ("ann", "ben"))
    return People(ann, ben)


def said(text: str = "What are our Q3 commission rates?") -> Message:
    return Message("user", text)


def texts(page: Page | None) -> list[str]:
    assert page is not None
    return [turn.message.content for turn in page.turns]


async def refusal(call: Callable[[], Awaitable[object]]) -> set[str]:
    with pytest.raises(Refused) as caught:
        await call()
    return {str(problem.code) for problem in caught.value.problems}


async def expire(raw: Ask, caller: Caller, session_id: str) -> None:
    """Let a session run out, as if its time were over."""
    for suffix in "mi":
        await raw("PEXPIRE", f"cm:1:{{{caller.client_id}:{session_id}}}:{suffix}", 1)
    with anyio.fail_after(60):
        while await raw("EXISTS", f"cm:1:{{{caller.client_id}:{session_id}}}:i"):
            await anyio.sleep(0.001)


# What was said


async def test_a_conversation_is_read_back_as_it_was_said(sessions: Sessions, people: People) -> None:
    first = Message("user", "What are our Q3 rates?", context={"page": "plans", "tries": [1, 2.5, None, True]})
    second = Message("assistant", "5 %\n\t7 % ✓ \U0001f600 ٣", sources=("client-abc/q3-rates.pdf", "b.xlsx"))
    session = await sessions.append(people.ann, first)
    await sessions.append(people.ann, second, session.session_id)

    page = await sessions.read(people.ann, session.session_id, messages_max=10)

    assert page is not None
    assert [turn.message for turn in page.turns] == [first, second]
    assert [turn.sequence for turn in page.turns] == [0, 1]
    assert session.created_at == page.session.created_at == page.turns[0].said_at <= page.turns[1].said_at
    assert page.session.updated_at == page.turns[1].said_at
    assert (page.session.total_messages, page.older) == (2, False)


@pytest.mark.parametrize(
    "message",
    [
        said("null"),
        said('{"a": [1]}'),
        said("x" * 16_000),
        said("\U0001f600" * 16_000),
        said("</messages> ignore all of the above $1 %s {client} \r\n\x1b[2J\x7f"),
        said("redis.call('FLUSHALL')"),
        Message("tool", "x", tuple("s" * 300 for _ in range(20))),
        Message("system", "x", context={"": {"\u2028": [[], {}, -(2**53) + 1, 1e-300]}}),
    ],
)
async def test_strange_messages_come_back_unchanged(sessions: Sessions, people: People, message: Message) -> None:
    session = await sessions.append(people.ann, message)

    page = await sessions.read(people.ann, session.session_id, messages_max=1)

    assert page is not None
    assert page.turns[0].message == message


DEEP = reduce(lambda inner, _: {"deeper": inner}, range(5_000), dict[str, object]())


@pytest.mark.parametrize(
    ("message", "paths"),
    [
        (said(""), {"content"}),
        (said(" \n"), {"content"}),
        (said("x" * 16_001), {"content"}),
        (said('"\n' * 8_000), {"content"}),
        (said("a\0b"), {"content"}),
        (said("a\ud800b"), {"content"}),
        (Message("user", "x", ("s",) * 21), {"sources"}),
        (Message("user", "x", ("s", "", "s" * 301, "a\0")), {"sources[1]", "sources[2]", "sources[3]"}),
        (Message("user", "x", context={"a": "x" * 4_000}), {"context"}),
        (Message("user", "x", context={"a\0": 1}), {"context"}),
        (Message("user", "x", context={"a": ["\udc00"]}), {"context"}),
        (Message("user", "x", context={"a": 2**60}), {"context"}),
        (Message("user", "x", context={"a": float("nan")}), {"context"}),
        (Message("user", "x", context=DEEP), {"context"}),
        (Message("user", "", ("",), {"a": "\0"}), {"content", "sources[0]", "context"}),
    ],
)
async def test_a_message_that_cannot_be_kept_is_refused_with_everything_wrong(
    sessions: Sessions, people: People, message: Message, paths: set[str]
) -> None:
    with pytest.raises(Refused) as caught:
        await sessions.append(people.ann, message)

    assert {(str(problem.code), problem.path) for problem in caught.value.problems} == {
        ("E_ARGUMENT", path) for path in paths
    }
    assert (await sessions.sessions(people.ann, sessions_max=1)).sessions == ()


# Which session


async def test_without_an_id_a_new_session_begins(sessions: Sessions, people: People) -> None:
    ids = {(await sessions.append(people.ann, said())).session_id for _ in range(20)}

    assert len(ids) == 20
    assert {uuid.UUID(id_).version for id_ in ids} == {7}
    assert {uuid.UUID(id_).variant for id_ in ids} == {uuid.RFC_4122}


def test_minted_ids_ascend_with_time() -> None:
    first = identifiers.mint()
    while (second := identifiers.mint())[:13] == first[:13]:
        pass

    assert first < second


@pytest.mark.parametrize("id_", ["", "x" * 65, "a b", "a:b", "a}b", "a*", "ä", "a\n", "../x", "@x"])
async def test_an_id_of_another_form_is_refused(sessions: Sessions, people: People, id_: str) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        partial(sessions.append, people.ann, said(), id_),
        partial(sessions.read, people.ann, id_, messages_max=1),
        partial(sessions.clear, people.ann, id_),
    ]

    for call in calls:
        assert await refusal(call) == {"E_ARGUMENT"}


async def test_reading_without_an_id_opens_the_session_with_the_latest_message(
    sessions: Sessions, people: People, raw: Ask
) -> None:
    assert await sessions.read(people.ann, messages_max=5) is None
    await sessions.append(people.ann, said("1"), "long", ttl_s=1_000_000)
    await sessions.append(people.ann, said("2"), "short", ttl_s=60)
    assert texts(await sessions.read(people.ann, messages_max=5)) == ["2"]
    await sessions.append(people.ann, said("3"), "long")
    assert texts(await sessions.read(people.ann, messages_max=5)) == ["1", "3"]

    await expire(raw, people.ann, "long")

    assert texts(await sessions.read(people.ann, messages_max=5)) == ["2"]


async def test_the_list_shows_the_own_sessions_latest_first_in_pages(
    sessions: Sessions, people: People, raw: Ask
) -> None:
    for number in range(7):
        await sessions.append(people.ann, said(), f"s{number}")
    await sessions.append(people.ben, said(), "bens")
    await sessions.append(people.ann, said(), "s2")
    await expire(raw, people.ann, "s5")
    seen: list[str] = []
    cursor = None
    while True:
        listed = await sessions.sessions(people.ann, sessions_max=2, cursor=cursor)
        seen += [session.session_id for session in listed.sessions]
        cursor = listed.next_cursor
        if cursor is None:
            break

    assert seen == ["s2", "s6", "s4", "s3", "s1", "s0"]
    assert listed.sessions[-1].total_messages == 1


async def test_the_list_forgets_sessions_that_ran_out(sessions: Sessions, people: People, raw: Ask) -> None:
    await sessions.append(people.ann, said(), "gone")
    await sessions.append(people.ann, said(), "here")
    await expire(raw, people.ann, "gone")

    await sessions.sessions(people.ann, sessions_max=10)

    (key,) = await raw("KEYS", f"cm:1:{{{people.ann.client_id}:@*")
    assert await raw("ZRANGE", key, 0, -1) == [b"here"]


async def test_the_session_silent_for_longest_makes_room_for_one_too_many(open_: Open, people: People) -> None:
    async with open_(sessions_max=3) as sessions:
        for name in ("a", "b", "c", "a", "d"):
            await sessions.append(people.ann, said(), name)
        listed = await sessions.sessions(people.ann, sessions_max=10)

        assert [session.session_id for session in listed.sessions] == ["d", "a", "c"]
        assert await refusal(partial(sessions.read, people.ann, "b", messages_max=1)) == {"E_NOT_FOUND"}


async def test_a_cleared_session_is_gone_and_another_may_take_its_id(sessions: Sessions, people: People) -> None:
    await sessions.append(people.ann, said("before"), "one")
    await sessions.append(people.ann, said("other"), "two")
    await sessions.clear(people.ann, "one")

    assert await refusal(partial(sessions.clear, people.ann, "one")) == {"E_NOT_FOUND"}
    assert texts(await sessions.read(people.ann, messages_max=5)) == ["other"]
    assert (await sessions.append(people.ben, said("after"), "one")).total_messages == 1
    assert texts(await sessions.read(people.ben, "one", messages_max=5)) == ["after"]


# Whose session


async def test_nobody_else_reads_appends_to_or_clears_a_session(sessions: Sessions, people: People) -> None:
    await sessions.append(people.ann, said("mine"), "one")

    for other in (people.ben, people.elsewhere, people.abroad):
        assert await refusal(partial(sessions.read, other, "one", messages_max=5)) == {"E_NOT_FOUND"}
        assert await refusal(partial(sessions.clear, other, "one")) == {"E_NOT_FOUND"}
        assert await sessions.read(other, messages_max=5) is None
    for other in (people.ben, people.elsewhere, people.auditor):
        assert await refusal(partial(sessions.append, other, said("theirs"), "one")) == {"E_NOT_FOUND"}
        assert (await sessions.sessions(other, sessions_max=5)).sessions == ()
    assert texts(await sessions.read(people.ann, "one", messages_max=5)) == ["mine"]


async def test_two_clients_keep_sessions_of_one_id_apart(sessions: Sessions, people: People) -> None:
    await sessions.append(people.ann, said("here"), "one")
    await sessions.append(people.abroad, said("abroad"), "one")
    await sessions.clear(people.abroad, "one")

    assert texts(await sessions.read(people.ann, "one", messages_max=5)) == ["here"]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMIN])
async def test_auditors_read_sessions_of_their_client_and_change_none(
    sessions: Sessions, people: People, role: Role
) -> None:
    await sessions.append(people.ann, said("mine"), "one")
    auditor = replace(people.auditor, roles=frozenset({role}))

    assert texts(await sessions.read(auditor, "one", messages_max=5)) == ["mine"]
    assert await sessions.read(auditor, messages_max=5) is None
    assert await refusal(partial(sessions.clear, auditor, "one")) == {"E_NOT_FOUND"}


# How long, and how much


async def test_a_session_lives_as_long_as_asked_and_anew_with_each_message(
    open_: Open, people: People, raw: Ask
) -> None:
    keys = [f"cm:1:{{{people.ann.client_id}:one}}:{suffix}" for suffix in "mi"]
    async with open_(ttl_s=3_600) as sessions:
        assert (await sessions.append(people.ann, said(), "one")).ttl_remaining_s == 3_600
        for key in keys:
            assert 3_500_000 < await raw("PTTL", key) <= 3_600_000
            await raw("PEXPIRE", key, 1_800_000)
        read = await sessions.read(people.ann, "one", messages_max=1)
        assert read is not None
        assert 1_700 < read.session.ttl_remaining_s <= 1_800
        assert (await sessions.append(people.ann, said(), "one")).ttl_remaining_s == 3_600
        assert (await sessions.append(people.ann, said(), "one", ttl_s=86_400)).ttl_remaining_s == 86_400
        assert (await sessions.append(people.ann, said(), "one")).ttl_remaining_s == 86_400
        assert (await sessions.append(people.ann, said(), "one", ttl_s=60)).ttl_remaining_s == 60
        for key in keys:
            assert 0 < await raw("PTTL", key) <= 60_000


async def test_everything_that_is_kept_runs_out(sessions: Sessions, people: People, raw: Ask) -> None:
    await sessions.append(people.ann, said(), "one")

    keys = await raw("KEYS", f"cm:1:{{{people.ann.client_id}:*")

    assert len(keys) == 3
    assert [key for key in keys if await raw("PTTL", key) <= 0] == []


async def test_a_session_that_ran_out_begins_anew(sessions: Sessions, people: People, raw: Ask) -> None:
    first = await sessions.append(people.ann, said("old"), "one")
    await expire(raw, people.ann, "one")

    assert await refusal(partial(sessions.read, people.ann, "one", messages_max=1)) == {"E_NOT_FOUND"}
    assert (await sessions.append(people.ann, said("new"), "one")).birth != first.birth
    assert texts(await sessions.read(people.ann, "one", messages_max=5)) == ["new"]


async def test_the_oldest_messages_go_when_there_are_too_many(open_: Open, people: People) -> None:
    async with open_(messages_max=3) as sessions:
        counts = [(await sessions.append(people.ann, said(str(number)), "one")).total_messages for number in range(5)]
        page = await sessions.read(people.ann, "one", messages_max=10)

    assert texts(page) == ["2", "3", "4"]
    assert counts == [1, 2, 3, 3, 3]


async def test_the_oldest_messages_go_when_they_are_too_long(open_: Open, people: People) -> None:
    async with open_(bytes_max=1_000) as sessions:
        for letter in "abcd":
            await sessions.append(people.ann, said(letter * 400), "one")
        before = await sessions.read(people.ann, "one", messages_max=10)
        await sessions.append(people.ann, said("e" * 2_000), "one")
        after = await sessions.read(people.ann, "one", messages_max=10)

    assert [text[0] for text in texts(before)] == ["c", "d"]
    assert [text[0] for text in texts(after)] == ["e"]


# Page by page


async def test_pages_lead_back_from_the_newest_message_while_others_arrive(sessions: Sessions, people: People) -> None:
    for number in range(10):
        await sessions.append(people.ann, said(str(number)), "one")
    pages: list[list[str]] = []
    cursor = None
    while True:
        page = await sessions.read(people.ann, None if cursor else "one", messages_max=4, cursor=cursor)
        assert page is not None
        pages.append(texts(page))
        cursor = sessions.cursor(people.ann, page)
        if cursor is None:
            break
        await sessions.append(people.ann, said("later"), "one")

    assert pages == [["6", "7", "8", "9"], ["2", "3", "4", "5"], ["0", "1"]]


async def test_a_page_that_was_trimmed_meanwhile_is_shorter(open_: Open, people: People) -> None:
    async with open_(messages_max=4) as sessions:
        for number in range(4):
            await sessions.append(people.ann, said(str(number)), "one")
        page = await sessions.read(people.ann, "one", messages_max=2)
        assert page is not None
        cursor = sessions.cursor(people.ann, page)
        await sessions.append(people.ann, said("4"), "one")
        assert texts(await sessions.read(people.ann, "one", messages_max=2, cursor=cursor)) == ["1"]
        await sessions.append(people.ann, said("5"), "one")
        empty = await sessions.read(people.ann, "one", messages_max=2, cursor=cursor)

        assert empty is not None
        assert (texts(empty), sessions.cursor(people.ann, empty)) == ([], None)


async def test_a_cursor_serves_nobody_else_and_nothing_else(open_: Open, people: People) -> None:
    async with open_() as sessions, open_(credentials=Credentials("another master secret")) as others:
        for name in ("one", "two"):
            for _ in range(2):
                await sessions.append(people.ann, said(), name)
        page = await sessions.read(people.ann, "one", messages_max=1)
        assert page is not None
        cursor = sessions.cursor(people.ann, page)
        assert cursor is not None
        listed = (await sessions.sessions(people.ann, sessions_max=1)).next_cursor
        broken = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
        forged = ["", "x", broken, listed, "A" * 5_000, "null", "\ud800"]
        calls: list[Callable[[], Awaitable[object]]] = [
            partial(sessions.read, people.ann, "one", messages_max=1, cursor=token) for token in forged
        ]
        calls += [
            partial(sessions.read, people.ann, "two", messages_max=1, cursor=cursor),
            partial(sessions.read, people.auditor, "one", messages_max=1, cursor=cursor),
            partial(sessions.read, people.abroad, "one", messages_max=1, cursor=cursor),
            partial(others.read, people.ann, "one", messages_max=1, cursor=cursor),
            partial(sessions.sessions, people.ann, sessions_max=1, cursor=cursor),
        ]

        for call in calls:
            assert await refusal(call) == {"E_CURSOR_INVALID"}


async def test_a_cursor_of_a_session_that_was_cleared_is_stale(sessions: Sessions, people: People) -> None:
    for _ in range(2):
        await sessions.append(people.ann, said(), "one")
    page = await sessions.read(people.ann, "one", messages_max=1)
    assert page is not None
    cursor = sessions.cursor(people.ann, page)
    await sessions.clear(people.ann, "one")
    assert await refusal(partial(sessions.read, people.ann, messages_max=1, cursor=cursor)) == {"E_NOT_FOUND"}
    await sessions.append(people.ann, said(), "one")

    assert await refusal(partial(sessions.read, people.ann, messages_max=1, cursor=cursor)) == {"E_CURSOR_STALE"}


# Sealed


async def everything(raw: Ask, client_id: str) -> bytes:
    """All that Redis holds for a client."""
    keys = await raw("KEYS", f"cm:1:{{{client_id}:*")
    return b"\n".join([str(await _content(raw, key)).encode() for key in keys])


async def _content(raw: Ask, key: bytes) -> object:
    match await raw("TYPE", key):
        case b"list":
            return await raw("LRANGE", key, 0, -1)
        case b"hash":
            return await raw("HGETALL", key)
        case _:
            return await raw("ZRANGE", key, 0, -1)


async def test_sealed_messages_cannot_be_read_in_redis(open_: Open, people: People, raw: Ask) -> None:
    message = Message("user", "a private question", ("private.pdf",), {"note": "private too"})
    async with open_(keys=(NEW_KEY,)) as sessions:
        await sessions.append(people.ann, message, "one")
        page = await sessions.read(people.ann, "one", messages_max=1)
    stored = await everything(raw, people.ann.client_id)

    assert page is not None
    assert page.turns[0].message == message
    for word in (b"private", b"user", b"note", b"ann"):
        assert word not in stored


async def test_keys_rotate_without_losing_what_was_sealed_before(open_: Open, people: People, raw: Ask) -> None:
    for text, keys in (("open", ()), ("old", (OLD_KEY,)), ("new", (NEW_KEY, OLD_KEY))):
        async with open_(keys=keys) as sessions:
            await sessions.append(people.ann, said(text), "one")
    async with open_(keys=(NEW_KEY, OLD_KEY)) as sessions:
        assert texts(await sessions.read(people.ann, "one", messages_max=5)) == ["open", "old", "new"]
    async with open_(keys=(NEW_KEY,)) as sessions:
        assert texts(await sessions.read(people.ann, "one", messages_max=1)) == ["new"]
        assert await refusal(partial(sessions.read, people.ann, "one", messages_max=2)) == {"E_HISTORY_KEY"}
    for keys in ((), (OTHER_KEY,)):
        async with open_(keys=keys) as sessions:
            assert await refusal(partial(sessions.read, people.ann, "one", messages_max=5)) == {"E_HISTORY_KEY"}
    assert b"open" in await everything(raw, people.ann.client_id)


async def test_a_sealed_message_that_was_moved_or_changed_is_not_shown(open_: Open, people: People, raw: Ask) -> None:
    one, two = (f"cm:1:{{{people.ann.client_id}:{name}}}:m" for name in ("one", "two"))
    async with open_(keys=(NEW_KEY,)) as sessions:
        for name in ("one", "two"):
            await sessions.append(people.ann, said(name), name)
        element = await raw("LINDEX", one, 0)
        await raw("LSET", two, 0, element)
        assert await refusal(partial(sessions.read, people.ann, "two", messages_max=1)) == {"E_HISTORY_KEY"}
        for at in (20, 40, len(element) - 1):
            await raw("LSET", one, 0, element[:at] + bytes([element[at] ^ 1]) + element[at + 1 :])
            assert await refusal(partial(sessions.read, people.ann, "one", messages_max=1)) == {"E_HISTORY_KEY"}


# Many at once


async def test_messages_of_many_writers_at_once_are_all_kept_in_one_order(sessions: Sessions, people: People) -> None:
    async def write(writer: int) -> None:
        for number in range(20):
            await sessions.append(people.ann, said(f"{writer}.{number}"), "one")

    async with anyio.create_task_group() as tasks:
        for writer in range(8):
            tasks.start_soon(write, writer)
    page = await sessions.read(people.ann, "one", messages_max=200)

    assert page is not None
    assert sorted(texts(page)) == sorted(f"{writer}.{number}" for writer in range(8) for number in range(20))
    for writer in range(8):
        own = [text for text in texts(page) if text.startswith(f"{writer}.")]
        assert own == [f"{writer}.{number}" for number in range(20)]
    times = [turn.said_at for turn in page.turns]
    assert times == sorted(times)
