"""The entries that MCP hosts want in their configuration, and where Claude Desktop keeps its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from commission_mcp.errors import Code, Problem, Refused

NAME = "commission"
"""The name of the entry in a host's configuration."""

_TOKEN = "COMMISSION_TOKEN"  # noqa: S105 - the name of a variable


class Host(StrEnum):
    """The hosts for which an entry can be written."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"


class Variant(StrEnum):
    """Where host and server run."""

    NATIVE = "native"  # both on this system
    WSL2 = "wsl2"  # the host on Windows, the server in WSL2
    WINDOWS = "windows"  # both on Windows, with PostgreSQL and Redis elsewhere


@dataclass(frozen=True, slots=True)
class Launch:
    """How a host starts the server.

    Attributes:
        command: The program, by its absolute path.
        arguments: Its arguments.
        variables: The environment that it gets besides the host's.
    """

    command: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


def native_launch(data_directory: Path, client_id: str, roles: str | None = None) -> Launch:
    """The server of this installation on a data directory."""
    variables = {"COMMISSION_CLIENT_ID": client_id, "COMMISSION_DATA_DIRECTORY": str(data_directory)}
    return Launch(
        sys.executable,
        ("-m", "commission_mcp", "serve"),
        variables | ({"COMMISSION_ROLES": roles} if roles else {}),
    )


def wsl2_launch(native: Launch, distribution: str | None = None) -> Launch:
    """The same server for a host on Windows. WSL hands no variables over, so they stand in the command."""
    chosen = ("-d", distribution) if distribution else ()
    variables = tuple(f"{name}={value}" for name, value in native.variables.items())
    return Launch("wsl.exe", (*chosen, "--", "env", *variables, native.command, *native.arguments))


def windows_launch(client_id: str, roles: str | None = None) -> Launch:
    """A server on Windows, where nothing is embedded; the addresses and the secret are read from files."""
    folder = "C:\\commission"
    variables = {
        "COMMISSION_CLIENT_ID": client_id,
        "COMMISSION_DATA_DIRECTORY": f"{folder}\\data",
        "COMMISSION_POSTGRES_URL_FILE": f"{folder}\\postgres-url.txt",
        "COMMISSION_REDIS_URL_FILE": f"{folder}\\redis-url.txt",
        "COMMISSION_MASTER_SECRET_FILE": f"{folder}\\master-secret.txt",
    }
    program = f"{folder}\\.venv\\Scripts\\commission-mcp.exe"
    return Launch(program, ("serve",), variables | ({"COMMISSION_ROLES": roles} if roles else {}))


def started_entry(host: Host, launch: Launch) -> dict[str, Any]:
    """The configuration of a host that starts the server."""
    entry: dict[str, Any] = {"command": launch.command, "args": list(launch.arguments)}
    if launch.variables:
        entry["env"] = dict(launch.variables)
    typed = {"type": "stdio", **entry}
    return {
        Host.CLAUDE_DESKTOP: {"mcpServers": {NAME: entry}},
        Host.CLAUDE_CODE: {"mcpServers": {NAME: typed}},
        Host.VSCODE: {"servers": {NAME: typed}},
        Host.CURSOR: {"mcpServers": {NAME: entry}},
    }[host]


def reached_entry(host: Host, url: str) -> dict[str, Any]:
    """The configuration of a host that reaches the server over HTTP; no token stands in it.

    Raises:
        Refused: with `E_ARGUMENT` for Claude Desktop, which adds such servers in its settings.
    """
    if host is Host.CLAUDE_DESKTOP:
        raise Refused(
            Problem(
                Code.ARGUMENT,
                "Claude Desktop takes a server with an address as a connector, not in this file.",
                f"Add {url} in its settings under Connectors.",
                "--url",
            )
        )
    if host is Host.VSCODE:
        asked = {"type": "promptString", "id": "commission-token", "description": "Token", "password": True}
        headers = {"Authorization": "Bearer ${input:commission-token}"}
        return {"inputs": [asked], "servers": {NAME: {"type": "http", "url": url, "headers": headers}}}
    variable = f"${{{_TOKEN}}}" if host is Host.CLAUDE_CODE else f"${{env:{_TOKEN}}}"
    entry: dict[str, Any] = {"url": url, "headers": {"Authorization": f"Bearer {variable}"}}
    return {"mcpServers": {NAME: {"type": "http", **entry} if host is Host.CLAUDE_CODE else entry}}


PLACES: Mapping[Host, str] = MappingProxyType(
    {
        Host.CLAUDE_DESKTOP: "claude_desktop_config.json (Settings, Developer, Edit Config), then restart it",
        Host.CLAUDE_CODE: ".mcp.json in the project, or: claude mcp add-json commission '<the object of the entry>'",
        Host.VSCODE: ".vscode/mcp.json in the workspace, or the user's mcp.json (MCP: Open User Configuration)",
        Host.CURSOR: ".cursor/mcp.json in the project, or ~/.cursor/mcp.json",
    }
)
"""Where the entry goes."""


def claude_desktop_config(home: Path, platform: str = sys.platform) -> Path:
    """Where Claude Desktop keeps its configuration, for the user of this home."""
    folders = {"darwin": "Library/Application Support/Claude", "win32": "AppData/Roaming/Claude"}
    return home / folders.get(platform, ".config/Claude") / "claude_desktop_config.json"


def entry_problems(
    config: Path, client_exists: Callable[[str], bool] | None = None, *, known: Callable[[str], bool]
) -> tuple[list[str], list[Problem]]:
    """The entries of this program in a host's configuration, and what is wrong with them.

    Args:
        config: The file.
        client_exists: Whether there is a client of that id; left out where that cannot be known.
        known: Whether a variable is a setting of this program, or nobody's.
    """
    try:
        content = json.loads(config.read_text("utf-8"))
    except OSError as error:
        return [], [_entry_problem(f"{config} cannot be read: {error.strerror}.", "Let this user read it.")]
    except ValueError as error:
        return [], [_entry_problem(f"{config} is not JSON: {error}.", "Mend it there; the host ignores it as it is.")]
    servers = _objects(_objects(content).get("mcpServers"))
    ours = {name: _objects(entry) for name, entry in servers.items() if "commission" in json.dumps(entry)}
    problems: list[Problem] = []
    for name, entry in ours.items():
        problems += _faults(name, entry, client_exists, known)
    return list(ours), problems


def _faults(
    name: str,
    entry: Mapping[str, Any],
    client_exists: Callable[[str], bool] | None,
    known: Callable[[str], bool],
) -> list[Problem]:
    command = str(entry.get("command", ""))
    variables = _objects(entry.get("env"))
    problems: list[Problem] = []
    if not Path(command).is_absolute() and command != "wsl.exe":
        fix = "Write its absolute path: hosts start programs from elsewhere, with another PATH."
        problems.append(_entry_problem(f"`{name}`: {command!r} is no absolute path.", fix))
    elif Path(command).is_absolute() and not Path(command).is_file():
        problems.append(
            _entry_problem(f"`{name}`: there is no program {command}.", "Run `commission-mcp host-config`.")
        )
    for variable in variables:
        if not known(variable):
            fix = "See docs/configuration.md; the server refuses to start with it."
            problems.append(_entry_problem(f"`{name}`: {variable} is no setting.", fix))
    client = variables.get("COMMISSION_CLIENT_ID")
    if client and client_exists is not None and not client_exists(str(client)):
        fix = "`commission-mcp client list` shows the clients."
        problems.append(_entry_problem(f"`{name}`: there is no client {client!r}.", fix))
    return problems


def _objects(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _entry_problem(message: str, fix: str) -> Problem:
    return Problem(Code.SETTING, message, fix, "host entry")
