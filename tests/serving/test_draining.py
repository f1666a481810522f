"""A server that ends answers whoever has asked, or is about to, and says that the connection closes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from commission_mcp.serving.connections import DRAINING

if TYPE_CHECKING:
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

LONG_S = 60.0
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIST = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'


@asynccontextmanager
async def retiring(serving: Serving, linger_s: float = LONG_S) -> AsyncGenerator[tuple[HttpServer, threading.Event]]:
    """A server that retires when the event is set."""
    told = threading.Event()
    async with serving.run_with(serving.settings(), linger_s, told.is_set) as server:
        yield server, told


async def until_draining(server: HttpServer) -> None:
    with anyio.fail_after(30):
        while DRAINING not in server.server.lifespan.state:
            await anyio.sleep(0.01)


def is_last(answer: bytes) -> bool:
    """Whether it is one whole good answer that says that the connection closes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    whole = f"content-length: {len(body)}".encode() in head.lower() or body.endswith(b"0\r\n\r\n")
    return head.startswith(b"HTTP/1.1 200 ") and b"\r\nconnection: close" in head.lower() and whole


async def test_a_connection_without_a_request_is_served_once_more(serving: Serving) -> None:
    async with retiring(serving) as (server, told), server.wire() as fresh, server.wire() as kept:
        kept.send(PROBE)
        before = await kept.answer()
        told.set()
        await until_draining(server)
        fresh.send(PROBE)
        kept.send(PROBE)
        answers = [await fresh.rest(), await kept.rest()]

    assert b"connection: close" not in before
    assert [is_last(answer) for answer in answers] == [True, True]


async def test_a_request_that_has_begun_is_answered(serving: Serving) -> None:
    async with retiring(serving) as (server, told), server.wire() as in_head, server.wire() as in_body:
        head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + server.token().encode()
        head += b"\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        head += b"Mcp-Protocol-Version: 2025-11-25\r\nContent-Length: %d\r\n\r\n" % len(LIST)
        in_head.send(head[:40])
        in_body.send(head + LIST[:20])
        with anyio.fail_after(30):
            while len(server.server.server_state.tasks) < 1:
                await anyio.sleep(0.01)
        told.set()
        await until_draining(server)
        in_head.send(head[40:] + LIST)
        in_body.send(LIST[20:])
        answers = [await in_head.rest(), await in_body.rest()]

    assert [is_last(answer) for answer in answers] == [True, True]
    assert all(b"rag_search" in answer for answer in answers)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("steps", range(5))
async def test_a_connection_that_is_just_being_accepted_is_served(serving: Serving, steps: int, *, asks: bool) -> None:
    """Whatever the event loop has done of accepting it when the draining begins; and it does not stay open for ever."""
    async with retiring(serving, LONG_S if asks else 0.05) as (server, told):
        host, port = server.base.removeprefix("http://").split(":")
        client = socket.create_connection((host, int(port)))  # within one step of the event loop
        for _ in range(steps):
            await asyncio.sleep(0)
        server.server.drain()
        async with server.wire(client) as served:
            served.send(PROBE if asks else b"")
            answer = await served.rest()
        told.set()

    assert is_last(answer) if asks else answer == b""


async def test_a_connection_that_asks_nothing_is_closed_after_a_moment(serving: Serving) -> None:
    async with retiring(serving, linger_s=0.05) as (server, told), server.wire() as fresh, server.wire() as kept:
        kept.send(PROBE)
        await kept.answer()
        told.set()
        answers = [await fresh.rest(), await kept.rest()]

    assert answers == [b"", b""]


async def test_a_request_on_the_heels_of_the_last_one_is_answered_too(serving: Serving) -> None:
    """One whose first bytes are here when the moment is over is waited for."""
    async with retiring(serving, linger_s=0.05) as (server, told), server.wire() as kept, server.wire() as idle:
        kept.send(PROBE)
        await kept.answer()
        kept.send(PROBE[:20])
        told.set()
        await idle.rest()  # the moment is over
        kept.send(PROBE[20:])
        answer = await kept.rest()

    assert is_last(answer)


async def test_a_server_that_stops_still_takes_connections_for_a_moment_but_is_not_ready(serving: Serving) -> None:
    async with serving.run_with(serving.settings(), linger_s=2.0) as server:
        server.server.should_exit = True
        await until_draining(server)
        async with server.wire() as probe, server.wire() as ready:
            probe.send(PROBE)
            ready.send(PROBE.replace(b"healthz", b"readyz"))
            answers = [await probe.rest(), await ready.rest()]

    assert is_last(answers[0])
    assert answers[1].startswith(b"HTTP/1.1 503 ")
