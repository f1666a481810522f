"""The embedded Valkeys: one keeps the conversations and loses nothing acknowledged, one is a cache."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from commission_mcp.embedded import process
from commission_mcp.embedded.binaries import valkey_server
from commission_mcp.embedded.directory import DataDirectory
from commission_mcp.embedded.launch import Identity
from commission_mcp.embedded.locks import Ending, lock_after_ending

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "logfile": '""',
    "loglevel": "notice",
    "dir": "./",
    "save": '""',
    "maxclients": "500",
    "enable-debug-command": "no",
    "enable-module-command": "no",
}
_KEEPS = {
    "appendonly": "yes",
    "appendfsync": "always",  # an acknowledged message is on disk
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
}
_FORGETS = {
    "appendonly": "no",
    "maxmemory": "128mb",
    "maxmemory-policy": "allkeys-lru",
}
_CONFIGURATION = "valkey.conf"
_READY_WAIT_S = 60.0
_ANSWER_WAIT_S = 5.0
_STOP_S, _KILLED_S = 10.0, 5.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """One Valkey of a data directory."""

    name: str
    log: Path
    lock: Path
    folder: Path
    socket: Path
    password: str = field(repr=False)
    settings: Mapping[str, str]

    async def start(self) -> Process:
        """Start it; it answers when this returns.

        Raises:
            Refused: with `E_SERVER_START`.
        """
        lock = await lock_after_ending(self.lock, (Ending(signal.SIGTERM, _STOP_S), Ending(signal.SIGKILL, _KILLED_S)))
        if lock is None:
            raise process.not_started(self.name, self.log, "of an earlier start does not end")
        try:
            started = await self._begin(lock)
        finally:
            os.close(lock)
        ready = False
        try:
            ready = await process.ready_within(started, self._ready, _READY_WAIT_S)
        finally:
            if not ready:
                await self.stop(started)
        if not ready:
            raise process.not_started(self.name, self.log)
        return started

    async def stop(self, started: Process) -> None:
        """Stop it, after it has written everything down."""
        await process.end(started, (signal.SIGTERM, _STOP_S))

    async def _begin(self, lock: int) -> Process:
        self.socket.unlink(missing_ok=True)
        self._write_configuration()
        command = (valkey_server(), _CONFIGURATION)
        return await process.begin(process.Job(command, self.folder, self.log, signal.SIGTERM, Identity.SAME, lock))

    def _write_configuration(self) -> None:
        """Write the settings into a file of this user's: a command line is everybody's to read."""
        settings = {**_SETTINGS, **self.settings, "unixsocket": str(self.socket), "requirepass": self.password}
        path = self.folder / _CONFIGURATION
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="ascii")

    async def _ready(self) -> bool:
        """Whether it serves requests: not while it still reads its file."""
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_unix_connection(self.socket)
            try:
                writer.write(f"AUTH {self.password}\r\nPING\r\n".encode("ascii"))
                answers = [await asyncio.wait_for(reader.readline(), _ANSWER_WAIT_S) for _ in range(2)]
            finally:
                writer.close()
            return answers == [b"+OK\r\n", b"+PONG\r\n"]
        return False


def history_socket(directory: DataDirectory) -> Path:
    """The socket of the Valkey for the history."""
    return directory.sockets / "history.sock"


def cache_socket(directory: DataDirectory) -> Path:
    """The socket of the Valkey for the cache."""
    return directory.sockets / "cache.sock"


def history_valkey(directory: DataDirectory) -> Valkey:
    """The Valkey that keeps the conversations."""
    return _valkey(directory, "history", history_socket(directory), directory.secrets.history, _KEEPS)


def cache_valkey(directory: DataDirectory) -> Valkey:
    """The Valkey that keeps answers for a while."""
    return _valkey(directory, "cache", cache_socket(directory), directory.secrets.cache, _FORGETS)


def _valkey(directory: DataDirectory, name: str, socket: Path, password: str, settings: Mapping[str, str]) -> Valkey:
    return Valkey(
        name=f"Valkey for the {name}",
        log=directory.log(name),
        lock=directory.lock(name),
        folder=directory.root / name,
        socket=socket,
        password=password,
        settings=settings,
    )
