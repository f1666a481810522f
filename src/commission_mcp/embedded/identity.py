"""As whom PostgreSQL runs, which refuses to run as root."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from commission_mcp.embedded.launch import NOBODY, Identity, enter_user_namespace
from commission_mcp.errors import Code, Problem, Refused


def choose_identity() -> Identity:
    """The identity for PostgreSQL. Call it before there are threads: it tries user namespaces in a child process.

    Raises:
        Refused: with `E_PLATFORM` for root elsewhere than on Linux.
    """
    if os.geteuid() != 0:
        return Identity.SAME
    if sys.platform != "linux":
        raise Refused(Problem(Code.PLATFORM, "PostgreSQL does not run as root.", "Run this as an ordinary user."))
    return Identity.NAMESPACE if _namespaces_allowed() else Identity.NOBODY


def give_to(identity: Identity, folder: Path) -> None:
    """Let a folder and all in it belong to whom PostgreSQL runs as: the way of running may differ from last time's."""
    owner = NOBODY if identity is Identity.NOBODY else os.geteuid()
    group = NOBODY if identity is Identity.NOBODY else os.getegid()
    if folder.stat().st_uid == owner:
        return
    for parent, _, files in os.walk(folder, topdown=False):  # the folder itself last: it tells whether all is done
        for name in files:
            os.chown(Path(parent, name), owner, group, follow_symlinks=False)
        os.chown(parent, owner, group)


def _namespaces_allowed() -> bool:
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(OSError):
            enter_user_namespace()
            status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0
