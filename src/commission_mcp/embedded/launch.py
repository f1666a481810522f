"""Become a server process: run as a script between fork and exec, so it imports nothing of this program.

`python -I -S launch.py '{"parent": 1, ...}' program argument...` limits the process, changes who it is, arranges for
it to die with its parent, and then becomes the program. It is a script and not a `preexec_fn`, which may deadlock in
a process with threads, and not `unshare` or `setpriv`, which small systems lack.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

if sys.platform != "win32":
    import resource

NOBODY = 65534
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


class Identity(StrEnum):
    """As whom a server runs. PostgreSQL refuses to run as root."""

    SAME = "same"  # as the user who runs this program
    NAMESPACE = "namespace"  # root, seen as nobody from inside a user namespace: files stay root's
    NOBODY = "nobody"  # really nobody, where namespaces are forbidden (Docker's default)


class Order(TypedDict):
    """What is to hold for the process."""

    parent: int  # the process that it must not outlive
    death_signal: int  # what it gets when the parent dies
    identity: str
    data_bytes_max: int  # of private memory; 0: no limit


def enter_user_namespace() -> None:
    """Be nobody in a user namespace of one's own, in which one's own files are nobody's."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1", encoding="ascii")


def become_nobody() -> None:
    """Be nobody, keeping of root's powers only to pass a folder of root's: the data may lie below a closed home."""
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    only = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)  # effective, permitted, inheritable; low and high halves
    _call("capset", header, sets)
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main() -> None:
    """Carry out the order in the first argument, and become the program in the others."""
    order: Order = json.loads(sys.argv[1])
    command = sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold rows and secrets
    if order["data_bytes_max"] and sys.platform == "linux":  # elsewhere it does not count what malloc takes
        resource.setrlimit(resource.RLIMIT_DATA, (order["data_bytes_max"], order["data_bytes_max"]))
    if order["identity"] == Identity.NAMESPACE:
        enter_user_namespace()
    elif order["identity"] == Identity.NOBODY:
        become_nobody()
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, order["death_signal"], 0, 0, 0)  # after the identity, which would clear it
    if os.getppid() != order["parent"]:
        sys.exit("the supervisor died before its server began")
    os.execv(command[0], command)  # noqa: S606 - becoming the program is the purpose


def _call(name: str, *arguments: object) -> None:
    """Call the C library; -1 is an error."""
    function: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


if __name__ == "__main__":
    main()
