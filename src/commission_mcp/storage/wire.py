"""One pipeline of statements on one connection, with a bound on what may come back.

A pipeline always speaks the extended protocol, in which a text cannot carry a second statement. It costs one
round trip.
"""

from __future__ import annotations

import array
import fcntl
import termios
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import psycopg
from psycopg import pq

Parameter = bytes | None

# While the server sends as fast as libpq reads, one look sees only the first part of what is read, 64 KiB at least for
# anything large. So what looks small is small, and the rest is measured when it is there.
_SURELY_SMALL_BYTES = 32 * 1024
_ANSWER_BYTES_MAX = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and the values of its placeholders, as text that PostgreSQL types itself.

    Attributes:
        sql: The statement; for a prepared one, its name.
        parameters: The values.
        prepared: Whether the connection has prepared it.
    """

    sql: bytes
    parameters: Sequence[Parameter] = ()
    prepared: bool = False


class TooMuch(Exception):  # noqa: N818 - the answer is too large, not the program wrong
    """The answer exceeds the bound; the connection is no longer usable."""


async def exchange(
    connection: pq.abc.PGconn, statements: Sequence[Statement], *, bytes_max: int
) -> list[pq.abc.PGresult]:
    """Send statements in one pipeline and return their results in order.

    A failed statement gives a result with its error, and those after it are skipped by the server.

    Raises:
        TooMuch: when about `bytes_max` bytes have come; close the connection.
        psycopg.OperationalError: when the connection is lost.
    """
    results, seen_bytes = await _exchanged(connection, statements, bytes_max)
    if seen_bytes > _SURELY_SMALL_BYTES and _size_bytes(results) > bytes_max:
        raise TooMuch
    return results


async def ask(connection: psycopg.AsyncConnection, statement: Statement) -> pq.abc.PGresult:
    """The result of one statement; less work than a cursor, for what runs in every call.

    Raises:
        psycopg.Error: when it fails; the connection is closed unless it was the server that said so.
    """
    try:
        (result,) = await exchange(connection.pgconn, [statement], bytes_max=_ANSWER_BYTES_MAX)
    except BaseException:
        # Cancelled, lost or too much: what comes next on it would be the answer to this.
        with anyio.CancelScope(shield=True):
            await connection.close()
        raise
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)
    return result


async def _exchanged(
    connection: pq.abc.PGconn, statements: Sequence[Statement], bytes_max: int
) -> tuple[list[pq.abc.PGresult], int]:
    """The results, and how many bytes of them were seen waiting."""
    connection.enter_pipeline_mode()
    for statement in statements:
        send = connection.send_query_prepared if statement.prepared else connection.send_query_params
        send(statement.sql, statement.parameters)
    connection.pipeline_sync()
    while connection.flush():
        await anyio.wait_writable(connection.socket)
    results: list[pq.abc.PGresult] = []
    seen_bytes = 0
    while True:
        while connection.is_busy():
            await anyio.wait_readable(connection.socket)
            seen_bytes += _waiting_bytes(connection.socket)
            if seen_bytes > bytes_max:
                raise TooMuch
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            connection.exit_pipeline_mode()
            return results, seen_bytes
        results.append(result)


def _size_bytes(results: Sequence[pq.abc.PGresult]) -> int:
    """How much the values of these results take."""
    return sum(
        len(result.get_value(row, column) or b"")
        for result in results
        for row in range(result.ntuples)
        for column in range(result.nfields)
    )


def _waiting_bytes(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]
