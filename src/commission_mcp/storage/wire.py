"""One pipeline of statements on one connection, with a bound on what may come back.

A pipeline always speaks the extended protocol, in which a text cannot carry a second statement. It costs one
round trip.
"""

from __future__ import annotations

import array
import fcntl
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import anyio
import psycopg
from psycopg import pq

Parameter = bytes | None

# While the server sends as fast as libpq reads, one look sees only the first part of what is read, 64 KiB at least for
# anything large. So what looks small is small, and the rest is measured when it is there.
_SURELY_SMALL_BYTES = 32 * 1024
_ANSWER_BYTES_MAX = 64 * 2**20
_PORTION_ROWS = 100  # what is measured at once; fewer cost more time, more may hold more when rows are wide
_PORTIONING_LIBPQ = 170_000
_CAN_PORTION = pq.version() >= _PORTIONING_LIBPQ  # an older one brings all rows as one portion


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and the values of its placeholders, as text that PostgreSQL types itself.

    Attributes:
        sql: The statement; for a prepared one, its name.
        parameters: The values.
        prepared: Whether the connection has prepared it.
        portioned: Whether its rows are taken in portions, so that what is too much is never held as a whole.
    """

    sql: bytes
    parameters: Sequence[Parameter] = ()
    prepared: bool = False
    portioned: bool = False


class TooMuch(Exception):  # noqa: N818 - the answer is too large, not the program wrong
    """The answer exceeds the bound; the connection is no longer usable."""


async def exchange(
    connection: pq.abc.PGconn, statements: Sequence[Statement], *, bytes_max: int
) -> list[pq.abc.PGresult]:
    """Send statements in one pipeline and return their results in order.

    A portioned statement gives one result for each portion and an empty one that closes them. A failed statement gives
    a result with its error, and those after it are skipped by the server.

    Raises:
        TooMuch: when about `bytes_max` bytes have come; close the connection.
        psycopg.OperationalError: when the connection is lost.
    """
    connection.enter_pipeline_mode()
    for statement in statements:
        send = connection.send_query_prepared if statement.prepared else connection.send_query_params
        send(statement.sql, statement.parameters)
    connection.pipeline_sync()
    while connection.flush():
        await anyio.wait_writable(connection.socket)
    received = _Received(bytes_max)
    waiting = iter(statements)
    await _receive(connection, waiting, received)
    connection.exit_pipeline_mode()
    return received.results


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


@dataclass(slots=True)
class _Received:
    """The results so far, and a bound on what they hold."""

    bytes_max: int
    results: list[pq.abc.PGresult] = field(default_factory=list[pq.abc.PGresult])
    _seen_bytes: int = 0
    _measured: int = 0  # results
    _measured_bytes: int = 0

    def see(self, waiting_bytes: int) -> None:
        """Note what waits to be read.

        Raises:
            TooMuch: when it is more than the bound.
        """
        self._seen_bytes += waiting_bytes
        if self._seen_bytes > self.bytes_max:
            raise TooMuch

    def add(self, result: pq.abc.PGresult) -> None:
        """Keep a result, and measure it unless all that was seen is small.

        Raises:
            TooMuch: when the results hold more than the bound.
        """
        self.results.append(result)
        if self._seen_bytes > _SURELY_SMALL_BYTES:
            self._measured_bytes += _size_bytes(self.results[self._measured :])
            self._measured = len(self.results)
            if self._measured_bytes > self.bytes_max:
                raise TooMuch


async def _receive(connection: pq.abc.PGconn, statements: Iterator[Statement], received: _Received) -> None:
    """Take the results of statements that were sent, until the server has answered them all."""
    next(statements)
    has_failed = False
    while True:
        while connection.is_busy():
            await anyio.wait_readable(connection.socket)
            received.see(_waiting_bytes(connection.socket))
            connection.consume_input()
        result = connection.get_result()
        if result is None:  # the results of the next statement are next
            following = next(statements, None)
            if following is not None and following.portioned and _CAN_PORTION and not has_failed:
                connection.set_chunked_rows_mode(_PORTION_ROWS)
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return
        else:
            has_failed = has_failed or result.status == pq.ExecStatus.FATAL_ERROR
            received.add(result)


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
