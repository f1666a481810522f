"""The embedded PostgreSQL: initialised once and completely or not at all, reached through a private socket only."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

from commission_mcp.durable_files import sync_folder
from commission_mcp.embedded import process
from commission_mcp.embedded.binaries import postgres_programs
from commission_mcp.embedded.directory import DataDirectory
from commission_mcp.embedded.identity import give_to
from commission_mcp.embedded.launch import Identity
from commission_mcp.embedded.locks import Ending, lock_after_ending
from commission_mcp.errors import Code, Problem, Refused

SUPERUSER = "cm_bootstrap"
DATABASE = "commission"
PORT = 5432  # only a part of the socket's name

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # Sized for a small machine.
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "256MB",
    "huge_pages": "off",
    "jit": "off",
    "fsync": "on",
    "wal_level": "replica",
    "max_wal_senders": "5",
    # The same question gets the same answer, in the same order, wherever it is asked.
    "timezone": "UTC",
    "synchronize_seqscans": "off",
    # No statement, value or row goes to the log: what a client does wrong is told to the client.
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
}
_ACCESS = "local all all scram-sha-256\n"
_INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",  # of the C library, which has C.UTF-8 on some systems only; nothing sorts or folds by it
    "--no-sync",  # all is synchronised at once, before the rename
    "--no-instructions",
)
_SINGLE_USER_OPTIONS = ("-F", "-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres")
_FIRST_STATEMENTS = "".join(
    f"{statement};\n"  # one a line: that is how single-user mode reads them
    for statement in (
        f"CREATE DATABASE {DATABASE}",
        "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC",
    )
)
_BACKEND_BYTES_MAX = 1024**3
_FREE_BYTES_MIN = 200_000_000  # for a first start: an empty server takes 60 MB, and its log of changes grows
_READY_WAIT_S = 120.0  # recovery after a crash replays at most max_wal_size
_FAST_S, _IMMEDIATE_S = 20.0, 6.0  # at an immediate stop PostgreSQL itself kills after 5 s
_ORPHANS_S, _KILLED_S = 2.0, 5.0


class Postgres:
    """The PostgreSQL of a data directory."""

    name = "PostgreSQL"

    def __init__(self, directory: DataDirectory, identity: Identity) -> None:
        self._directory = directory
        self._identity = identity
        self._programs = postgres_programs()
        self._log = directory.log("postgres")

    async def start(self) -> Process:
        """Start it, after initialising it if need be; it takes connections when this returns.

        Raises:
            Refused: with `E_SERVER_START`.
        """
        lock = await self._lock()
        try:
            if not self._directory.postgres.exists():
                await self._initialise(lock)
            give_to(self._identity, self._directory.postgres)
            self._remove_remains()
            started = await process.begin(self._job(self._server_command(), self._directory.postgres, lock))
        finally:
            os.close(lock)
        ready = False
        try:
            ready = await process.ready_within(started, self._ready, _READY_WAIT_S)
        finally:
            if not ready:
                await self.stop(started)
        if not ready:
            raise process.not_started(self.name, self._log)
        return started

    async def stop(self, started: Process) -> None:
        """Stop it: roll back what runs, write everything down, and go."""
        await process.end(started, (signal.SIGINT, _FAST_S), (signal.SIGQUIT, _IMMEDIATE_S))

    async def _lock(self) -> int:
        """The lock of the data, when no process of an earlier server is left."""
        path = self._directory.lock("postgres")
        postmaster = self._postmaster_line(0)
        lock = await lock_after_ending(
            path,
            (
                Ending(signal.SIGINT, _FAST_S, only=int(postmaster) if postmaster.isdecimal() else 0),
                Ending(signal.SIGQUIT, _ORPHANS_S),
                Ending(signal.SIGKILL, _KILLED_S),
            ),
        )
        if lock is None:
            raise process.not_started(self.name, self._log, "of an earlier start does not end")
        return lock

    async def _initialise(self, lock: int) -> None:
        """Make the data beside its place, and rename it when it is complete and on disk."""
        draft = self._directory.root / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._require_space()
        draft.mkdir(mode=0o700)
        password = draft / "password"
        password.touch(mode=0o600)
        password.write_text(self._directory.secrets.postgres, encoding="ascii")
        data = draft / "data"
        data.mkdir(mode=0o700)
        give_to(self._identity, data)
        await self._run(lock, draft, (self._programs / "initdb", "-D", data, f"--pwfile={password}", *_INITDB_OPTIONS))
        (data / "pg_hba.conf").write_text(_ACCESS, encoding="ascii")
        await self._run(
            lock,
            draft,
            (self._programs / "postgres", "--single", "-D", data, *_SINGLE_USER_OPTIONS),
            sent=_FIRST_STATEMENTS,
        )
        await asyncio.to_thread(os.sync)
        data.rename(self._directory.postgres)
        sync_folder(self._directory.root)
        shutil.rmtree(draft, ignore_errors=True)

    async def _run(self, lock: int, folder: Path, command: tuple[str | Path, ...], sent: str | None = None) -> None:
        job = self._job(command, folder, lock, signal.SIGKILL)
        if await process.run(job, sent=sent) != 0:
            raise process.not_started(self.name, self._log, "could not be initialised")

    def _job(
        self, command: tuple[str | Path, ...], folder: Path, lock: int, death: signal.Signals = signal.SIGINT
    ) -> process.Job:
        return process.Job(command, folder, self._log, death, self._identity, lock, _BACKEND_BYTES_MAX)

    def _server_command(self) -> tuple[str | Path, ...]:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._directory.sockets)}
        arguments = (argument for name, value in settings.items() for argument in ("-c", f"{name}={value}"))
        return (self._programs / "postgres", "-D", self._directory.postgres, *arguments)

    def _require_space(self) -> None:
        free = shutil.disk_usage(self._directory.root).free
        if free < _FREE_BYTES_MIN:
            raise Refused(
                Problem(
                    Code.DATA_DIRECTORY,
                    f"{self._directory.root} has {free // 10**6} MB of free disk space.",
                    f"Free {_FREE_BYTES_MIN // 10**6} MB, or set COMMISSION_DATA_DIRECTORY to one on another disk.",
                )
            )

    def _remove_remains(self) -> None:
        """Remove what a killed server left. The lock proves that it is gone; its process id may be another's by now."""
        name = f".s.PGSQL.{PORT}"
        for path in (
            self._directory.postgres / "postmaster.pid",
            self._directory.sockets / name,
            self._directory.sockets / f"{name}.lock",
        ):
            path.unlink(missing_ok=True)

    async def _ready(self) -> bool:
        return self._postmaster_line(-1) == "ready"

    def _postmaster_line(self, index: int) -> str:
        """A line of postmaster.pid: the first is the process, the last says how far it is."""
        with suppress(OSError, IndexError):
            return (self._directory.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()[index].strip()
        return ""
