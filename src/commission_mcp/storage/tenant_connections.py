"""Connections of clients' logins: few, reused, bounded in all and for each login, and never shared between logins."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

import anyio
import psycopg
from psycopg import pq

from commission_mcp.errors import Code, Problem, Refused

_LOGIN_RETRY_S = 0.05


class TenantConnections:
    """Lends connections that log in as one client; idle ones are kept, the longest idle are closed to make room.

    Args:
        conninfo: How to connect as a login.
        connections_max: Connections in all.
        per_login_max: Connections of one login.
        wait_ms: How long to wait for one.
        prepare: What is run once on each new connection.
    """

    def __init__(
        self,
        conninfo: Callable[[str], str],
        *,
        connections_max: int,
        per_login_max: int,
        wait_ms: int,
        prepare: LiteralString,
    ) -> None:
        self._conninfo = conninfo
        self._prepare: LiteralString = prepare
        self._connections_max = connections_max
        self._per_login_max = per_login_max
        self._wait_s = wait_ms / 1000
        self._idle: OrderedDict[psycopg.AsyncConnection, str] = OrderedDict()
        self._lent: dict[str, int] = {}
        self._changed = anyio.Condition()

    @asynccontextmanager
    async def lend(self, login: str) -> AsyncGenerator[psycopg.AsyncConnection]:
        """A connection logged in as `login`; it is closed afterwards unless it is idle and out of any transaction.

        Raises:
            Refused: with `E_BUSY` when none becomes free in time, or `E_DATABASE_UNREACHABLE`.
        """
        connection = await self._take(login)
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await self._give_back(login, connection)

    async def close_idle(self, login: str | None = None) -> None:
        """Close the idle connections of a login, or all of them."""
        for connection, owner in list(self._idle.items()):
            if login in (None, owner):
                del self._idle[connection]
                await connection.close()

    async def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        self._connections_max = 0
        await self.close_idle()

    async def _take(self, login: str) -> psycopg.AsyncConnection:
        with anyio.move_on_after(self._wait_s):
            async with self._changed:
                while not self._has_room(login):
                    await self._changed.wait()
                connection = self._reuse(login)
                self._lent[login] = self._lent.get(login, 0) + 1
                displaced = self._make_room() if connection is None else None
            return connection or await self._open(login, displaced)
        raise Refused(
            Problem(
                Code.BUSY,
                "All database connections of this client are in use.",
                "Wait for running queries to end, then try again.",
            )
        )

    async def _open(self, login: str, displaced: psycopg.AsyncConnection | None) -> psycopg.AsyncConnection:
        try:
            if displaced is not None:
                await displaced.close()
            return await self._connect(login)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._forget(login)
            raise

    def _has_room(self, login: str) -> bool:
        return self._lent.get(login, 0) < self._per_login_max and sum(self._lent.values()) < self._connections_max

    def _reuse(self, login: str) -> psycopg.AsyncConnection | None:
        for connection in reversed(self._idle):
            if self._idle[connection] == login:
                del self._idle[connection]
                if not connection.closed:
                    return connection
                return self._reuse(login)
        return None

    def _make_room(self) -> psycopg.AsyncConnection | None:
        if self._idle and len(self._idle) + sum(self._lent.values()) > self._connections_max:
            return self._idle.popitem(last=False)[0]
        return None

    async def _connect(self, login: str) -> psycopg.AsyncConnection:
        # A login over its role's connection limit fails without an SQLSTATE, as does a server that is starting: a
        # second try shortly afterwards is right for both. A refused password or a NOLOGIN role fails the same way.
        try:
            return await self._connect_once(login)
        except psycopg.OperationalError:
            await anyio.sleep(_LOGIN_RETRY_S)
        try:
            return await self._connect_once(login)
        except psycopg.OperationalError:
            raise Refused(
                Problem(
                    Code.DATABASE_UNREACHABLE,
                    "The database does not take a connection for this client.",
                    "Try again in a moment; if it stays so, the operator runs `commission-mcp doctor`.",
                )
            ) from None

    async def _connect_once(self, login: str) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(self._conninfo(login), autocommit=True)
        try:
            await connection.execute(self._prepare)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await connection.close()
            raise
        return connection

    async def _give_back(self, login: str, connection: psycopg.AsyncConnection) -> None:
        reusable = (
            not connection.closed
            and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
            and connection.pgconn.pipeline_status == pq.PipelineStatus.OFF
            and self._connections_max > 0
        )
        if not reusable:
            await connection.close()
        async with self._changed:
            if reusable:
                self._idle[connection] = login
            self._release(login)

    async def _forget(self, login: str) -> None:
        async with self._changed:
            self._release(login)

    def _release(self, login: str) -> None:
        self._lent[login] -= 1
        if not self._lent[login]:
            del self._lent[login]
        self._changed.notify_all()
