"""Locks between processes on files of an index. A lock ends with its holder, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def shared(path: Path) -> Generator[None]:
    """Hold a lock together with others who share it; waits for whoever holds it alone."""
    with _locked(path, exclusive=False):
        yield


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold a lock alone; waits for all others."""
    with _locked(path, exclusive=True):
        yield


@contextmanager
def exclusive_now(path: Path) -> Generator[bool]:
    """Hold a lock alone if nobody else holds it; says whether it is held."""
    descriptor = _open(path)
    try:
        try:
            _flock(descriptor, exclusive=True, wait=False)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path, *, exclusive: bool) -> Generator[None]:
    descriptor = _open(path)
    try:
        _flock(descriptor, exclusive=exclusive, wait=True)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _flock(descriptor: int, *, exclusive: bool, wait: bool) -> None:
    # Windows has no flock; there one server process a data directory is the operator's duty (docs/documents.md).
    if sys.platform != "win32":
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
