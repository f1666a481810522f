"""Reading as one client: a `Select` in, a table of exact values out, and nothing left behind on the connection.

Every read is one pipeline: a read-only transaction with a snapshot of its own, a cursor for the SELECT (under DECLARE
the server itself refuses writes, SET, COMMIT and SELECT INTO), one FETCH, and ROLLBACK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
import orjson
import psycopg
from psycopg import pq

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.sqlguard import Select
from commission_mcp.storage.failures import Failure, refusal
from commission_mcp.storage.gate import Admission
from commission_mcp.storage.replicas import ReadNodes
from commission_mcp.storage.tenant_connections import TenantConnections
from commission_mcp.storage.values import Codec, Value, parameters, refuse_large
from commission_mcp.storage.wire import Statement, TooMuch, exchange
from commission_mcp.tracing import traced

_BEGIN = Statement(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
# Prepared once on each connection: planning it would take longer than running it.
_VERSIONS = Statement(b"versions", prepared=True)
PREPARE_VERSIONS = (
    "PREPARE versions AS SELECT now(), jsonb_object_agg(relation, version::text || '@' || extract(epoch FROM "
    "changed_at)::text)::text FROM commission.data_versions"
)
MASKS = "mask_rule"  # the table that every view's masks are made from
_DECLARE = "DECLARE c NO SCROLL CURSOR FOR "
_ROLLBACK = Statement(b"ROLLBACK")
_CANCEL_TIMEOUT_S = 2.0
_DEADLINE_SLACK_S = 2.0  # what the server's own time limit may be late by


@dataclass(frozen=True, slots=True)
class Table:
    """What a SELECT gave.

    Attributes:
        columns: Name and type of each column.
        rows: The rows, at most as many as were asked for.
        more: Whether there are further rows.
        versions: For each kind of data a mark that is another one after every change, in the snapshot of the rows.
        as_of: When the snapshot was taken.
    """

    columns: tuple[tuple[str, str], ...]
    rows: list[tuple[object, ...]]
    more: bool
    versions: Mapping[str, str]
    as_of: str


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one read: how long it may run, and how many bytes may come back."""

    timeout_ms: int
    result_bytes_max: int


class Reading:
    """Reads as one admitted caller: from its replica where that knows all that was committed, else from the primary."""

    def __init__(
        self, admission: Admission, nodes: ReadNodes, codec: Codec, limits: ReadLimits, names: Iterable[str]
    ) -> None:
        self.admission = admission
        self._nodes = nodes
        self._codec = codec
        self._limits = limits
        self._names = names

    @traced("database")
    async def fetch(
        self,
        select: Select,
        params: Sequence[Value],
        *,
        rows_max: int,
        offset: int = 0,
        tables: frozenset[str] | None = None,
    ) -> Table:
        """Run a SELECT and return up to `rows_max` of its rows after the first `offset`.

        Args:
            select: The statement.
            params: Its values.
            rows_max: How many rows.
            offset: How many to pass over.
            tables: The tables whose rows it reads, None for any: a replica that lacks a change of one of them, or of
                the masks, is not read from.

        Raises:
            Refused: when the database cannot run it within the limits, or it has no meaning there.
        """
        refuse_large(params, select.small)
        statements = [
            _BEGIN,
            _VERSIONS,
            Statement((_DECLARE + select.sql).encode(), parameters(params)),
            *([Statement(f"MOVE FORWARD {offset:d} IN c".encode())] if offset else []),
            Statement(f"FETCH FORWARD {rows_max + 1:d} FROM c".encode(), portioned=True),
            _ROLLBACK,
        ]
        replica = await self._nodes.replica_for(self.admission.caller.client_id)
        if replica is not None:
            results = await self._from_replica(replica, statements)
            if results is not None and not self._is_behind(results, tables):
                return self._table(results, len(statements), rows_max)
        results = await self._from_primary(statements)
        self._refuse_failure(results, select)
        return self._table(results, len(statements), rows_max)

    async def _from_primary(self, statements: Sequence[Statement]) -> list[pq.abc.PGresult]:
        try:
            return await self._run(self._nodes.primary, statements)
        except psycopg.OperationalError:
            return await self._run_again(self._nodes.primary, statements)

    async def _from_replica(
        self, replica: TenantConnections, statements: Sequence[Statement]
    ) -> list[pq.abc.PGresult] | None:
        """The results of a replica, or none when it fails in any way in which the primary may not."""
        try:
            results = await self._run(replica, statements)
        except psycopg.OperationalError:
            await replica.close_idle(self.admission.login)  # they died with it
            return None
        except Refused as refused:
            if refused.problems[0].code in {Code.DATABASE_UNREACHABLE, Code.BUSY}:
                return None
            raise
        return None if any(result.status == pq.ExecStatus.FATAL_ERROR for result in results) else results

    def _is_behind(self, results: Sequence[pq.abc.PGresult], tables: frozenset[str] | None) -> bool:
        """Whether these results are from before a change that had been committed when the caller was admitted."""
        there, here = self._snapshot(results)[1], self.admission.versions
        return any(
            _count(there.get(table)) < _count(version)
            for table, version in here.items()
            if tables is None or table in tables or table == MASKS
        )

    async def _run(self, connections: TenantConnections, statements: Sequence[Statement]) -> list[pq.abc.PGresult]:
        async with connections.lend(self.admission.login) as connection:
            deadline_s = self._limits.timeout_ms / 1000 + _DEADLINE_SLACK_S
            try:
                with anyio.fail_after(deadline_s):
                    results = await exchange(connection.pgconn, statements, bytes_max=self._limits.result_bytes_max)
                    if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                        await exchange(connection.pgconn, [_ROLLBACK], bytes_max=self._limits.result_bytes_max)
            except TooMuch:
                await _stop(connection)
                raise Refused(_too_large(self._limits.result_bytes_max)) from None
            except TimeoutError:
                await _stop(connection)
                raise Refused(_too_slow()) from None
            except BaseException:
                # Cancelled, or the connection broke: in both cases nothing may go on running for nobody.
                await _stop(connection)
                raise
            return results

    async def _run_again(
        self, connections: TenantConnections, statements: Sequence[Statement]
    ) -> list[pq.abc.PGresult]:
        # Idle connections may have died with a restart of the server; a read can be sent twice without harm.
        await connections.close_idle(self.admission.login)
        try:
            return await self._run(connections, statements)
        except psycopg.OperationalError:
            raise Refused(
                Problem(Code.DATABASE_UNREACHABLE, "The connection to the database was lost.", "Try again in a moment.")
            ) from None

    def _refuse_failure(self, results: Sequence[pq.abc.PGresult], select: Select) -> None:
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise refusal(Failure.of(result, prefix_chars=len(_DECLARE)), select.sql, self._names)

    def _table(self, results: Sequence[pq.abc.PGresult], statements: int, rows_max: int) -> Table:
        as_of, versions = self._snapshot(results)
        portions = results[statements - 2 : -1]  # all statements but the last but one give one result
        rows = [row for portion in portions for row in self._codec.rows(portion)]
        return Table(
            columns=self._codec.columns(portions[-1]),
            rows=rows[:rows_max],
            more=len(rows) > rows_max,
            versions=versions,
            as_of=as_of,
        )

    def _snapshot(self, results: Sequence[pq.abc.PGresult]) -> tuple[str, Mapping[str, str]]:
        """When the snapshot was taken, and the versions in it."""
        ((as_of, versions),) = self._codec.rows(results[1])
        return str(as_of), orjson.loads(str(versions)) if versions else {}


def _count(version: str | None) -> int:
    """How often the rows had changed."""
    return int(version.partition("@")[0]) if version else 0


async def _stop(connection: psycopg.AsyncConnection) -> None:
    """End what the connection is doing and close it, whatever is being cancelled around us."""
    with anyio.CancelScope(shield=True):
        if not connection.closed and connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):  # the server is gone, and the query with it
                await connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
        await connection.close()


def _too_large(bytes_max: int) -> Problem:
    return Problem(
        Code.SQL_RESOURCES,
        f"The answer is larger than {bytes_max // 2**20} MiB.",
        "Ask for fewer or narrower columns, or aggregate.",
        "sql",
    )


def _too_slow() -> Problem:
    return Problem(
        Code.SQL_TIMEOUT,
        "The query was stopped at the time limit.",
        "Aggregate, filter by date, or ask for fewer rows or columns.",
        "sql",
    )
