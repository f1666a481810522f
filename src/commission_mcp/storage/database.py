"""The commission database as the server uses it: admits callers and lets them read as their client, in no other way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.sqlguard import Relations, Select, parse_select
from commission_mcp.storage.address import Address
from commission_mcp.storage.catalog import Catalog, read_catalog
from commission_mcp.storage.credentials import GATE, WRITER, Credentials
from commission_mcp.storage.gate import PREPARE_ADMIT, Admission, Gate, Pool, unavailable
from commission_mcp.storage.isolation import Breach, find_breaches, refuse_breaches
from commission_mcp.storage.prepare import check_version, require_prepared, unreachable
from commission_mcp.storage.reading import PREPARE_VERSIONS, Reading, ReadLimits
from commission_mcp.storage.replicas import ReadNodes, Replica, ReplicaAddresses
from commission_mcp.storage.sealing import Sealer
from commission_mcp.storage.tenant_connections import TenantConnections
from commission_mcp.storage.values import Codec
from commission_mcp.storage.writing import Writing, writing
from commission_mcp.tracing import step

_GATE_CONNECTIONS_MAX = 4
_GATE_WAIT_S = 5.0
_STATEMENTS_KEPT = 256  # of at most 20 KB each
_WRITER_CONNECTIONS_MAX = 4
_WRITER_STATEMENT_MS, _WRITER_IDLE_MS = 600_000, 60_000
_CLIENT_CHECK_MS = 200


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """Bounds on connections and on each read.

    Attributes:
        connections_max: Connections for reading, over all clients.
        connections_per_login_max: Connections for one client under one masking class.
        connection_wait_ms: How long a call waits for one of them.
        query_timeout_ms: How long one query may run.
        result_bytes_max: How much one answer of the database may hold.
    """

    connections_max: int = 20
    connections_per_login_max: int = 4
    connection_wait_ms: int = 5_000
    query_timeout_ms: int = 15_000
    result_bytes_max: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What a database says of itself: PostgreSQL's version number, and what breaks the isolation of clients."""

    server_version: int
    breaches: tuple[Breach, ...]

    @property
    def version(self) -> str:
        """The version as people write it."""
        return f"PostgreSQL {self.server_version // 10000}.{self.server_version % 10000}"


class Database:
    """An open database; see `open_database`."""

    def __init__(
        self, gate: Gate, nodes: ReadNodes, writers: Pool, catalog: Catalog, sealer: Sealer, limits: DatabaseLimits
    ) -> None:
        self.catalog = catalog
        self.relations = Relations(catalog.relations)
        self._parse = lru_cache(_STATEMENTS_KEPT)(partial(parse_select, relations=self.relations))
        self.cursors = sealer
        self._gate = gate
        self._nodes = nodes
        self._writers = writers
        self._codec = Codec()
        self._read_limits = ReadLimits(limits.query_timeout_ms, limits.result_bytes_max)
        self._names = catalog.names

    def parse(self, text: str, parameter_count: int) -> Select:
        """The SELECT that a text is; see `sqlguard.parse_select`. Those asked for most lately are not parsed anew.

        Raises:
            Refused: with every problem of the text.
        """
        with step("guard"):
            return self._parse(text, parameter_count=parameter_count)

    async def admit(self, caller: Caller) -> Admission:
        """What the caller may do now; see `Gate.admit`."""
        return await self._gate.admit(caller)

    async def admit_ahead(self, caller: Caller) -> Admission:
        """What the caller may do now, for a look before the call itself asks; see `Gate.admit_ahead`."""
        return await self._gate.admit_ahead(caller)

    async def ping(self) -> None:
        """Ask whether the database answers.

        Raises:
            Refused: with `E_DATABASE_UNREACHABLE`.
        """
        await self._gate.ping()

    async def state(self) -> DatabaseState:
        """Which server it is, and whether its isolation is whole at this moment.

        Raises:
            Refused: with `E_DATABASE_UNREACHABLE`.
        """
        try:
            async with self._gate.connection() as connection:
                return DatabaseState(connection.info.server_version, await find_breaches(connection))
        except (psycopg.OperationalError, PoolTimeout):
            raise unavailable() from None

    @asynccontextmanager
    async def reading(self, caller: Caller) -> AsyncGenerator[Reading]:
        """Read as this caller, with the roles that the database grants at this moment.

        Raises:
            Refused: when the client or the user is unknown or disabled.
        """
        admission = await self._gate.admit(caller)
        yield Reading(admission, self._nodes, self._codec, self._read_limits, self._names)

    @asynccontextmanager
    async def writing(self, caller: Caller, *, read_only: bool = False) -> AsyncGenerator[Writing]:
        """Run statements of our own as this caller's client, in one transaction; see `Writing`.

        Args:
            caller: Who asks.
            read_only: Whether the transaction only reads, all of it from one snapshot.

        Raises:
            Refused: when the client or the user is unknown or disabled, or the database does not answer.
        """
        admission = await self._gate.admit(caller)
        if self._writers.closed:
            await self._writers.open()
        with step("transaction"):
            async with writing(self._writers, admission, read_only=read_only) as transaction:
                yield transaction

    async def clients_with_messages(self) -> list[str]:
        """The active clients that have a message to be delivered now."""
        return await self._gate.clients_with_messages()

    @asynccontextmanager
    async def delivering(self, client_id: str) -> AsyncGenerator[Writing]:
        """Work on the messages of one client, in one transaction under its row security, on nobody's request.

        Raises:
            Refused: when the database does not answer.
        """
        nobody = Caller(client_id, "system", "outbox", frozenset())
        admission = Admission(nobody, "", "", 0, {}, "UTC", {}, "")
        if self._writers.closed:
            await self._writers.open()
        async with writing(self._writers, admission, read_only=False) as transaction:
            yield transaction


@asynccontextmanager
async def open_database(
    address: Address, credentials: Credentials, limits: DatabaseLimits, replicas: ReplicaAddresses
) -> AsyncGenerator[Database]:
    """Open a prepared database for serving, after checking that its isolation is whole.

    Raises:
        Refused: with `E_DATABASE_UNREACHABLE`, `E_DATABASE_NOT_PREPARED`, `E_DATABASE_VERSION` or `E_ISOLATION`.
    """

    def tenants(node: Address) -> TenantConnections:
        return _tenant_connections(node, credentials, limits)

    def replica(node: Address) -> Replica:
        return Replica(_gate_conninfo(node, credentials), tenants(node))

    async with AsyncExitStack() as stack:
        catalog = await _checked_catalog(address, credentials)
        pool = await stack.enter_async_context(_gate_pool(address, credentials))
        nodes = ReadNodes(tenants(address), pool, replicas, replica)
        stack.push_async_callback(nodes.close)
        writers = _writer_pool(address, credentials)
        stack.push_async_callback(writers.close)
        yield Database(Gate(pool), nodes, writers, catalog, Sealer(credentials.sealing_key("cursor")), limits)


def _tenant_connections(address: Address, credentials: Credentials, limits: DatabaseLimits) -> TenantConnections:
    def conninfo(login: str) -> str:
        # A request to cancel that comes between two statements of a pipeline is lost, and a killed process sends none:
        # so the server itself looks, while it runs a query, whether anybody still waits for the answer.
        options = (
            f"-c statement_timeout={limits.query_timeout_ms} -c client_connection_check_interval={_CLIENT_CHECK_MS}"
        )
        return address.conninfo_as(login, credentials.password(login), "commission-mcp reader", options=options)

    return TenantConnections(
        conninfo,
        connections_max=limits.connections_max,
        per_login_max=limits.connections_per_login_max,
        wait_ms=limits.connection_wait_ms,
        prepare=PREPARE_VERSIONS,
    )


async def _checked_catalog(address: Address, credentials: Credentials) -> Catalog:
    async with gate_connection(address, credentials) as connection:
        await refuse_breaches(connection)
        return await read_catalog(connection)


@asynccontextmanager
async def gate_connection(address: Address, credentials: Credentials) -> AsyncGenerator[psycopg.AsyncConnection]:
    """One connection as `cm_gate`, for looking at the catalogs.

    Raises:
        Refused: with `E_DATABASE_UNREACHABLE`, `E_DATABASE_NOT_PREPARED` or `E_DATABASE_VERSION`.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(_gate_conninfo(address, credentials), autocommit=True)
    except psycopg.OperationalError as error:
        if "cm_gate" in str(error) or "authentication" in str(error):
            raise Refused(
                Problem(
                    Code.DATABASE_NOT_PREPARED,
                    f"The database at {address.place} does not know this server's logins.",
                    "Run `commission-mcp setup` with a superuser's URL and the same COMMISSION_MASTER_SECRET.",
                    "COMMISSION_POSTGRES_URL",
                )
            ) from None
        raise unreachable(address) from None
    async with connection:
        check_version(connection.info.server_version)
        await require_prepared(connection, credentials)
        yield connection


async def _prepare_gate(connection: psycopg.AsyncConnection) -> None:
    await connection.execute(PREPARE_ADMIT)


@asynccontextmanager
async def _gate_pool(address: Address, credentials: Credentials) -> AsyncGenerator[Pool]:
    pool: Pool = AsyncConnectionPool(
        _gate_conninfo(address, credentials),
        min_size=1,
        max_size=_GATE_CONNECTIONS_MAX,
        timeout=_GATE_WAIT_S,
        kwargs={"autocommit": True, "prepare_threshold": 1},
        configure=_prepare_gate,
        check=None,
        open=False,
        name="gate",
    )
    try:
        await pool.open(wait=True, timeout=_GATE_WAIT_S)
        yield pool
    except PoolTimeout:
        raise unreachable(address) from None
    finally:
        await pool.close()


def _writer_pool(address: Address, credentials: Credentials) -> Pool:
    options = (
        f"-c statement_timeout={_WRITER_STATEMENT_MS} -c idle_in_transaction_session_timeout={_WRITER_IDLE_MS} "
        f"-c client_connection_check_interval={_CLIENT_CHECK_MS}"
    )
    conninfo = address.conninfo_as(WRITER, credentials.password(WRITER), "commission-mcp writer", options=options)
    # Opened by the first who writes: many servers only read.
    return AsyncConnectionPool(
        conninfo,
        min_size=0,
        max_size=_WRITER_CONNECTIONS_MAX,
        timeout=_GATE_WAIT_S,
        open=False,
        name="writer",
        kwargs={"autocommit": True},
        check=AsyncConnectionPool.check_connection,
    )


def _gate_conninfo(address: Address, credentials: Credentials) -> str:
    return address.conninfo_as(GATE, credentials.password(GATE), "commission-mcp gate")
