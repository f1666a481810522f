"""The data directory: what is in it, whether it is ours, and the secrets that were made for it.

```
layout.json      which layout, which PostgreSQL major, which program wrote it
secrets.json     the servers' passwords and the master secret; 0600, made once
postgres/        PostgreSQL's data              history/, cache/   each Valkey's settings, and what it keeps
logs/            one log a server               locks/             see locks.py
run/             the sockets, see sockets.py
```
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import cast

from commission_mcp import __version__
from commission_mcp.durable_files import open_private, sync_folder
from commission_mcp.embedded.binaries import POSTGRES_MAJOR
from commission_mcp.embedded.sockets import prepare, socket_directory
from commission_mcp.errors import Code, Problem, Refused

if sys.platform != "win32":
    import fcntl

LAYOUT = 1
_FOLDERS = ("logs", "locks", "history", "cache")
_SECRET_BYTES = 32
_FILE_BYTES_MAX = 10_000
_LOCK_TRIES, _LOCK_PAUSE_S = 1000, 0.01
_NOT_CONTENT = frozenset({"lost+found", ".DS_Store", ".new-layout.json", ".new-secrets.json"})
# What may be there before the servers first start: documents put there, and what `model fetch` and `index` have made.
_OTHER_PARTS = frozenset({"documents", "model", "index"})
_CHOOSE_ANOTHER = "Set COMMISSION_DATA_DIRECTORY to another directory"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made at random for one data directory; never shown."""

    postgres: str = field(repr=False)
    history: str = field(repr=False)
    cache: str = field(repr=False)
    master: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A data directory of ours, checked and ready to use."""

    root: Path
    sockets: Path
    secrets: Secrets

    @property
    def postgres(self) -> Path:
        """PostgreSQL's own data; absent until it was initialised completely."""
        return self.root / "postgres"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor listens."""
        return self.sockets / "supervisor.sock"

    def log(self, name: str) -> Path:
        """The log of a server, or of the supervisor."""
        return self.root / "logs" / f"{name}.log"

    def lock(self, name: str) -> Path:
        """The lock of a server, of the supervisor, or of starting one."""
        return self.root / "locks" / f"{name}.lock"


def claim(path: Path) -> DataDirectory:
    """Open a data directory, made if need be. Several processes may do so at once.

    Raises:
        Refused: with `E_DATA_DIRECTORY` where it cannot be used or holds somebody else's files, and with
            `E_DATA_DIRECTORY_NEWER` where another program version wrote it.
    """
    try:
        root = _own_folder(path)
        with _alone(root):
            _check_layout(root)
            for name in _FOLDERS:
                (root / name).mkdir(mode=0o700, exist_ok=True)
            found = _secrets_of(root)
        sockets = socket_directory(root)
        prepare(sockets)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unusable(path, f"cannot be used: {reason}.") from error
    return DataDirectory(root, sockets, found)


def _own_folder(path: Path) -> Path:
    """The folder by its real path, made if need be, of this user, closed to others."""
    root = path.absolute().resolve()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = root.stat()
    if found.st_uid != os.geteuid():
        raise _unusable(root, f"belongs to the user {found.st_uid}, not to the user {os.geteuid()} who runs this.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        root.chmod(0o700)
    if not os.access(root, os.W_OK | os.X_OK):
        raise _unusable(root, "is not writable.")
    return root


@contextmanager
def _alone(root: Path) -> Generator[None]:
    """No other process inspects or marks the directory meanwhile. The lock is the folder itself: it leaves no file."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        _lock_folder(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock_folder(descriptor: int) -> None:
    """Lock it. Others hold the lock for some milliseconds, unless they are frozen."""
    pause = threading.Event()
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause.wait(_LOCK_PAUSE_S)
        else:
            return
    raise TimeoutError(errno.ETIMEDOUT, "another process inspects it and does not end")


def _check_layout(root: Path) -> None:
    """Mark an empty directory as ours; refuse any other that is not."""
    mark = root / "layout.json"
    if mark.exists():
        _require_this_layout(root, _read_object(mark))
        return
    if {entry.name for entry in root.iterdir()} - _NOT_CONTENT - _OTHER_PARTS:
        raise _unusable(root, "is not empty, and not a data directory of this program.")
    _write_private(mark, {"layout": LAYOUT, "postgres_major": POSTGRES_MAJOR, "written_by": __version__})


def _require_this_layout(root: Path, found: dict[str, object]) -> None:
    layout, major, writer = (found.get(key) for key in ("layout", "postgres_major", "written_by"))
    if layout == LAYOUT and major == POSTGRES_MAJOR:
        return
    raise Refused(
        Problem(
            Code.DATA_DIRECTORY_NEWER,
            f"{root} was written by commission-mcp {writer} (layout {layout}, PostgreSQL {major}); this is"
            f" {__version__} (layout {LAYOUT}, PostgreSQL {POSTGRES_MAJOR}).",
            f"Run commission-mcp {writer} on it; to move the data, dump it there and restore it in a new directory.",
        )
    )


def _secrets_of(root: Path) -> Secrets:
    """The secrets of the directory, made at the first time."""
    path = root / "secrets.json"
    names = [known.name for known in fields(Secrets)]
    if not path.exists():
        if (root / "postgres").exists():  # its passwords are gone, and new ones would open nothing
            raise _unusable(root, "has lost its secrets.json.", f"Restore {path} from a backup")
        _write_private(path, asdict(Secrets(**{name: secrets.token_hex(_SECRET_BYTES) for name in names})))
    found = _read_object(path)
    if set(found) != set(names) or not all(isinstance(value, str) and value for value in found.values()):
        raise _unusable(root, "has a damaged secrets.json.", f"Restore {path} from a backup")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
    return Secrets(**{name: str(found[name]) for name in names})


def _read_object(path: Path) -> dict[str, object]:
    """A small JSON object."""
    with path.open("rb") as file:
        found: object = json.loads(file.read(_FILE_BYTES_MAX))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is damaged")  # noqa: TRY004 - a damaged file, not a programmer's type error
    return cast("dict[str, object]", found)


def _write_private(path: Path, content: dict[str, object]) -> None:
    """Write a file that is there completely or not at all, readable by this user only."""
    draft = path.with_name(f".new-{path.name}")
    with open(draft, "w", encoding="utf-8", opener=open_private) as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _unusable(path: Path, what: str, fix: str = _CHOOSE_ANOTHER) -> Refused:
    return Refused(
        Problem(Code.DATA_DIRECTORY, f"The data directory {path} {what}", f"{fix}.", "COMMISSION_DATA_DIRECTORY")
    )
