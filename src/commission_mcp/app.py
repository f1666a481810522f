"""The running application: what tools and resources work with, opened behind the first messages of the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Generic, TypeAlias, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Resolve

from commission_mcp.domain.caller import Caller
from commission_mcp.embedded import open_servers
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import Settings
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Address,
    Administration,
    Credentials,
    Database,
    DatabaseLimits,
    LoginLimits,
    ReplicaAddresses,
    administration,
    open_database,
    prepare,
)

T = TypeVar("T")


class Opening(Generic[T]):
    """Opens something in the background and keeps it open; whoever needs it waits, and a failure is tried again."""

    def __init__(self, open_it: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open_it = open_it
        self._value: T | None = None
        self._failure: Refused | None = None
        self._settled = anyio.Event()
        self._asked_again = anyio.Event()

    async def run(self) -> None:
        """Open, and hold open until cancelled; after a refusal wait until somebody asks again."""
        while True:
            try:
                async with self._open_it() as value:
                    self._value = value
                    self._settled.set()
                    await anyio.sleep_forever()
            except Refused as refused:
                self._failure = refused
                self._asked_again = anyio.Event()
                self._settled.set()
            await self._asked_again.wait()

    async def get(self) -> T:
        """What was opened.

        Raises:
            Refused: why it could not be opened; the next call tries anew.
        """
        if self._failure is not None:
            self._failure = None
            self._settled = anyio.Event()
            self._asked_again.set()
        await self._settled.wait()
        if self._value is not None:
            return self._value
        if self._failure is None:
            raise RuntimeError("an opening settled without a value and without a reason")
        raise self._failure


@dataclass(frozen=True, slots=True)
class App:
    """What a tool may use.

    Attributes:
        settings: The operator's settings.
        opening: The database, which may still be starting; see `database`.
    """

    settings: Settings
    opening: Opening[Database]

    async def database(self) -> Database:
        """The open database.

        Raises:
            Refused: when it could not be opened.
        """
        return await self.opening.get()

    @property
    def operator(self) -> Caller:
        """The caller of a stdio connection: the operator's word, from the settings.

        Raises:
            Refused: with `E_SETTING` when the settings name no client.
        """
        if self.settings.client_id is None:
            raise Refused(
                Problem(
                    Code.SETTING,
                    "This server was started without a client.",
                    "The operator sets COMMISSION_CLIENT_ID; `commission-mcp client list` shows the clients.",
                    "COMMISSION_CLIENT_ID",
                )
            )
        return Caller(self.settings.client_id, LOCAL_ISSUER, self.settings.subject, self.settings.roles)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """The application, at once; servers and database open behind it."""
    opening = Opening(lambda: open_storage(settings))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opening.run)
        try:
            yield App(settings, opening)
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings: the embedded one, prepared on the way, unless an external one is named.

    Raises:
        Refused: when it cannot be reached, prepared or trusted.
    """
    async with AsyncExitStack() as stack:
        address, credentials = await stack.enter_async_context(reach_database(settings))
        if settings.postgres_url is None:
            async with administration(address) as connection:
                await prepare(connection, credentials)
        yield await stack.enter_async_context(
            open_database(address, credentials, _limits(settings), _replicas(settings))
        )


@asynccontextmanager
async def reach_database(settings: Settings) -> AsyncIterator[tuple[Address, Credentials]]:
    """Where the database is and what its logins derive from; the embedded servers run until the block ends.

    Raises:
        Refused: when the embedded server does not start, or an external one lacks `COMMISSION_MASTER_SECRET`.
    """
    if settings.postgres_url is not None:
        secret = settings.require_master_secret().get_secret_value()
        yield Address.parse(settings.postgres_url.get_secret_value()), Credentials(secret)
        return
    async with open_servers(settings.data_directory, redis=settings.redis_url is None) as servers:
        yield Address.parse(servers.postgres_url), Credentials(servers.master_secret)


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[tuple[Administration, Credentials]]:
    """The database of the settings as its administrator: prepared first when embedded, and never for serving.

    Raises:
        Refused: when it cannot be reached or is not prepared.
    """
    async with reach_database(settings) as (address, credentials), administration(address) as connection:
        if settings.postgres_url is None:
            await prepare(connection, credentials)
        yield connection, credentials


def login_limits(settings: Settings) -> LoginLimits:
    """What the database holds each client's login to."""
    return LoginLimits(
        settings.connections_per_login_max,
        settings.query_timeout_ms,
        settings.query_lock_timeout_ms,
        settings.temp_file_limit_mb,
    )


def _limits(settings: Settings) -> DatabaseLimits:
    return DatabaseLimits(
        connections_max=settings.connections_max,
        connections_per_login_max=settings.connections_per_login_max,
        connection_wait_ms=settings.connection_wait_ms,
        query_timeout_ms=settings.query_timeout_ms,
        result_bytes_max=settings.result_bytes_max,
    )


def _replicas(settings: Settings) -> ReplicaAddresses:
    replicas = settings.postgres_replica_urls
    return ReplicaAddresses(
        default=Address.parse(replicas.default.get_secret_value()) if replicas.default else None,
        by_client={client: Address.parse(url.get_secret_value()) for client, url in replicas.by_client},
        lag_max_ms=settings.replica_lag_max_ms,
    )


def current_app(ctx: Context[App]) -> App:
    """The application that serves this request."""
    return ctx.request_context.lifespan_context


def current_caller(ctx: Context[App]) -> Caller:
    """Who makes this request; over stdio the operator's word.

    Raises:
        Refused: when nobody can be named.
    """
    return current_app(ctx).operator


CurrentApp: TypeAlias = Annotated[App, Resolve(current_app)]
CurrentCaller: TypeAlias = Annotated[Caller, Resolve(current_caller)]
