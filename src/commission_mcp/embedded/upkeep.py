"""Keeping one server running: started when first needed, again when it dies, given up when that does not help."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Protocol

from commission_mcp.errors import Code, Problem, Refused

PAUSES_S = (0.0, 0.2, 1.0, 3.0, 5.0)
"""Before each new start; if the last one fails too, the server is given up."""

_STEADY_S = 60.0  # a server that ran this long begins with the first pause again

_log = logging.getLogger(__name__)


class Server(Protocol):
    """A server that can be started and stopped."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    async def start(self) -> Process:
        """Start it; it serves when this returns. Raises `Refused`."""
        ...

    async def stop(self, started: Process, /) -> None:
        """Stop it, and wait until it is gone."""
        ...


class Upkeep:
    """Keeps one server running from the first demand on."""

    def __init__(
        self, server: Server, given_up: Callable[[Refused], None], pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        self._server = server
        self._given_up = given_up
        self._pauses_s = pauses_s
        self._task: asyncio.Task[None] | None = None
        self._up: asyncio.Future[None] | None = None
        self._process: Process | None = None
        self._since = 0.0
        self._attempts = 0

    async def demand(self) -> None:
        """Return when the server is up, starting it if nobody did.

        Raises:
            Refused: with the reason why it is not. The next demand tries again.
        """
        if self._task is None or self._task.done():
            self._attempts = 0
            self._up = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._keep())
        if self._up is not None:
            await asyncio.shield(self._up)

    async def stop(self) -> None:
        """Stop the server, at whatever point it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._process is not None:
            await self._server.stop(self._process)
            self._process = None

    async def _keep(self) -> None:
        was_up = False
        try:
            await self._start()
            was_up = True
            while True:
                await self._outlive_a_death()
        except Refused as refused:
            _log.error("%s", refused)
            self._settle(refused)
            if was_up:
                self._given_up(refused)

    async def _start(self) -> None:
        try:
            self._process = await self._server.start()
        except OSError as error:
            raise Refused(
                Problem(
                    Code.SERVER_START,
                    f"The embedded {self._server.name} cannot be started: {error}.",
                    "Remove the cause, and start again.",
                )
            ) from error
        self._since = asyncio.get_running_loop().time()
        self._settle(None)
        _log.info("%s is up, process %d", self._server.name, self._process.pid)

    async def _outlive_a_death(self) -> None:
        """Wait until the server dies, and start it again, unless it does so all the time."""
        if self._process is not None:
            await self._mourn(self._process)
        if self._attempts == len(self._pauses_s):
            raise self._dies_always()
        await asyncio.sleep(self._pauses_s[self._attempts])
        self._attempts += 1
        try:
            await self._start()
        except Refused as refused:
            if self._attempts == len(self._pauses_s):
                raise
            _log.warning("%s", refused)

    async def _mourn(self, process: Process) -> None:
        """Wait until the server dies; from then on it is not up."""
        status = await process.wait()
        _log.warning("%s ended with status %d", self._server.name, status)
        loop = asyncio.get_running_loop()
        self._process = None
        self._up = loop.create_future()
        if loop.time() - self._since > _STEADY_S:
            self._attempts = 0

    def _dies_always(self) -> Refused:
        return Refused(
            Problem(
                Code.SERVER_START,
                f"The embedded {self._server.name} started {self._attempts} times again, and did not stay up.",
                "Read its log in the folder `logs` of the data directory.",
            )
        )

    def _settle(self, refused: Refused | None) -> None:
        if self._up is None or self._up.done():
            return
        if refused is None:
            self._up.set_result(None)
        else:
            self._up.set_exception(refused)
            self._up.exception()  # it is handled, even if nobody waits for it
