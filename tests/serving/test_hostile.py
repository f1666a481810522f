"""What a hostile user may send: it is refused or cut off, nothing crashes, and others are served meanwhile."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import anyio
import pytest

from commission_mcp.serving.connections import Connection

if TYPE_CHECKING:
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
LIST = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}

NO_HTTP = {
    "40,000 headers": PROBE[:-2] + b"a: b\r\n" * 40_000 + b"\r\n",
    "a long header": PROBE[:-2] + b"x: " + b"x" * 200_000 + b"\r\n\r\n",
    "a long target": b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + PROBE,
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + PROBE,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nxxxxx",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nxxxxx",
    "a length of many digits": POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nxxxxx",
    "an encoding around chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an encoding nobody knows": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a lone carriage return": PROBE[:-2] + b"X: a\rY: b\r\n\r\n",
    "a zero byte": b"GET /healthz\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two hosts": PROBE[:-2] + b"Host: evil.example.com\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100,
    "a chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "40,000 trailers": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 40_000,
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_is_refused_once_and_cut_off(
    server: HttpServer, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with server.wire() as wire:
        wire.send(sent)
        answer = await wire.rest()

    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"HTTP/1.1 2" not in answer
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
        (b"CONNECT evil.example.com:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET http://evil.example.com/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", b"401"),
        (POST + b"Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\nxxxxx", b"401"),
    ],
)
async def test_what_is_unusual_is_answered(server: HttpServer, sent: bytes, status: bytes) -> None:
    async with server.wire() as wire:
        wire.send(sent)
        answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_an_upgrade_is_passed_over(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    async with server.wire() as wire:
        wire.send(PROBE[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = await wire.answer()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert caplog.records == []


async def test_whoever_expects_to_be_told_to_continue_is_told(server: HttpServer) -> None:
    async with server.wire() as wire:
        wire.send(_head(server, b"Expect: 100-continue\r\nConnection: close\r\n", len(LIST)))
        told = await wire.line()
        wire.send(LIST)
        answer = await wire.rest()

    assert told == b"HTTP/1.1 100 Continue\r\n"
    assert b"HTTP/1.1 200 " in answer
    assert b"rag_search" in answer


async def test_requests_in_one_piece_are_answered_in_their_order(server: HttpServer) -> None:
    async with server.wire() as wire:
        wire.send(PROBE * 20 + PROBE.replace(b"healthz", b"nowhere") + PROBE)
        answers = [await wire.answer() for _ in range(22)]

    assert [b" 200 " in answer for answer in answers] == [True] * 20 + [False, True]


async def test_much_in_one_piece_is_read_in_small_ones(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a megabyte of the smallest chunks takes a second to parse: others are served in between."""
    pieces: list[int] = []
    read = Connection.data_received

    def noting(connection: Connection, data: bytes) -> None:
        pieces.append(len(data))
        read(connection, data)

    monkeypatch.setattr(Connection, "data_received", noting)  # to see the pieces; it reads as before
    async with server.wire() as wire:
        wire.send(
            POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 43_000 + b"0\r\n\r\n"
        )
        answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert max(pieces) <= 16_384


async def test_chunks_without_end_are_given_up(serving: Serving) -> None:
    answers: list[bytes] = []
    async with serving.run(http_receive_timeout_s=1) as server, server.wire() as wire:
        head = _head(server, b"Transfer-Encoding: chunked\r\n", None)
        wire.send(head)
        async with anyio.create_task_group() as tasks:

            async def trickle() -> None:
                while True:
                    wire.send(b"1\r\n \r\n")
                    await anyio.sleep(0.05)

            tasks.start_soon(trickle)
            answers.append(await wire.line())
            tasks.cancel_scope.cancel()

    assert answers[0].startswith(b"HTTP/1.1 408 ")


async def test_a_caller_who_hangs_up_half_way_leaves_nothing_behind(server: HttpServer) -> None:
    async with server.wire() as wire:
        wire.send(_head(server, b"", 100) + b"{")
        wire.end()
        await wire.rest()
    with anyio.fail_after(30):
        while server.server.server_state.tasks:
            await anyio.sleep(0.01)


async def test_a_reader_who_does_not_read_is_cut_off(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commission_mcp.serving.connections.STALL_S", 0.2)  # shorter than for real
    async with server.wire() as wire:
        wire.stop_reading()
        request = _head(server, b"", len(LIST)) + LIST
        with anyio.fail_after(60):
            while server.server.server_state.connections or not server.server.server_state.total_requests:
                wire.send(request)
                await anyio.sleep(0.01)


async def test_connections_beyond_what_a_process_can_hold_are_closed(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = server.server.server_state.connections
    with anyio.fail_after(30):
        while connections:
            await anyio.sleep(0.01)
    monkeypatch.setattr(server.server.config, "limit_concurrency", 3)  # not thousands of connections
    async with server.wire() as first, server.wire() as second, server.wire() as third:
        with anyio.fail_after(30):
            while len(connections) < 3:
                await anyio.sleep(0.01)
        async with server.wire() as fourth:
            refused = await fourth.rest()
        for wire in (first, second, third):
            wire.end()
            await wire.rest()
    monkeypatch.undo()
    async with server.wire() as wire:
        wire.send(PROBE)
        answer = await wire.answer()

    assert refused == b""
    assert answer.startswith(b"HTTP/1.1 200 ")


DEEP = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
BODIES = {
    "text": ("text/plain", LIST),
    "a form": ("multipart/form-data", LIST),
    "UTF-16": ("application/json; charset=utf-16", LIST.decode().encode("utf-16")),
    "broken UTF-8": ("application/json", LIST.replace(b"{}", b'{"x": "\xff\xfe"}')),
    "half a surrogate": ("application/json", LIST.replace(b"{}", b'{"x": "\\ud800"}')),
    "depth without end": ("application/json", b"[" * 3_000_000),
    "depth": ("application/json", DEEP),
    "several in a list": ("application/json", b"[" + LIST + b"]"),
    "nothing": ("application/json", b""),
    "no number": ("application/json", b"NaN"),
    "a long number": ("application/json", LIST.replace(b"1,", b"9" * 100_000 + b",")),
    "compressed": ("application/json", gzip.compress(LIST)),
}


@pytest.mark.parametrize(("content_type", "body"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_no_message_is_refused(server: HttpServer, content_type: str, body: bytes) -> None:
    async with server.wire() as wire:
        head = _head(server, b"Connection: close\r\n", len(body))
        wire.send(head.replace(b"application/json\r\n", content_type.encode() + b"\r\n", 1) + body)
        answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answer


def _head(server: HttpServer, further: bytes, length: int | None) -> bytes:
    """The head of a request with a good token."""
    lines = [POST + b"Content-Type: application/json\r\nAuthorization: Bearer " + server.token().encode()]
    lines += [f"{name}: {value}".encode() for name, value in HEADERS.items()]
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n" + further + b"\r\n"
