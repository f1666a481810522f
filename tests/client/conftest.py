"""Servers of each kind that a client can reach: over stdio, over HTTP, and in this process."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest
import uvicorn

from commission_mcp.client import AsyncCommissionClient
from commission_mcp.server import build_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from conftest import Installation

TOKEN = "a-token-of-the-tests"  # noqa: S105 - it opens nothing
OpenClient: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncCommissionClient]]
ServeHttp: TypeAlias = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture(scope="session")
def stdio_command(postgres_18: Installation) -> list[str]:
    """A server of client-a over stdio."""
    data_directory = postgres_18.variables["COMMISSION_DATA_DIRECTORY"]
    return [sys.executable, "-m", "commission_mcp", "serve", "--data-directory", data_directory, "--client", "client-a"]


@pytest.fixture(scope="session")
def serve_http() -> ServeHttp:
    """Serves an ASGI application on a port of its own."""

    @asynccontextmanager
    async def serve(app: ASGIApp, path: str = "/mcp") -> AsyncGenerator[str]:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, ws="none"))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            # A task beside the test's own: it ends in order when the test fails, too.
            serving = asyncio.ensure_future(server.serve([listening]))
            try:
                while not server.started:
                    await anyio.sleep(0.01)
                yield f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
            finally:
                server.should_exit = True
                await asyncio.wait((serving,))

    return serve


def requiring_token(app: ASGIApp, status: int = 401) -> ASGIApp:
    """The application, for requests with the token only."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and headers.get(b"authorization") != f"Bearer {TOKEN}".encode():
            await send({"type": "http.response.start", "status": status, "headers": [(b"retry-after", b"0")]})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await app(scope, receive, send)

    return guarded


@pytest.fixture(scope="session")
def guard() -> Callable[[ASGIApp, int], ASGIApp]:
    """What lets only requests with the token through, and answers others with a status."""
    return requiring_token


@pytest.fixture(scope="session")
def open_client(postgres_18: Installation, stdio_command: list[str], serve_http: ServeHttp) -> OpenClient:
    """A client of a server that is reached in the named way."""

    @asynccontextmanager
    async def over_http() -> AsyncGenerator[AsyncCommissionClient]:
        app = build_server(postgres_18.settings("client-a")).streamable_http_app(stateless_http=True)
        async with (
            serve_http(requiring_token(app)) as url,
            AsyncCommissionClient(url, token=TOKEN, environment={}) as client,
        ):
            yield client

    @asynccontextmanager
    async def in_process() -> AsyncGenerator[AsyncCommissionClient]:
        server = build_server(postgres_18.settings("client-a"))
        async with AsyncCommissionClient(server=server, environment={}) as client:
            yield client

    ways: dict[str, Callable[[], AbstractAsyncContextManager[AsyncCommissionClient]]] = {
        "stdio": lambda: AsyncCommissionClient(command=stdio_command, environment={}),
        "http": over_http,
        "process": in_process,
    }
    return lambda way: ways[way]()
