"""The running application: what tools and resources work with, opened behind the first messages of the protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import AcceptedElicitation, Context
from mcp.server.mcpserver.resolve import Resolve

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.domain.caller import Caller
from commission_mcp.domain.masking import mask
from commission_mcp.embedded import open_servers
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.access import DocumentAccess
from commission_mcp.search.holdings import Places
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
    operations,
    prepare,
)
from commission_mcp.storage.audit import AuditLog, open_audit
from commission_mcp.storage.call_limits import CallLimits
from commission_mcp.storage.outbox import BackendLists, Deliverer, Destination, Fallback
from commission_mcp.storage.query_cache import QueryCache, open_query_cache
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.runs.jobs import RunJobs
from commission_mcp.storage.runs.running import Progress
from commission_mcp.storage.sessions import SessionLimits, Sessions, Trail, open_sessions

if TYPE_CHECKING:
    from commission_mcp.search.library import Library
    from commission_mcp.storage.rates import RateLimits
    from commission_mcp.verification import OwnToken

T = TypeVar("T")

_TRAIL_SETTLES_S = 2.0  # how long whoever wants the conversations waits for entries on their way into them
_TRAIL_PATIENCE_S = 1.0  # how long the last calls' entries are waited for when the server stops


class Opening(Generic[T]):
    """Opens something in the background and keeps it open; whoever needs it waits, and a failure is tried again.

    Args:
        open_it: What opens it.
        lazy: Whether to wait until somebody needs it.
    """

    def __init__(self, open_it: Callable[[], AbstractAsyncContextManager[T]], *, lazy: bool = False) -> None:
        self._open_it = open_it
        self._wanted = anyio.Event()
        if not lazy:
            self._wanted.set()
        self._value: T | None = None
        self._failure: Refused | None = None
        self._settled = anyio.Event()
        self._asked_again = anyio.Event()

    @property
    def ready(self) -> T | None:
        """What was opened; None while it is not, or if it could not be."""
        return self._value

    async def run(self) -> None:
        """Open, and hold open until cancelled; after a refusal wait until somebody asks again."""
        await self._wanted.wait()
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

    async def once_opened(self) -> T:
        """What was opened, as soon as somebody else has needed it and it is open."""
        while self._value is None:
            await self._settled.wait()
            if self._failure is not None:
                await self._asked_again.wait()
        return self._value

    async def get(self) -> T:
        """What was opened.

        Raises:
            Refused: why it could not be opened; the next call tries anew.
        """
        self._wanted.set()
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
class Storage:
    """What answers questions: the database, the cache of its answers, and the trail of who asked what."""

    database: Database
    query_cache: QueryCache
    audit: AuditLog


@dataclass(frozen=True, slots=True)
class CallReport:
    """How one call ended, for whoever counts.

    Attributes:
        action: The protocol's method.
        name: The tool, prompt or URI, as the caller wrote it.
        outcome: ``ok``, ``input_required``, ``cancelled``, ``crash``, or codes with commas between.
        client_id: The caller's client, empty when nobody was known.
        elapsed_ms: How long it took, in milliseconds.
    """

    action: str
    name: str
    outcome: str
    client_id: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class App:
    """What a tool may use.

    Attributes:
        settings: The operator's settings.
        opening: The database and the query cache, which may still be starting; see `database` and `query_cache`.
        opening_sessions: The conversations, which are opened when first asked for; see `sessions`.
        trail: Notes what was asked, where that is wanted.
        runs: Calculations that go on behind an answer.
        opening_library: The documents, which are opened when first asked for; see `library`.
        backend_lists: What the backends of clients know, for plans that go there.
        verified: Whether every request brings a caller of its own.
        own_token: The token of a connection with one caller. Without it and `verified`, the operator's word counts.
        limits: What holds callers to their share, where there are many.
        observe: Learns how each call ended, where somebody counts.
    """

    settings: Settings
    opening: Opening[Storage]
    opening_sessions: Opening[Sessions]
    runs: RunJobs
    opening_library: Opening[Library]
    backend_lists: BackendLists
    trail: Trail | None = None
    verified: bool = False
    own_token: OwnToken | None = None
    limits: CallLimits | None = None
    observe: Callable[[CallReport], None] | None = None

    @property
    def assurance(self) -> str:
        """How callers are known: ``verified`` by a token, or ``asserted`` by the operator."""
        return "asserted" if self.own_token is None and not self.verified else "verified"

    async def database(self) -> Database:
        """The open database.

        Raises:
            Refused: when it could not be opened.
        """
        return (await self.opening.get()).database

    async def audit(self) -> AuditLog:
        """The audit trail.

        Raises:
            Refused: when the database could not be opened.
        """
        return (await self.opening.get()).audit

    async def query_cache(self) -> QueryCache:
        """The cache of the database's answers; whether its server is up makes no difference here.

        Raises:
            Refused: when the database could not be opened.
        """
        return (await self.opening.get()).query_cache

    async def sessions(self) -> Sessions:
        """The conversations, with what was asked of the tools so far in them.

        Raises:
            Refused: when their server could not be opened.
        """
        sessions = await self.opening_sessions.get()
        if self.trail is not None:
            await self.trail.settled(_TRAIL_SETTLES_S)
        return sessions

    async def library(self) -> Library:
        """The documents.

        Raises:
            Refused: when they could not be opened.
        """
        return await self.opening_library.get()


def operator(settings: Settings) -> Caller:
    """The caller of a stdio connection: the operator's word, from the settings.

    Raises:
        Refused: with `E_SETTING` when the settings name no client.
    """
    if settings.client_id is None:
        raise Refused(
            Problem(
                Code.SETTING,
                "This server was started without a client.",
                "The operator sets COMMISSION_CLIENT_ID; `commission-mcp client list` shows the clients.",
                "COMMISSION_CLIENT_ID",
            )
        )
    return Caller(settings.client_id, LOCAL_ISSUER, settings.subject, settings.roles)


# What is served now, in the task that serves it: some handlers of the SDK are called without their request.
_caller_of_request: ContextVar[Caller | Refused | None] = ContextVar("caller_of_request", default=None)


@contextmanager
def serving_request_of(caller: Caller | Refused | None) -> Generator[None]:
    """Serve one request, which this verified caller made, or somebody who cannot be verified, and why not."""
    token = _caller_of_request.set(caller)
    try:
        yield
    finally:
        _caller_of_request.reset(token)


_scope_of_call: ContextVar[anyio.CancelScope | None] = ContextVar("scope_of_call", default=None)


@contextmanager
def timed_by(scope: anyio.CancelScope) -> Generator[None]:
    """Serve a call whose time this scope bounds."""
    token = _scope_of_call.set(scope)
    try:
        yield
    finally:
        _scope_of_call.reset(token)


def give_user_time(user_s: float) -> None:
    """Let the call that is being served take this much longer, because a person is asked."""
    scope = _scope_of_call.get()
    if scope is not None:
        scope.deadline += user_s


async def connection_caller(app: App) -> Caller | Refused | None:
    """The verified caller of a connection that has one, or why there is none; None without a token of its own."""
    if app.own_token is None:
        return None
    try:
        return await app.own_token.caller()
    except Refused as refused:
        return refused


def request_caller(app: App) -> Caller:
    """Who makes the request that is being served: the verified caller, or over stdio the operator's word.

    Raises:
        Refused: when nobody can be named.
    """
    if app.assurance == "asserted":
        return operator(app.settings)
    caller = _caller_of_request.get()
    if isinstance(caller, Refused):
        raise Refused(*caller.problems)
    if caller is None:
        raise Refused(Problem(Code.TOKEN, "This request has no verified caller.", "Connect with a token."))
    return caller


def outbox_fallback(settings: Settings) -> Fallback:
    """The operator's backend, which is for the client of the settings alone."""
    url, token = settings.backend_api_base_url, settings.backend_token
    if url is None or settings.client_id is None:
        return Fallback()
    secret = None if token is None else token.get_secret_value()
    return Fallback(settings.client_id, Destination(url.rstrip("/"), secret, format="plan_creation_web_api"))


def _deliverer(settings: Settings, opening: Opening[Storage]) -> Deliverer:
    def database() -> Database | None:
        return None if opening.ready is None else opening.ready.database

    return Deliverer(database, outbox_fallback(settings), settings.outbox_poll_ms / 1000)


@asynccontextmanager
async def open_app(
    settings: Settings, *, verified: bool = False, observe: Callable[[CallReport], None] | None = None
) -> AsyncGenerator[App]:
    """The application, at once; servers and database open behind it.

    Args:
        settings: The operator's settings.
        verified: Whether every request brings a verified caller; see `App`.
        observe: Learns how each call ended.
    """
    opening = Opening(lambda: open_storage(settings))
    sessions = Opening(lambda: open_history(settings), lazy=True)
    library = Opening(lambda: open_documents(settings), lazy=True)
    async with _own_token(None if verified else settings) as own_token, anyio.create_task_group() as tasks:
        if own_token is not None:
            tasks.start_soon(own_token.check)
        tasks.start_soon(opening.run)
        tasks.start_soon(sessions.run)
        tasks.start_soon(library.run)
        limits = None
        if verified:
            rates = Opening(lambda: _open_rates(settings), lazy=True)
            tasks.start_soon(rates.run)
            limits = _call_limits(settings, rates)

        async def usual_ttl_s(caller: Caller) -> int | None:
            return (await (await opening.get()).database.admit(caller)).history_ttl_s

        trail = Trail(sessions.get, usual_ttl_s, mask) if settings.history_trail else None
        if trail is not None:
            tasks.start_soon(trail.run)
        tasks.start_soon(_deliverer(settings, opening).run)
        try:
            yield App(
                settings,
                opening,
                sessions,
                RunJobs(tasks.start_soon),
                library,
                BackendLists(outbox_fallback(settings)),
                trail,
                verified=verified,
                own_token=own_token,
                limits=limits,
                observe=observe,
            )
        finally:
            if trail is not None:
                await trail.finish(_TRAIL_PATIENCE_S)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def _own_token(settings: Settings | None) -> AsyncGenerator[OwnToken | None]:
    if settings is None or settings.token is None:
        yield None
        return
    from commission_mcp.verification import open_own_token  # noqa: PLC0415 - it imports jwt and cryptography

    async with open_own_token(settings) as token:
        yield token


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the servers of the settings are, embedded or external.

    Attributes:
        address: PostgreSQL, with the login of the settings: an administrator's where the embedded one runs.
        credentials: What the logins of this server derive from.
        history_url: The Redis for what must not be lost.
        cache_url: The Redis for what may be.
    """

    address: Address
    credentials: Credentials
    history_url: str = field(repr=False)
    cache_url: str = field(repr=False)


@asynccontextmanager
async def reach(settings: Settings) -> AsyncGenerator[Reached]:
    """Have the servers of the settings running until the block ends; what has no URL is embedded.

    Raises:
        Refused: when an embedded server does not start, or an external PostgreSQL lacks `COMMISSION_MASTER_SECRET`.
    """
    external = settings.postgres_url.get_secret_value() if settings.postgres_url else ""
    history = settings.redis_url.get_secret_value() if settings.redis_url else ""
    cache = settings.redis_cache_url.get_secret_value() if settings.redis_cache_url else history
    secret = settings.require_master_secret().get_secret_value() if external else ""
    if external and history:
        yield Reached(Address.parse(external), Credentials(secret), history, cache)
        return
    async with open_servers(settings.data_directory, postgres=not external, redis=not history) as servers:
        yield Reached(
            Address.parse(external or servers.postgres_url),
            Credentials(secret or servers.master_secret),
            history or servers.history_url,
            cache or servers.cache_url,
        )


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncGenerator[Storage]:
    """The database of the settings and the cache of its answers; the embedded database is prepared on the way.

    Raises:
        Refused: when it cannot be reached, prepared or trusted.
    """
    async with reach(settings) as reached:
        await prepare_embedded(settings, reached)
        limits, replicas = _limits(settings), _replicas(settings)
        async with (
            open_database(reached.address, reached.credentials, limits, replicas) as database,
            open_query_cache(
                reached.cache_url,
                reached.credentials,
                connections_max=settings.redis_pool_size,
                ttl_s=settings.query_cache_ttl_s,
                wait_ms=settings.query_cache_wait_ms,
            ) as query_cache,
            open_audit(reached.address, reached.credentials) as audit,
        ):
            yield Storage(database, query_cache, audit)


@asynccontextmanager
async def open_history(settings: Settings) -> AsyncGenerator[Sessions]:
    """The conversations on the Redis of the settings.

    Raises:
        Refused: when the embedded servers do not start, or the address is of a kind that is not served.
    """
    redis_limits = RedisLimits(connections_max=settings.redis_pool_size)
    limits = SessionLimits(ttl_s=settings.history_ttl_s)
    async with (
        reach(settings) as reached,
        open_sessions(
            reached.history_url, reached.credentials, redis_limits, limits, settings.sealing_keys()
        ) as sessions,
    ):
        yield sessions


@asynccontextmanager
async def open_documents(settings: Settings) -> AsyncGenerator[Library]:
    """The documents of the settings, kept up to date while it is open."""
    # These imports take 150 ms: a server lists its tools before.
    await anyio.to_thread.run_sync(import_module, "commission_mcp.search.library")
    from commission_mcp.documents.reading import open_reader  # noqa: PLC0415 - see above
    from commission_mcp.search.indexer import Cutting  # noqa: PLC0415 - see above
    from commission_mcp.search.library import Bounds, open_library  # noqa: PLC0415 - see above
    from commission_mcp.search.models import Models  # noqa: PLC0415 - see above

    limits = ReadingLimits()
    models = Models(settings.embedding_model, settings.model_directory, may_fetch=settings.model_fetch)
    cutting = Cutting(settings.chunk_size_chars, settings.chunk_overlap_chars, limits.file_bytes_max, mask)
    bounds = Bounds(settings.documents_watch_s, settings.documents_memory_mb << 20)
    async with (
        open_reader(limits) as reader,
        open_library(document_places(settings), reader, cutting, models, bounds) as library,
    ):
        yield library


def document_places(settings: Settings) -> Places:
    """Where the settings keep documents and their indexes."""
    return Places(settings.documents_directory, settings.client_documents_directory, settings.index_directory)


async def document_access(app: App, caller: Caller) -> DocumentAccess:
    """The documents as this caller may see them now.

    Raises:
        Refused: when client or user are not admitted.
    """
    library = await app.library()
    admission = await (await app.database()).admit(caller)
    return DocumentAccess(library, admission.caller)


@asynccontextmanager
async def _open_rates(settings: Settings) -> AsyncGenerator[RateLimits]:
    from commission_mcp.storage.rates import open_rates  # noqa: PLC0415 - it imports redis and limits

    async with (
        reach(settings) as reached,
        open_rates(
            reached.cache_url,
            subject_per_minute=settings.rate_subject_per_minute,
            client_per_minute=settings.rate_client_per_minute,
            wait_ms=settings.query_cache_wait_ms,
        ) as rates,
    ):
        yield rates


def _call_limits(settings: Settings, rates: Opening[RateLimits]) -> CallLimits:
    """The limits of one of the workers: its share, since none knows what the others do."""
    workers = settings.http_workers
    return CallLimits(
        rates.get,
        client_max=-(-settings.concurrent_calls_per_client // workers),
        subject_max=-(-settings.concurrent_calls_per_subject // workers),
    )


async def prepare_embedded(settings: Settings, reached: Reached) -> None:
    """Bring the embedded database to this program's state; an external one is left to `commission-mcp setup`.

    Raises:
        Refused: when a newer program wrote it.
    """
    if settings.postgres_url is None:
        async with administration(reached.address) as connection:
            await prepare(connection, reached.credentials)


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncGenerator[tuple[Administration, Credentials]]:
    """The database of the settings as its administrator: prepared first when embedded, and never for serving.

    Raises:
        Refused: when it cannot be reached or is not prepared.
    """
    async with reach(settings) as reached:
        await prepare_embedded(settings, reached)
        async with administration(reached.address) as connection:
            yield connection, reached.credentials


@asynccontextmanager
async def open_operations(settings: Settings) -> AsyncGenerator[Administration]:
    """The database of the settings for loading data: past row security, without rights over the schema.

    Raises:
        Refused: when it cannot be reached, or is not prepared.
    """
    async with reach(settings) as reached:
        await prepare_embedded(settings, reached)
        async with operations(reached.address) as connection:
            yield connection


@asynccontextmanager
async def open_trails(settings: Settings) -> AsyncGenerator[tuple[Administration, Credentials]]:
    """As `open_operations`, with what the checkpoints of audit trails are sealed with.

    Raises:
        Refused: when it cannot be reached, or is not prepared.
    """
    async with reach(settings) as reached:
        await prepare_embedded(settings, reached)
        async with operations(reached.address) as connection:
            yield connection, reached.credentials


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


async def current_app(ctx: Context[App]) -> App:
    """The application that serves this request."""
    # A coroutine, as is the next: the SDK would send plain functions through a worker thread, at 0.1 ms each.
    return ctx.request_context.lifespan_context


async def current_caller(ctx: Context[App]) -> Caller:
    """Who makes this request; see `request_caller`.

    Raises:
        Refused: when nobody can be named.
    """
    return request_caller(await current_app(ctx))


async def current_progress(ctx: Context[App]) -> Progress:
    """Where a tool tells how far it is; hosts that do not ask are told nothing."""

    async def tell(done: float, doing: str) -> None:
        await ctx.report_progress(done, 1.0, doing)

    return tell


# pydantic makes this class anew, in 0.2 ms, for each call in which the SDK asks for it while nobody else holds it.
ResolvedValue: TypeAlias = AcceptedElicitation[Any]

CurrentApp: TypeAlias = Annotated[App, Resolve(current_app)]
CurrentCaller: TypeAlias = Annotated[Caller, Resolve(current_caller)]
CurrentProgress: TypeAlias = Annotated[Progress, Resolve(current_progress)]
