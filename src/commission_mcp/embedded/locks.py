"""Exclusive locks on files, and ending the processes that hold one.

A lock belongs to an open file, not to a process: whoever inherits the descriptor holds it too, and it is free when
the last holder is gone, however it went. Each server inherits the lock of its own data, so a free lock proves that
nothing of an earlier server is running, and a lock that is held tells which processes to end: precise where a process
id may be stale.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_POLL_S = 0.02
_LSOF = "/usr/sbin/lsof"  # macOS has no /proc


@dataclass(frozen=True, slots=True)
class Ending:
    """One step of ending left-over processes.

    Attributes:
        signal: What to send.
        patience_s: How long to wait for them before the next step.
        only: Send to this process alone, and skip the step if it is not there.
    """

    signal: signal.Signals
    patience_s: float
    only: int | None = None


def try_lock(path: Path) -> int | None:
    """Lock a file, made if need be; None while somebody else holds it. Closing the descriptor gives it back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


async def lock_within(path: Path, patience_s: float) -> int | None:
    """Lock a file, waiting for its holder to go; None if it is still held after that time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience_s
    while True:
        descriptor = try_lock(path)
        if descriptor is not None or clock() > deadline:
            return descriptor
        await asyncio.sleep(_POLL_S)


async def lock_after_ending(path: Path, endings: Sequence[Ending]) -> int | None:
    """Lock a file; while it is held, end its holders, each step harsher than the one before."""
    descriptor = try_lock(path)
    for ending in endings:
        if descriptor is not None:
            break
        holding = await asyncio.to_thread(holders, path)
        targets = holding & {ending.only} if ending.only is not None else holding
        for process_id in targets:
            with suppress(ProcessLookupError):
                os.kill(process_id, ending.signal)
        if targets or not holding:
            descriptor = await lock_within(path, ending.patience_s)
    return descriptor


def holders(path: Path) -> frozenset[int]:
    """The other processes that have the file open."""
    found = _holders_by_proc(path) if sys.platform == "linux" else _holders_by_lsof(path)
    return frozenset(found - {os.getpid()})


def _holders_by_proc(path: Path) -> set[int]:
    found: set[int] = set()
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # a process that ended meanwhile, or is not ours to see
            if any(entry.readlink() == path for entry in descriptors.iterdir()):
                found.add(int(descriptors.parent.name))
    return found


def _holders_by_lsof(path: Path) -> set[int]:
    listing = subprocess.run([_LSOF, "-t", path], capture_output=True, text=True, check=False)  # noqa: S603 - fixed program
    return {int(line) for line in listing.stdout.split()}
