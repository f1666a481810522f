"""Starting and ending a server process, its log, and what to say when it did not start."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from commission_mcp.embedded import launch
from commission_mcp.errors import Code, Problem, Refused

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}
"""All that a server gets to see of the environment."""

_LOG_BYTES_MAX = 1_000_000
_READY_POLL_S = 0.005
_TAIL_BYTES = 600
_TAIL_LINES = 3
_FREE_BYTES_MIN = 64_000_000
_KILL_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A program to run for one server.

    Attributes:
        command: The program, by its full path, and its arguments.
        folder: Where it runs.
        log: Where its output goes.
        death_signal: What it gets if the supervisor dies.
        identity: As whom it runs.
        lock: The server's lock, which the process and all its children hold.
        data_bytes_max: Of private memory, for each of its processes; 0: no limit.
    """

    command: Sequence[str | Path]
    folder: Path
    log: Path
    death_signal: signal.Signals
    identity: launch.Identity
    lock: int
    data_bytes_max: int = 0


async def begin(job: Job, *, takes_input: bool = False) -> Process:
    """Start the program of a job.

    Call it on the main thread only: the kernel takes the death of the *thread* that started a process for its parent's.
    """
    order: launch.Order = {
        "parent": os.getpid(),
        "death_signal": job.death_signal,
        "identity": job.identity,
        "data_bytes_max": job.data_bytes_max,
    }
    with open_log(job.log) as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launch.__file__, json.dumps(order), *job.command),
            cwd=job.folder,
            env=ENVIRONMENT,
            stdin=asyncio.subprocess.PIPE if takes_input else asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(job.lock,),
        )


async def run(job: Job, *, sent: str | None = None) -> int:
    """Run a program to its end, with this text as its input; the exit status."""
    process = await begin(job, takes_input=sent is not None)
    try:
        await process.communicate(None if sent is None else sent.encode())
    except BaseException:
        await kill(process)
        raise
    return process.returncode or 0


async def ready_within(process: Process, ready: Callable[[], Awaitable[bool]], wait_s: float) -> bool:
    """Wait until a server is ready; False if it ended instead, or takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            while process.returncode is None:
                if await ready():
                    return True
                await asyncio.sleep(_READY_POLL_S)
    return False


async def end(process: Process, *steps: tuple[signal.Signals, float]) -> None:
    """Ask a process to end, step by step, each with its patience in seconds; at last kill it."""
    for number, patience_s in steps:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience_s)
    await kill(process)


async def kill(process: Process) -> None:
    """End a process at once, and wait until it is gone."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _KILL_WAIT_S)


@contextmanager
def open_log(path: Path) -> Generator[int]:
    """Open a log to append to; a large one is put aside first, and only one such is kept."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES_MAX:
            path.replace(path.with_suffix(".old.log"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def not_started(name: str, log: Path, what: str = "did not start") -> Refused:
    """The refusal for a server that does not run, with the end of its log."""
    tail = log_tail(log)
    full = "No space left" in tail or shutil.disk_usage(log.parent).free < _FREE_BYTES_MIN
    fix = f"Free disk space for {log.parent.parent}" if full else f"Read {log}, remove the cause"
    said = f" Its log ends: {tail}" if tail else ""
    return Refused(Problem(Code.SERVER_START, f"The embedded {name} {what}.{said}", f"{fix}, and start again."))


def log_tail(log: Path) -> str:
    """The last lines of a log. No server writes statements, values or passwords into it."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(-min(_TAIL_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
        lines = file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_TAIL_LINES:])
    return ""
