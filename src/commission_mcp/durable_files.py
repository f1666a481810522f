"""Files that are there wholly or not at all, after a power failure too, and open to this user alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, bring it to the disk, and put it in place of the old one.

    Raises:
        OSError: when that fails; the old file is as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with open(draft, "wb", opener=open_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was named or renamed in a folder survive a power failure.

    Raises:
        OSError: when the disk does not take it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: str, flags: int) -> int:
    """An `opener` for `open`: what it makes has mode 0600."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
