"""Where the client finds its server: from arguments, a file of the user's, and the environment.

An argument goes before the file, and the file before the environment. A token that stands beside a URL is sent to
that URL only; one that stands alone is sent to whichever URL counts.
"""

from __future__ import annotations

import os
import shlex
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias, cast

from commission_mcp.client.failures import SettingsError

PREFIX = "COMMISSION_MCP_"
CLIENT_ID = "COMMISSION_CLIENT_ID"
Token: TypeAlias = str | Callable[[], str]
Place: TypeAlias = Mapping[str, Any]

_NAMES = frozenset({"url", "token", "token_file", "command", "client_id", "timeout_s", "retries"})
_SERVERS = ("url", "command", "server")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What the client works with.

    Attributes:
        url: The server's address, for streamable HTTP.
        token: The bearer token for it, or what gives one for each request.
        command: The program to start, for stdio, with its arguments.
        server: An MCP server object of this process.
        client_id: The client (tenant) to ask about, where the server does not know it by the token.
        timeout_s: Seconds without an answer or progress after which a call is given up.
        retries: How often a read is tried again when the server cannot be reached.
    """

    url: str | None = None
    token: Token | None = field(default=None, repr=False)
    command: tuple[str, ...] | None = None
    server: Any = None
    client_id: str | None = None
    timeout_s: float = 60.0
    retries: int = 2


def find_settings(
    given: Place, config_file: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> ClientSettings:
    """The settings from what was given, the file, and the environment.

    Without a server anywhere, it is one of this installation's own on the user's data directory, over stdio.

    Args:
        given: The arguments; None is not given.
        config_file: The file to read instead of `client.toml` in the user's configuration directory.
        environment: What to read instead of the environment of the process.

    Raises:
        SettingsError: something cannot be used.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251 - the client's own settings
    arguments = {name: value for name, value in given.items() if value is not None}
    places = [arguments, _file(config_file, variables), _environment(variables)]
    found = _server(places)
    for place in reversed(places):
        found |= {name: place[name] for name in ("client_id", "timeout_s", "retries") if name in place}
    return ClientSettings(
        url=found.get("url"),
        token=found.get("token"),
        command=_command(found.get("command")),
        server=found.get("server"),
        client_id=found.get("client_id"),
        timeout_s=_number(found, "timeout_s", 0.001),
        retries=int(_number(found, "retries", 0)),
    )


def _server(places: Sequence[Place]) -> dict[str, Any]:
    """The server that the first place names, with the token that is meant for it."""
    chosen = next((place for place in places if any(name in place for name in _SERVERS)), None)
    if chosen is None:
        return {"command": (sys.executable, "-m", "commission_mcp", "serve")}
    named = [name for name in _SERVERS if name in chosen]
    if len(named) > 1:
        raise SettingsError(f"{' and '.join(named)} were given together; give one of them")
    found: dict[str, Any] = {named[0]: chosen[named[0]]}
    if named[0] == "url":
        found["url"] = _url(chosen["url"])
        found["token"] = _token([place for place in places if place.get("url", chosen["url"]) == chosen["url"]])
    return found


def _url(url: object) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise SettingsError(f"{url!r} is no address of a server; write https://host/mcp")
    return url


def _token(places: Sequence[Place]) -> Token | None:
    for place in places:
        if place.get("token"):
            return cast("Token", place["token"])
        if place.get("token_file"):
            return _secret(Path(place["token_file"]).expanduser())
    return None


def _secret(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"the token file {file} cannot be read: {error.strerror}") from None


def _command(command: object) -> tuple[str, ...] | None:
    if command is None:
        return None
    parts = shlex.split(command) if isinstance(command, str) else [str(part) for part in cast("Sequence[Any]", command)]
    if not parts:
        raise SettingsError("the command is empty")
    return tuple(parts)


def _number(found: Mapping[str, Any], name: str, least: float) -> float:
    default = next(known.default for known in fields(ClientSettings) if known.name == name)
    try:
        number = float(found.get(name, default))
    except (TypeError, ValueError):
        number = least - 1
    if not number >= least:
        raise SettingsError(f"{name} must be a number of at least {least:g}")
    return number


def _environment(variables: Mapping[str, str]) -> Place:
    place = {name: variables[key] for name in _NAMES if variables.get(key := f"{PREFIX}{name.upper()}")}
    if variables.get(CLIENT_ID):
        place["client_id"] = variables[CLIENT_ID]
    return place


def _file(config_file: str | Path | None, variables: Mapping[str, str]) -> Place:
    asked_for = config_file or variables.get(f"{PREFIX}CONFIG_FILE")
    folder = variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME") or Path.home()) / ".config"
    path = Path(asked_for).expanduser() if asked_for else Path(folder) / "commission-mcp" / "client.toml"
    try:
        place = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if not asked_for:
            return {}
        raise SettingsError(f"there is no file {path}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    unknown = sorted(set(place) - _NAMES)
    if unknown:
        raise SettingsError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_NAMES))}")
    return place
