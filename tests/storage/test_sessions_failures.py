"""What a caller is told when Redis does not serve, and that the next call after its recovery works."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import SocketStream
from redis.exceptions import RedisError

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Refused
from commission_mcp.storage import Credentials
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.sessions import Message, Page, SessionLimits, Sessions, open_sessions

if TYPE_CHECKING:
    from conftest import Valkey

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("a master secret of a test installation")
ANN, BEN = (Caller("client-a", "local", name, frozenset({Role.ANALYST})) for name in ("ann", "ben"))
SAID = Message("user", "What are our Q3 commission rates?")


@asynccontextmanager
async def opened(url: str, redis_limits: RedisLimits | None = None) -> AsyncGenerator[Sessions]:
    async with open_sessions(url, CREDENTIALS, redis_limits or RedisLimits(), SessionLimits()) as sessions:
        yield sessions


@pytest.fixture
async def sessions(valkey: Valkey) -> AsyncIterator[Sessions]:
    """Sessions on that server, with one message of Ann's in `one`."""
    async with opened(valkey.address()) as sessions:
        await sessions.append(ANN, SAID, "one")
        yield sessions


def calls(sessions: Sessions) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "append": partial(sessions.append, ANN, SAID, "one"),
        "read": partial(sessions.read, ANN, "one", messages_max=10),
        "latest": partial(sessions.read, ANN, messages_max=10),
        "sessions": partial(sessions.sessions, ANN, sessions_max=10),
        "clear": partial(sessions.clear, ANN, "two"),
    }


async def outcomes(sessions: Sessions) -> dict[str, str]:
    """What each call comes to; no refusal may tell more than our own words."""
    await _try(partial(sessions.append, ANN, SAID, "two"))
    return {name: await _try(call) for name, call in calls(sessions).items()}


async def _try(call: Callable[[], Awaitable[object]]) -> str:
    try:
        await call()
    except Refused as refused:
        return _code(refused)
    return "ok"


def _code(refused: Refused) -> str:
    assert "a-password-of-the-test" not in str(refused)
    assert "/" not in str(refused)
    return str(refused.problems[0].code)


async def count(sessions: Sessions) -> int:
    page = await sessions.read(ANN, "one", messages_max=1)
    assert page is not None
    return page.session.total_messages


async def test_a_server_that_is_down_is_a_refusal_and_works_when_it_is_back(valkey: Valkey, sessions: Sessions) -> None:
    valkey.kill()
    assert set((await outcomes(sessions)).values()) == {"E_REDIS_UNREACHABLE"}

    await valkey.start()

    assert await count(sessions) == 1
    assert set((await outcomes(sessions)).values()) == {"ok"}


async def test_opening_needs_no_server(stopped_valkey: Valkey) -> None:
    async with opened(stopped_valkey.address()) as sessions:
        assert await _try(partial(sessions.append, ANN, SAID)) == "E_REDIS_UNREACHABLE"
        await stopped_valkey.start()
        assert await _try(partial(sessions.append, ANN, SAID)) == "ok"


async def test_a_server_that_hangs_is_a_refusal_and_what_it_was_sent_is_stored_at_most_once(
    valkey: Valkey, sessions: Sessions
) -> None:
    valkey.signal(signal.SIGSTOP)
    try:
        refused = {name: await _try(call) for name, call in calls(sessions).items()}
    finally:
        valkey.signal(signal.SIGCONT)

    assert set(refused.values()) == {"E_REDIS_UNREACHABLE"}
    assert await count(sessions) <= 2
    assert set((await outcomes(sessions)).values()) == {"ok"}


@asynccontextmanager
async def losing_answers(valkey: Valkey, at: Path, number: int) -> AsyncGenerator[None]:
    """A way to the server on which the answers to the first so many scripts are lost, connection and all."""
    left = [number]

    async def serve(near: SocketStream) -> None:
        async with near, await anyio.connect_unix(valkey.socket) as far:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    asked = await near.receive()
                    await far.send(asked)
                    answer = await far.receive()
                    if b"EVALSHA" in asked and b"NOSCRIPT" not in answer and left[0]:
                        left[0] -= 1
                        return
                    await near.send(answer)

    async with await anyio.create_unix_listener(at) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("lost", "outcome"), [(1, "ok"), (2, "ok"), (3, "E_REDIS_UNREACHABLE")])
async def test_a_message_whose_acknowledgement_was_lost_is_stored_once(
    valkey: Valkey, sessions: Sessions, lost: int, outcome: str
) -> None:
    way = valkey.socket.with_name("way")
    async with losing_answers(valkey, way, lost), opened(f"unix://:{valkey.password}@{way}") as through:
        assert await _try(partial(through.append, ANN, SAID, "one")) == outcome

    assert await count(sessions) == 2


async def test_a_server_without_memory_refuses_to_store_and_goes_on_reading(valkey: Valkey, sessions: Sessions) -> None:
    await sessions.append(ANN, SAID, "two")
    async with valkey.raw() as raw:
        await raw("CONFIG", "SET", "maxmemory", "1")
        full = await outcomes(sessions)
        await raw("CONFIG", "SET", "maxmemory", "0")

    assert full == {"append": "E_REDIS_FULL", "read": "ok", "latest": "ok", "sessions": "ok", "clear": "ok"}
    assert await count(sessions) == 1
    assert set((await outcomes(sessions)).values()) == {"ok"}


async def test_a_replica_refuses_to_store_and_goes_on_reading(valkey: Valkey, sessions: Sessions) -> None:
    await sessions.append(ANN, SAID, "gone")
    async with valkey.raw() as raw:
        await raw("DEL", "cm:1:{client-a:gone}:i", "cm:1:{client-a:gone}:m")
        await raw("REPLICAOF", "127.0.0.1", "1")
        replica = await outcomes(sessions)
        await raw("REPLICAOF", "NO", "ONE")

    only_reads = {"append": "E_REDIS_READ_ONLY", "clear": "E_REDIS_READ_ONLY"}
    assert replica == {"read": "ok", "latest": "ok", "sessions": "ok", **only_reads}
    assert set((await outcomes(sessions)).values()) == {"ok"}


async def test_a_primary_that_lost_its_replicas_refuses_to_store(valkey: Valkey, sessions: Sessions) -> None:
    async with valkey.raw() as raw:
        await raw("CONFIG", "SET", "min-replicas-to-write", "1")
        assert (await outcomes(sessions))["append"] == "E_REDIS_READ_ONLY"
        await raw("CONFIG", "SET", "min-replicas-to-write", "0")

    assert set((await outcomes(sessions)).values()) == {"ok"}


async def test_a_server_that_forgot_the_scripts_is_told_them_again(valkey: Valkey, sessions: Sessions) -> None:
    for name, call in {"write": partial(sessions.append, ANN, SAID, "two"), **calls(sessions)}.items():
        async with valkey.raw() as raw:
            await raw("SCRIPT", "FLUSH")
        assert await _try(call) == "ok", name


async def test_a_server_that_is_busy_with_a_script_is_a_refusal(valkey: Valkey, sessions: Sessions) -> None:
    async with valkey.raw() as raw, anyio.create_task_group() as tasks:
        await raw("CONFIG", "SET", "lua-time-limit", "1")

        async def hang() -> None:
            with pytest.raises(RedisError):
                await raw("EVAL", "while true do end", 0)

        tasks.start_soon(hang)
        async with valkey.raw() as other:
            with anyio.fail_after(30):
                while await valkey.answers():
                    await anyio.sleep(0.01)
            assert await _try(partial(sessions.append, ANN, SAID, "one")) == "E_REDIS_UNREACHABLE"
            await other("SCRIPT", "KILL")

    assert set((await outcomes(sessions)).values()) == {"ok"}


@pytest.mark.parametrize(
    "url",
    [
        "unix://:wrong@{socket}",
        "unix://{socket}",
        "unix://nobody:wrong@{socket}",
        "redis://:secret@127.0.0.1:1/0",
        "redis://:secret@no-such-host.invalid/0",
        "rediss://:secret@127.0.0.1:1/0",
    ],
)
async def test_an_address_that_leads_nowhere_is_a_refusal_without_the_address(valkey: Valkey, url: str) -> None:
    async with opened(url.format(socket=valkey.socket)) as sessions:
        for call in calls(sessions).values():
            with pytest.raises(Refused) as caught:
                await call()
            assert {str(problem.code) for problem in caught.value.problems} == {"E_REDIS_UNREACHABLE"}
            assert "secret" not in str(caught.value)
            assert "wrong" not in str(caught.value)


async def test_a_login_without_the_right_to_a_command_is_a_refusal(valkey: Valkey) -> None:
    async with valkey.raw() as raw:
        await raw("ACL", "SETUSER", "reader", "on", f">{valkey.password}", "~*", "+ping")
    async with opened(valkey.address().replace("unix://:", "unix://reader:")) as sessions:
        assert set((await outcomes(sessions)).values()) == {"E_REDIS_UNREACHABLE"}


@pytest.mark.parametrize("url", ["redis+sentinel://:secret@a:1", "redis+cluster://a:1/3", "http://a", "redis://a?db=x"])
async def test_an_address_of_another_kind_is_refused_when_it_is_opened(url: str) -> None:
    with pytest.raises(Refused) as caught:
        async with opened(url):
            pass

    assert {str(problem.code) for problem in caught.value.problems} == {"E_SETTING"}
    assert "secret" not in str(caught.value)


async def test_options_in_the_address_do_not_change_how_answers_are_read(valkey: Valkey) -> None:
    async with opened(f"{valkey.address()}?decode_responses=true&protocol=2&db=1") as sessions:
        assert set((await outcomes(sessions)).values()) == {"ok"}


async def test_calls_beyond_the_connections_wait_their_turn(valkey: Valkey) -> None:
    async with opened(valkey.address(), RedisLimits(connections_max=2, call_timeout_ms=20_000)) as sessions:
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(sessions.append, ANN, SAID, "one")
        assert await count(sessions) == 100


async def test_who_gets_no_connection_in_time_is_told_to_try_again(valkey: Valkey) -> None:
    impatient = RedisLimits(connections_max=1, answer_timeout_ms=5_000, call_timeout_ms=300)
    async with opened(valkey.address(), impatient) as sessions:
        await sessions.append(ANN, SAID, "one")
        results: list[str] = []

        async def read() -> None:
            results.append(await _try(partial(sessions.read, ANN, "one", messages_max=1)))

        valkey.signal(signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(read)
        finally:
            valkey.signal(signal.SIGCONT)

    assert sorted(results) == ["E_BUSY", "E_REDIS_UNREACHABLE"]


async def test_a_cancelled_call_leaves_no_answer_behind_for_another_caller(valkey: Valkey) -> None:
    """A connection whose answer nobody took must not give it to the next call, which may be somebody else's."""
    choose = random.Random(1)  # noqa: S311 - when to cancel
    async with opened(valkey.address(), RedisLimits(connections_max=2, call_timeout_ms=20_000)) as sessions:
        for caller in (ANN, BEN):
            await sessions.append(caller, Message("user", caller.subject * 1_000), caller.subject)
        seen: list[bool] = []

        async def read(caller: Caller, cancelled_after_s: float) -> None:
            page: Page | None = None
            with anyio.move_on_after(cancelled_after_s):
                page = await sessions.read(caller, caller.subject, messages_max=1)
            if page is not None:
                seen.append(page.turns[0].message.content.startswith(caller.subject))

        for _ in range(100):
            async with anyio.create_task_group() as tasks:
                for caller in (ANN, BEN, ANN, BEN):
                    tasks.start_soon(read, caller, choose.choice([0.0, 0.0005, 0.001, 0.002, 5.0]))

    assert len(seen) > 50
    assert all(seen)


@pytest.mark.campaign
async def test_no_acknowledged_message_is_lost_when_the_server_is_killed(valkey: Valkey, sessions: Sessions) -> None:
    acknowledged: dict[str, list[str]] = {}
    for kill in range(100 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 5):
        session_id = f"before-kill-{kill}"
        acknowledged[session_id] = await _written_until_killed(valkey, sessions, session_id)
        await valkey.start()
    kept: dict[str, list[str]] = {}
    for session_id in acknowledged:
        page = await sessions.read(ANN, session_id, messages_max=1_000)
        assert page is not None
        kept[session_id] = [turn.message.content for turn in page.turns]
    print(f"{len(acknowledged)} kills, {sum(map(len, acknowledged.values()))} acknowledged")  # noqa: T201 - read with -s

    assert {name: set(texts) - set(kept[name]) for name, texts in acknowledged.items()} == {
        name: set[str]() for name in acknowledged
    }
    assert all(len(texts) == len(set(texts)) for texts in kept.values())


async def _written_until_killed(valkey: Valkey, sessions: Sessions, session_id: str) -> list[str]:
    """What three writers were told is stored, before the server was killed in the middle of their work."""
    acknowledged: list[str] = []

    async def write(writer: int) -> None:
        for number in range(300):
            text = f"{writer}.{number}"
            if await _try(partial(sessions.append, ANN, Message("user", text), session_id)) != "ok":
                return
            acknowledged.append(text)

    async with anyio.create_task_group() as tasks:
        for writer in range(3):
            tasks.start_soon(write, writer)
        while len(acknowledged) < 20:
            await anyio.sleep(0.001)
        valkey.kill()
    return acknowledged
