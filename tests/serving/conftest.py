"""Real uvicorn servers on loopback, and tokens for them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from mcp.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from commission_mcp.domain.caller import Role
from commission_mcp.identity import SharedKey, TokenRules, mint_token
from commission_mcp.serving.application import HttpApplication
from commission_mcp.serving.draining import DrainingServer
from commission_mcp.serving.workers import http_server
from commission_mcp.settings import Settings
from commission_mcp.storage import administration
from commission_mcp.storage.users import User, set_user
from commission_mcp.verification import token_rules

if TYPE_CHECKING:
    from conftest import Installation

KEY = "a key for the tokens of the test installation, long enough"
STATE_KEY = b"s" * 32


class Wire:
    """A connection as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, sent: bytes) -> None:
        """Send it now."""
        self._writer.write(sent)

    async def answer(self) -> bytes:
        """One answer that says its length."""
        with anyio.fail_after(30):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            return head + await self._reader.readexactly(length)

    async def line(self) -> bytes:
        """The next line."""
        with anyio.fail_after(30):
            return await self._reader.readuntil(b"\r\n")

    async def rest(self) -> bytes:
        """All that comes until the connection closes, or is reset."""
        received = bytearray()
        with anyio.fail_after(30), suppress(ConnectionError):
            while more := await self._reader.read(65_536):
                received += more
        return bytes(received)

    def end(self) -> None:
        """Send nothing more, and say so."""
        self._writer.write_eof()

    def stop_reading(self) -> None:
        """Leave what comes where it is."""
        self._writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - it is one that reads too


@dataclass(frozen=True)
class HttpServer:
    """A running server."""

    url: str
    settings: Settings
    server: DrainingServer

    @property
    def base(self) -> str:
        """Its address without the path of the protocol."""
        return self.url.removesuffix("/mcp")

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        host, port = self.base.removeprefix("http://").split(":")
        return host, int(port)

    @property
    def rules(self) -> TokenRules:
        """What its tokens have to say."""
        return token_rules(self.settings)

    def token(
        self,
        subject: str = "ada",
        clients: Collection[str] = ("client-a",),
        roles: Collection[Role] = (Role.ANALYST,),
        lifetime_s: int = 600,
        **rules: str,
    ) -> str:
        """A token that it accepts, unless the rules are other ones."""
        return mint_token(
            replace(self.rules, **rules),
            SharedKey(KEY.encode()),
            subject=subject,
            clients=clients,
            roles=roles,
            issued_at=int(time.time()),
            lifetime_s=lifetime_s,
        )

    @asynccontextmanager
    async def connect(self, token: str, client_id: str | None = None, mode: str = "auto") -> AsyncGenerator[McpClient]:
        """An MCP client with this token."""
        url = self.url if client_id is None else f"{self.url}?client_id={client_id}"
        async with (
            httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http,
            McpClient(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            yield client

    @asynccontextmanager
    async def wire(self, connected: socket.socket | None = None) -> AsyncGenerator[Wire]:
        """A connection as bytes, or what a connected socket is for that."""
        if connected is None:
            connected = socket.create_connection(self.address)
        reader, writer = await asyncio.open_connection(sock=connected)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()

    async def post(self, token: str | None, query: str = "", **headers: str) -> httpx2.Response:
        """One bare request for the list of tools."""
        sent = {"accept": "application/json, text/event-stream", **headers}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        message: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        async with httpx2.AsyncClient(timeout=30) as http:
            return await http.post(self.url + query, json=message, headers=sent)


def http_settings(installation: Installation, client_id: str | None = None, **overrides: object) -> Settings:
    """Settings of an HTTP server with a shared key."""
    return installation.settings(
        client_id, **{"token_key": SecretStr(KEY), "http_port": 0, "rate_subject_per_minute": 100_000, **overrides}
    )


@asynccontextmanager
async def run_server(
    settings: Settings, linger_s: float = 0.0, told_to_retire: Callable[[], bool] | None = None
) -> AsyncGenerator[HttpServer]:
    """A server in this process until the block ends; it does not wait for further callers, unless told to."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = http_server(HttpApplication(settings, STATE_KEY), settings, linger_s, told_to_retire)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        with anyio.fail_after(30):
            while not server.started:
                if serving.done():
                    await serving
                await anyio.sleep(0.01)
        try:
            yield HttpServer(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", settings, server)
        finally:
            server.should_exit = True
            await serving


async def add_users(installation: Installation, settings: Settings) -> None:
    """`ada` with every role in both clients; `bob` an analyst of client-a."""
    issuer = token_rules(settings).issuer
    async with administration(installation.address) as connection:
        for client in ("client-a", "client-b"):
            await set_user(connection, client, User("ada", issuer, "ada", frozenset(Role)))
        await set_user(connection, "client-a", User("bob", issuer, "bob", frozenset({Role.ANALYST})))


@pytest.fixture(scope="module")
async def server(postgres_18: Installation) -> AsyncGenerator[HttpServer]:
    """A server with a shared key, and users."""
    settings = http_settings(postgres_18)
    await add_users(postgres_18, settings)
    async with run_server(settings) as running:
        yield running


@dataclass(frozen=True)
class Serving:
    """Makes settings of HTTP servers and runs them."""

    installation: Installation

    def settings(self, client_id: str | None = None, **overrides: object) -> Settings:
        """Settings with a shared key, unless they say otherwise."""
        return http_settings(self.installation, client_id, **overrides)

    def run(self, **overrides: int) -> AbstractAsyncContextManager[HttpServer]:
        """A server with such settings."""
        return run_server(http_settings(self.installation, None, **overrides))

    def run_with(
        self, settings: Settings, linger_s: float = 0.0, told_to_retire: Callable[[], bool] | None = None
    ) -> AbstractAsyncContextManager[HttpServer]:
        """A server with these settings."""
        return run_server(settings, linger_s, told_to_retire)


@pytest.fixture
def serving(postgres_18: Installation) -> Serving:
    """HTTP servers on the embedded PostgreSQL."""
    return Serving(postgres_18)
