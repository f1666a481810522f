"""The supervisor: one process per data directory, which lives as long as it has clients, and its servers with it.

Run as `python -m commission_mcp.embedded.supervisor <data directory> <seconds to wait for an earlier one>`. It ends
with status 0 when its socket takes connections, having left a child behind that goes on; with 75 when another
supervisor holds the directory; otherwise with the reason on stderr, which is its log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from commission_mcp.embedded.directory import DataDirectory, claim
from commission_mcp.embedded.identity import choose_identity
from commission_mcp.embedded.locks import lock_within
from commission_mcp.embedded.postgres import Postgres
from commission_mcp.embedded.protocol import BEAT_S, BUSY_STATUS, Request, State, decode_request, encode_state
from commission_mcp.embedded.sockets import prepare
from commission_mcp.embedded.upkeep import Upkeep
from commission_mcp.embedded.valkey import cache_valkey, history_valkey
from commission_mcp.errors import Refused

_FIRST_CLIENT_S = 10.0  # a client that started this and was killed never comes
_REQUEST_WAIT_S = 10.0
_GRACE_S_MAX = 3600.0
_LISTENING, _BUSY = b"+", b"-"

_log = logging.getLogger("commission_mcp.embedded.supervisor")


class Supervisor:
    """Serves the clients of one data directory."""

    def __init__(self, directory: DataDirectory, postgres: Postgres) -> None:
        self._directory = directory
        self._postgres = Upkeep(postgres, partial(self._let_go, _needs_postgres))
        self._valkeys = tuple(
            Upkeep(valkey(directory), partial(self._let_go, _needs_redis)) for valkey in (history_valkey, cache_valkey)
        )
        self._clients: dict[asyncio.StreamWriter, Request | None] = {}  # None until it was told `ready`
        self._leaving = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, listening: int) -> None:
        """Serve until the last client has left; then stop everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.set)
        socket = self._directory.supervisor_socket
        socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, socket)
        self._leave_after(_FIRST_CLIENT_S)
        os.write(listening, _LISTENING)
        os.close(listening)
        await self._leaving.wait()
        server.close()
        socket.unlink(missing_ok=True)
        for writer in tuple(self._clients):
            writer.close()
        await asyncio.gather(self._postgres.stop(), *(valkey.stop() for valkey in self._valkeys))
        with suppress(OSError):
            if not self._directory.sockets.is_relative_to(self._directory.root):
                self._directory.sockets.rmdir()  # it is in /tmp

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its request until it goes. Its connection is all that keeps the servers up."""
        if self._leaving.is_set():
            writer.close()  # the client tries again, and gets a new supervisor
            return
        self._clients[writer] = None
        self._stay()
        grace_s = 0.0
        try:
            line = await asyncio.wait_for(reader.readline(), _REQUEST_WAIT_S)
            request = decode_request(line)
            grace_s = min(request.grace_s, _GRACE_S_MAX)
            _log.info("a client of version %s comes", request.version)
            await self._answer(request, writer)
            self._clients[writer] = request
            await reader.read()
        except (OSError, ValueError, TimeoutError) as error:
            _log.info("a client is gone: %s", type(error).__name__)
        except Refused as refused:
            writer.write(encode_state(State.REFUSED, refused))
        finally:
            writer.close()
            del self._clients[writer]
            if not self._clients:
                self._leave_after(grace_s)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Say `starting` until all that it needs is up, and then `ready`; or raise `Refused`."""
        needed = ((self._postgres,) if request.postgres else ()) + (self._valkeys if request.redis else ())
        demands = asyncio.gather(*(upkeep.demand() for upkeep in needed))
        try:
            while not demands.done():
                writer.write(encode_state(State.STARTING))
                await writer.drain()
                await asyncio.wait((demands,), timeout=BEAT_S)
        finally:
            demands.cancel()
        await demands
        writer.write(encode_state(State.READY))
        await writer.drain()

    def _let_go(self, concerned: Callable[[Request], bool], refused: Refused) -> None:
        """Tell the clients that need a server that it does not stay up. They ask again, more and more slowly."""
        for writer, request in self._clients.items():
            if request is not None and concerned(request):
                writer.write(encode_state(State.REFUSED, refused))
                writer.close()

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave_after(self, seconds: float) -> None:
        self._stay()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._leaving.set)


def _needs_postgres(request: Request) -> bool:
    return request.postgres


def _needs_redis(request: Request) -> bool:
    return request.redis


def main() -> int:
    """Leave a supervisor behind that listens, or say why not."""
    os.umask(0o077)
    root, patience_s = Path(sys.argv[1]), float(sys.argv[2])
    told, listening = os.pipe()
    if os.fork():
        os.close(listening)
        return {_LISTENING: 0, _BUSY: BUSY_STATUS}.get(os.read(told, 1), 1)
    os.close(told)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.Formatter.converter = time.gmtime
    _log.info("process %d begins", os.getpid())
    try:
        directory = claim(root)
        postgres = Postgres(directory, choose_identity())
        asyncio.run(_alone(directory, postgres, patience_s, listening))
    except Refused as refused:
        _log.error("%s", refused)
        return 1
    _log.info("process %d ends", os.getpid())
    return 0


async def _alone(directory: DataDirectory, postgres: Postgres, patience_s: float, listening: int) -> None:
    """Run as the only supervisor of the directory."""
    lock = await lock_within(directory.lock("supervisor"), patience_s)
    if lock is None:
        os.write(listening, _BUSY)
        return
    prepare(directory.sockets)  # an earlier supervisor may have removed it meanwhile
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode("ascii"))
    await Supervisor(directory, postgres).run(listening)


if __name__ == "__main__":
    sys.exit(main())
