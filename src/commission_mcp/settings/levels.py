"""The places that settings are read from: the process environment, an env file, and files that hold one secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from commission_mcp.errors import Code, Problem, Refused

COMMAND_LINE = "command line"
DEFAULT = "default"

_SECRET_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Found:
    """A value, where it was found, and what is already known to be wrong with it."""

    value: object
    source: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """One place where names have values.

    Attributes:
        keys: All names that are written here.
        values: Those with a value, and the value as written; an empty one counts as none.
        label: What stands before a name to say that it is found here.
        base: Where relative paths begin.
        home: What ``~`` means.
        shared: Whether other programs keep their names here too.
    """

    keys: tuple[str, ...]
    values: Mapping[str, str]
    label: str
    base: Path
    home: Path
    shared: bool

    def source(self, key: str) -> str:
        """Where a value comes from, as the operator would say it."""
        return f"{self.label}{key}"

    def path(self, text: str) -> Path:
        """The path that a value means here."""
        first, _, rest = text.partition("/")
        if first.startswith("~"):
            return self.home / rest if first == "~" else Path(text)  # another user's home is not looked up
        return self.base / text


def environment_level(environment: Mapping[str, str], home: Path) -> Level:
    """The environment of the process."""
    return Level(tuple(environment), _set(environment), "environment ", Path.cwd(), home, shared=True)


def env_file_level(explicit: Path | None, home: Path) -> Level | None:
    """The env file that was asked for, or the current directory's, if there is one.

    Raises:
        Refused: with `E_SETTING` when it cannot be read.
    """
    file = explicit or Path(".env")
    if explicit is None and not file.is_file():
        return None
    values = {binding.key: binding.value or "" for binding in _bindings(file) if binding.key}
    return Level(tuple(values), _set(values), f"{file}:", Path.cwd() / file.parent, home, shared=False)


def secret(file: Path) -> str:
    """What the file holds, without the line end that editors add.

    Raises:
        ValueError: It cannot be read or holds nothing; the words are fit to be shown.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_SECRET_BYTES_MAX + 1)
        text = content.decode()
    except OSError as error:
        raise ValueError(f"The file cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ValueError("The file is not text in UTF-8.") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if len(content) > _SECRET_BYTES_MAX or not text.strip():
        raise ValueError("The file is empty." if content.strip() == b"" else "The file is too long for a secret.")
    return text


def _set(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value.strip()}


def _bindings(file: Path) -> list[Binding]:
    """The file's lines; no variables are expanded in them, as a password may look like one."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except OSError as error:
        raise Refused(_unreadable(file, f"The file cannot be read: {error.strerror}.")) from None
    except ValueError:
        raise Refused(_unreadable(file, "The file is not text in UTF-8.")) from None
    faulty = [_line(binding) for binding in bindings if binding.error]
    if faulty:
        fix = "Write NAME=value, with quotes around a value that holds spaces or #."
        raise Refused(*(Problem(Code.SETTING, "The line is no setting.", fix, f"{file}:line {n}") for n in faulty))
    return bindings


def _line(binding: Binding) -> int:
    """The line that the setting itself begins on; the parser counts from the blank lines before it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")


def _unreadable(file: Path, message: str) -> Problem:
    return Problem(Code.SETTING, message, "Name an env file that exists, or leave it out.", str(file))
