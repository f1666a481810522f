"""How long a Redis server may take; apart from the connections, because importing those imports redis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedisLimits:
    """How long a server may take, and how many connections it gets.

    A server that is down is given up after the pauses, one that hangs after about three answer times.

    Attributes:
        connections_max: Connections kept to the server; further commands wait for one.
        connect_timeout_ms: How long connecting may take, log-in included.
        answer_timeout_ms: How long one answer may take.
        call_timeout_ms: How long commands may take with everything: waiting for a connection, pauses, further attempts.
        pauses_ms: How long to wait before each further attempt.
    """

    connections_max: int = 10
    connect_timeout_ms: int = 200
    answer_timeout_ms: int = 200
    call_timeout_ms: int = 900
    pauses_ms: tuple[int, ...] = (20, 60)
