"""Where the unix sockets of a data directory are: the same place for every process, and nobody else's."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from commission_mcp.errors import Code, Problem, Refused

_BYTES_MAX = 103  # of a socket's path: macOS allows 103, Linux 107
_LONGEST_NAME = "/.s.PGSQL.5432"
_PLAIN = re.compile(r"[A-Za-z0-9._/+@-]+")  # needs no quoting in any server's settings
_MODE = 0o700


def socket_directory(root: Path) -> Path:
    """The folder for the sockets of a data directory.

    It is inside, unless the path is too long for a socket or would need quoting. The other place must not depend on the
    environment (`TMPDIR`, `XDG_RUNTIME_DIR`): a desktop application and a shell would not find each other.
    """
    inside = root / "run"
    if len(os.fsencode(inside)) + len(_LONGEST_NAME) <= _BYTES_MAX and _PLAIN.fullmatch(str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return Path(f"/tmp/cm-{os.geteuid()}-{digest}")  # noqa: S108 - owner and mode are checked below


def prepare(folder: Path) -> None:
    """Make the folder, for this user only.

    Raises:
        Refused: with `E_DATA_DIRECTORY` if somebody else was there first.
    """
    folder.mkdir(mode=_MODE, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(
            Problem(
                Code.DATA_DIRECTORY,
                f"{folder}, where the servers' sockets go, is not a folder of the user {os.geteuid()}.",
                f"Remove {folder}, or choose a data directory with a shorter path: its sockets are then inside it.",
            )
        )
    if stat.S_IMODE(found.st_mode) != _MODE:
        folder.chmod(_MODE)
