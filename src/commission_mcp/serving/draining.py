"""A uvicorn server that stops without cutting off who is about to ask."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic

import anyio
import uvicorn

from commission_mcp.serving.connections import DRAINING

LINGER_S = 1.0
STOPPING = "commission_mcp.stopping"
"""This key stands in the lifespan's state once the server stops, and none takes its place."""
_TICK_S = 0.1


class DrainingServer(uvicorn.Server):
    """Serves until it is told to stop, or to retire.

    Told to stop (`should_exit`, SIGTERM, SIGINT), it takes new connections for a moment more, since whoever sends them
    may not know yet; told to retire it takes none, since another process does. Either way every answer from now on says
    `connection: close`, a connection without a request is closed after that moment, and the server ends with the last
    answer, or when the time for that is over.

    Args:
        config: Uvicorn's configuration; its time for a graceful shutdown begins after the moment.
        linger_s: The moment.
        told_to_retire: Asked ten times a second.
    """

    def __init__(
        self, config: uvicorn.Config, linger_s: float = LINGER_S, told_to_retire: Callable[[], bool] | None = None
    ) -> None:
        super().__init__(config)
        self._linger_s = linger_s
        self._told_to_retire = told_to_retire
        self._retiring = False

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop."""
        if self._told_to_retire is not None and self._told_to_retire():
            self._retiring = True
            return True
        return await super().on_tick(counter)

    def drain(self) -> None:
        """Tell connections, those there are and those to come, that the end is near."""
        self.lifespan.state[DRAINING] = self._linger_s
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close."""
        self.drain()
        if not self._retiring:
            self.lifespan.state[STOPPING] = True
            until_s = monotonic() + self._linger_s
            while not self.force_exit and monotonic() < until_s:  # noqa: ASYNC110 - uvicorn sets the flag in a signal handler
                await anyio.sleep(_TICK_S)
        await super().shutdown(sockets)
