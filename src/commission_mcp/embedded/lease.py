"""A client's side: find the supervisor of a data directory or start one, and hold on to it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from commission_mcp import __version__
from commission_mcp.embedded import process
from commission_mcp.embedded.binaries import postgres_programs, valkey_server
from commission_mcp.embedded.directory import DataDirectory, claim
from commission_mcp.embedded.locks import holders, try_lock
from commission_mcp.embedded.postgres import DATABASE, SUPERUSER
from commission_mcp.embedded.protocol import BUSY_STATUS, Request, State, decode_state, encode_request
from commission_mcp.embedded.valkey import cache_socket, history_socket
from commission_mcp.errors import Code, Problem, Refused

GRACE_S = 5.0
ANSWER_WAIT_S = 30.0
_POLL_S = 0.02
_PAUSE_S_MAX = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a data directory. The addresses stay the same for good, so they outlive any restart.

    Attributes:
        postgres_url: PostgreSQL as its superuser; empty if it was not asked for.
        history_url: The Valkey that loses nothing it acknowledged; empty if it was not asked for.
        cache_url: The Valkey that keeps nothing; empty if it was not asked for.
        master_secret: Random, made once for the data directory.
        data_directory: The directory, by its real path.
    """

    postgres_url: str = field(repr=False)
    history_url: str = field(repr=False)
    cache_url: str = field(repr=False)
    master_secret: str = field(repr=False)
    data_directory: Path


@asynccontextmanager
async def open_servers(
    data_directory: Path,
    *,
    postgres: bool = True,
    redis: bool = True,
    grace_s: float = GRACE_S,
    answer_wait_s: float = ANSWER_WAIT_S,
) -> AsyncGenerator[Servers]:
    """Have the embedded servers running until the block ends.

    Args:
        data_directory: Where everything is kept; made if need be.
        postgres: Whether PostgreSQL is needed.
        redis: Whether the Valkeys are needed.
        grace_s: How long the servers stay up after the last client has left.
        answer_wait_s: How long the supervisor may be silent. While it starts the servers, it says so every second.

    Raises:
        Refused: with `E_DATA_DIRECTORY`, `E_DATA_DIRECTORY_NEWER`, `E_SERVER_START` or `E_PLATFORM`.
    """
    _require_platform(postgres=postgres, redis=redis)
    directory = await asyncio.to_thread(claim, data_directory)
    request = Request(postgres=postgres, redis=redis, grace_s=grace_s, version=__version__)
    lease = _Lease(directory, request, answer_wait_s)
    await lease.take()
    keeping = asyncio.create_task(lease.keep())
    try:
        yield _servers(directory, request)
    finally:
        keeping.cancel()
        lease.give_back()
        await asyncio.wait((keeping,))


class _Lease:
    """A connection to the supervisor, which holds for as long as the client needs the servers."""

    def __init__(self, directory: DataDirectory, request: Request, answer_wait_s: float) -> None:
        self._directory = directory
        self._request = request
        self._answer_wait_s = answer_wait_s
        self._connection: tuple[StreamReader, StreamWriter] | None = None

    async def take(self) -> None:
        """Connect to the supervisor, starting one if there is none, and wait until it is ready."""
        try:
            await self._take()
        except OSError as error:
            raise Refused(
                Problem(
                    Code.SERVER_START,
                    f"The embedded servers of {self._directory.root} cannot be started: {error.strerror or error}.",
                    "Remove the cause, and start again.",
                )
            ) from error

    async def keep(self) -> None:
        """Whenever the supervisor is lost, find or start another: the addresses stay the same."""
        pause_s = _POLL_S
        while True:
            if self._connection is not None:
                await self._wait_for_loss(self._connection[0])
                self.give_back()
            await asyncio.sleep(pause_s)
            try:
                if not self._directory.postgres.parent.joinpath("layout.json").exists():
                    return
                await self.take()
                pause_s = _POLL_S
            except Refused as refused:
                _log.error("The embedded servers are lost. %s", refused)
                pause_s = min(max(1.0, pause_s * 2), _PAUSE_S_MAX)

    def give_back(self) -> None:
        """Let go."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def _take(self) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._answer_wait_s
        while clock() < deadline:
            if await self._dial():
                if await self._ready():
                    return
                deadline = clock() + self._answer_wait_s  # it was leaving, and not silent
            else:
                await self._start_supervisor()
        raise self._silent()

    async def _dial(self) -> bool:
        with suppress(FileNotFoundError, ConnectionError):
            self._connection = await asyncio.open_unix_connection(self._directory.supervisor_socket)
            return True
        return False

    async def _ready(self) -> bool:
        """Wait for `ready`; False if the supervisor was just leaving."""
        if self._connection is None:
            return False
        reader, writer = self._connection
        try:
            writer.write(encode_request(self._request))
            while line := await asyncio.wait_for(reader.readline(), self._answer_wait_s):
                if decode_state(line) is State.READY:
                    return True
        except TimeoutError:
            self.give_back()
            raise self._silent() from None
        except ConnectionError:
            pass
        except BaseException:
            self.give_back()
            raise
        self.give_back()
        return False

    async def _wait_for_loss(self, reader: StreamReader) -> None:
        with suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                try:
                    decode_state(line)
                except Refused as refused:
                    _log.error("An embedded server does not stay up. %s", refused)
                    return

    async def _start_supervisor(self) -> None:
        """Start a supervisor, unless another client is about to: then wait a moment."""
        lock = try_lock(self._directory.lock("starting"))
        if lock is None:
            await asyncio.sleep(_POLL_S)
            return
        try:
            await self._spawn()
        finally:
            os.close(lock)

    async def _spawn(self) -> None:
        """Start a supervisor, and wait until it listens."""
        log = self._directory.log("supervisor")
        with process.open_log(log) as output:
            started = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-X", "utf8", "-m", "commission_mcp.embedded.supervisor"),
                *(self._directory.root, str(self._answer_wait_s)),
                cwd="/",
                env={**process.ENVIRONMENT, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            status = await asyncio.wait_for(
                started.wait(), 2 * self._answer_wait_s
            )  # it waits itself for an earlier one
        except TimeoutError:
            await process.kill(started)
            raise self._silent() from None
        if status == BUSY_STATUS:
            raise self._silent()
        if status != 0:
            raise process.not_started("servers' supervisor", log)

    def _silent(self) -> Refused:
        """The refusal for a supervisor that is there and does not answer."""
        number = self._supervisor_process()
        if number is None:
            return process.not_started("servers' supervisor", self._directory.log("supervisor"))
        return Refused(
            Problem(
                Code.SERVER_START,
                f"Process {number}, which supervises the servers of {self._directory.root}, does not answer.",
                f"Run `kill -9 {number}` (nothing that was saved is lost), and start again.",
            )
        )

    def _supervisor_process(self) -> int | None:
        """The process that holds the supervisor's lock: what its file says may be stale, and the number another's."""
        lock = self._directory.lock("supervisor")
        with suppress(OSError, ValueError):
            number = int(lock.read_text(encoding="ascii"))
            return number if number in holders(lock) else None
        return None


def _servers(directory: DataDirectory, request: Request) -> Servers:
    secrets = directory.secrets
    host = quote(str(directory.sockets), safe="")
    return Servers(
        postgres_url=f"postgresql://{SUPERUSER}:{secrets.postgres}@/{DATABASE}?host={host}" if request.postgres else "",
        history_url=f"unix://:{secrets.history}@{quote(str(history_socket(directory)))}" if request.redis else "",
        cache_url=f"unix://:{secrets.cache}@{quote(str(cache_socket(directory)))}" if request.redis else "",
        master_secret=secrets.master,
        data_directory=directory.root,
    )


def _require_platform(*, postgres: bool, redis: bool) -> None:
    if sys.platform == "win32":
        raise Refused(
            Problem(
                Code.PLATFORM,
                "The embedded servers do not run on Windows.",
                "Run this in WSL2, or set COMMISSION_POSTGRES_URL and COMMISSION_REDIS_URL to servers of your own.",
            )
        )
    if postgres:
        postgres_programs()
    if redis:
        valkey_server()
