"""Writing as one client: statements of this program, never a caller's, under row security for that client alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import LiteralString, TypeAlias

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import PoolTimeout

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.gate import Admission, Pool

Params: TypeAlias = Sequence[object] | Mapping[str, object]

_SCOPE = "SELECT set_config('cm.client', %s, true)"
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True, slots=True)
class Writing:
    """One transaction as one admitted caller; it commits when its block ends and rolls back when that raises.

    The connection belongs to `cm_writer`: it sees and changes rows of the caller's client only, unmasked. Whoever uses
    it checks the caller's roles first (`admission.caller.require`), and gives out only what those may see.

    Attributes:
        admission: The caller, as the database knows it now.
        connection: For what the methods below do not do, such as COPY and server-side cursors.
    """

    admission: Admission
    connection: psycopg.AsyncConnection[TupleRow]

    @property
    def client_id(self) -> str:
        """The client; statements name it too, for the indexes' sake."""
        return self.admission.caller.client_id

    async def rows(self, statement: LiteralString, params: Params = ()) -> list[TupleRow]:
        """The rows that a statement gives."""
        return await (await self.connection.execute(statement, params)).fetchall()

    async def row(self, statement: LiteralString, params: Params = ()) -> TupleRow | None:
        """The first row that a statement gives."""
        return await (await self.connection.execute(statement, params)).fetchone()

    async def execute(self, statement: LiteralString, params: Params = ()) -> int:
        """Run a statement; how many rows it touched."""
        return (await self.connection.execute(statement, params)).rowcount


@asynccontextmanager
async def writing(pool: Pool, admission: Admission, *, read_only: bool) -> AsyncGenerator[Writing]:
    """A transaction for the admitted caller's client.

    Args:
        pool: Connections of `cm_writer`.
        admission: The caller.
        read_only: Whether the transaction only reads, all of it from one snapshot.

    Raises:
        Refused: with `E_DATABASE_UNREACHABLE` or `E_BUSY`.
    """
    try:
        async with pool.connection() as connection, connection.transaction():
            if read_only:
                await connection.execute(_READ_ONLY)
            await connection.execute(_SCOPE, [admission.caller.client_id])
            yield Writing(admission, connection)
    except PoolTimeout:
        problem = Problem(Code.BUSY, "No connection for writing became free in time.", "Try again in a moment.")
        raise Refused(problem) from None
    except psycopg.OperationalError:
        problem = Problem(Code.DATABASE_UNREACHABLE, "The database does not answer.", "Try again in a moment.")
        raise Refused(problem) from None
