"""Whatever becomes of the cache's server, queries are answered, and right."""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from commission_mcp.storage import administration

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation, Valkey

pytestmark = pytest.mark.anyio

KILLS = 100 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 5
Ask = Callable[[], Awaitable[str]]


@pytest.fixture
def served(connect: Connect, postgres_18: Installation, valkey: Valkey) -> AbstractAsyncContextManager[Client]:
    """A server whose answers are kept on a Valkey of the test's own."""
    variables = {**postgres_18.variables, "COMMISSION_REDIS_CACHE_URL": valkey.address()}
    return connect(replace(postgres_18, variables=variables), query_cache_wait_ms=400)


def asking(client: Client) -> Ask:
    """Asks one question again and again: the outcome of each, when its answer is right."""
    sql = f"SELECT count(*) FROM sales -- {uuid.uuid4()}"

    async def ask() -> str:
        result = await client.call_tool("query", {"sql": sql})
        answer: dict[str, Any] = result.structured_content or {}
        assert answer["rows"] == [[400]]
        return answer["cache"]

    return ask


async def until(ask: Ask, outcome: str) -> None:
    """Ask until the answer comes about so."""
    with anyio.fail_after(60):
        while await ask() != outcome:
            await anyio.sleep(0.02)


async def test_a_server_that_is_down_costs_the_cache_and_nothing_else(
    served: AbstractAsyncContextManager[Client], valkey: Valkey
) -> None:
    async with served as client:
        ask = asking(client)
        await until(ask, "hit")
        valkey.kill()
        assert {await ask() for _ in range(20)} == {"bypass"}
        await valkey.start()
        await until(ask, "hit")


async def test_a_server_that_hangs_is_waited_for_once_in_a_while(
    served: AbstractAsyncContextManager[Client], valkey: Valkey
) -> None:
    async with served as client:
        ask = asking(client)
        await until(ask, "hit")
        valkey.signal(signal.SIGSTOP)
        try:
            with anyio.fail_after(20):  # 200 calls that each waited for it would take 160 s
                assert {await ask() for _ in range(200)} == {"bypass"}
        finally:
            valkey.signal(signal.SIGCONT)
        await until(ask, "hit")


async def test_a_server_without_memory_and_one_that_takes_no_writes_are_read_from(
    served: AbstractAsyncContextManager[Client], valkey: Valkey
) -> None:
    faults = [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ]
    async with served as client, valkey.raw() as raw:
        for fault, mended in faults:
            kept, new = asking(client), asking(client)
            await until(kept, "hit")
            await raw(*fault)
            await until(kept, "hit")
            assert {await new() for _ in range(3)} == {"bypass"}
            await raw(*mended)
            await until(new, "hit")


async def test_what_somebody_put_under_our_names_is_not_believed(
    served: AbstractAsyncContextManager[Client], valkey: Valkey
) -> None:
    async with served as client, valkey.raw() as raw:
        ask, other = asking(client), asking(client)
        await until(ask, "hit")
        (name,) = await raw("KEYS", "cm:1:q:*")
        await until(other, "hit")
        (foreign,) = set(await raw("KEYS", "cm:1:q:*")) - {name}
        for content in (b"", b"x" * 10, b"x" * 1000, await raw("GET", foreign)):
            await raw("SET", name, content)
            assert await ask() == "miss"
            assert await ask() == "hit"
        await raw("DEL", name)
        await raw("LPUSH", name, "x")
        assert await ask() == "bypass"


@pytest.mark.campaign
async def test_kill_9_under_load_makes_no_wrong_answer(
    served: AbstractAsyncContextManager[Client], valkey: Valkey, postgres_18: Installation
) -> None:
    """5 kills; 100 with COMMISSION_TEST_CAMPAIGN=full."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201 - shown when the test fails
    chance, outcomes = random.Random(seed), list[str]()  # noqa: S311 - replayable, no secret
    done = anyio.Event()

    async def load(client: Client) -> None:
        ask = asking(client)
        while not done.is_set():
            outcomes.append(await ask())

    async def change() -> None:
        async with administration(postgres_18.address) as connection:
            while not done.is_set():
                await connection.execute("UPDATE cm.sale SET customer = customer WHERE sale_id = 'client-a-s1'")
                await anyio.sleep(0.05)

    async with served as client, anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(load, client)
        tasks.start_soon(change)
        for _ in range(KILLS):
            await anyio.sleep(chance.random() * 0.3)
            valkey.kill()
            await anyio.sleep(chance.random() * 0.1)
            await valkey.start()
        await until(asking(client), "hit")
        done.set()

    print(len(outcomes), {outcome: outcomes.count(outcome) for outcome in set(outcomes)})  # noqa: T201 - as above
    assert {"hit", "miss", "bypass"} >= set(outcomes)
