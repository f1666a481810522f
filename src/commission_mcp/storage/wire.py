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
from psycopg import pq

Parameter = bytes | None


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
    connection.enter_pipeline_mode()
    for statement in statements:
        send = connection.send_query_prepared if statement.prepared else connection.send_query_params
        send(statement.sql, statement.parameters)
    connection.pipeline_sync()
    while connection.flush():
        await anyio.wait_writable(connection.socket)
    results: list[pq.abc.PGresult] = []
    received = 0
    while True:
        while connection.is_busy():
            await anyio.wait_readable(connection.socket)
            received += _waiting_bytes(connection.socket)
            if received > bytes_max:
                raise TooMuch
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            connection.exit_pipeline_mode()
            return results
        results.append(result)


def _waiting_bytes(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]
