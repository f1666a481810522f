"""Finding the settings: which of several values counts, where it came from, and all that is wrong at once.

The command line goes before the environment, the environment before the env file, and that before the default. In one
place, a setting's own name goes before its older one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import checks, levels, names
from commission_mcp.settings.addresses import assemble
from commission_mcp.settings.levels import COMMAND_LINE, DEFAULT, Found, Level
from commission_mcp.settings.model import Settings
from commission_mcp.settings.objections import objections, remarks


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings and how they came about.

    Attributes:
        settings: What counts.
        sources: Each setting, and where its value came from.
        warnings: What the operator wrote without effect, or probably meant otherwise.
    """

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[Problem, ...]


def load_settings(
    *,
    env_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """Read the settings from the command line, the environment and the env file.

    Args:
        env_file: The env file to read; without one, `.env` in the current directory, where there is one.
        environment: What to read instead of the environment of the process.
        overrides: Settings from the command line, by field name; None is not set.

    Raises:
        Refused: with `E_SETTING` and `E_SETTING_UNKNOWN`, naming everything that is wrong.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251 - the one reader of it
    home = _home(variables)
    chosen = {field: value for field, value in (overrides or {}).items() if value is not None}
    read, problems = _levels(variables, env_file, home)

    candidates = {field: [_candidates(field, level, read) for level in read] for field in names.FIELDS}
    # The places are gone through backwards, so that the one that counts most is written last.
    found = {field: values[0] for field, places in candidates.items() for values in places[::-1] if values}
    found |= {field: Found(_place(field, value, read[0]), COMMAND_LINE) for field, value in chosen.items()}
    found.setdefault("data_directory", Found(_data_directory(variables, home), DEFAULT))

    problems += [*objections(read, chosen), *(problem for value in found.values() for problem in value.problems)]
    settings = _validated(found, problems)
    if settings is None or problems:
        raise Refused(*problems)
    sources = {field: found[field].source if field in found else DEFAULT for field in names.FIELDS}
    return Loaded(settings, MappingProxyType(sources), tuple(remarks(read, candidates)))


# --- Finding values ---


def _levels(variables: Mapping[str, str], env_file: Path | None, home: Path) -> tuple[list[Level], list[Problem]]:
    """The places to read from, the one that counts first, and what keeps them from being read."""
    environment = levels.environment_level(variables, home)
    try:
        file = levels.env_file_level(env_file, home)
    except Refused as refused:
        return [environment], list(refused.problems)
    return [environment, *([file] if file else [])], []


def _candidates(field: str, level: Level, read: Sequence[Level]) -> list[Found]:
    """Every value that the setting is given in this level, the one that counts first."""
    finders = (_in_own_name, _in_file, _in_older_name, partial(_in_parts, read=read))
    return [found for finder in finders if (found := finder(field, level))]


def _in_own_name(field: str, level: Level) -> Found | None:
    return _written(field, names.own(field), level)


def _in_older_name(field: str, level: Level) -> Found | None:
    key = names.older(field)
    return _written(field, key, level) if key else None


def _written(field: str, key: str, level: Level) -> Found | None:
    if key not in level.values:
        return None
    return Found(_place(field, level.values[key], level), level.source(key))


def _in_file(field: str, level: Level) -> Found | None:
    key = names.secret_file(field)
    if key is None or key not in level.values:
        return None
    written = level.values[key]
    source = f"file {key}={written}"
    try:
        return Found(levels.secret(level.path(written)), source)
    except ValueError as error:
        problem = Problem(Code.SETTING, str(error), "Name a readable file that holds the secret.", level.source(key))
        return Found(None, source, (problem,))


def _in_parts(field: str, level: Level, *, read: Sequence[Level]) -> Found | None:
    return next((assemble(parts, level, read) for parts in names.PARTS if parts.field == field), None)


def _place(field: str, value: object, level: Level) -> object:
    """The value without blanks around it, unless it is secret; a relative path counts from where it is written."""
    if field in names.PATHS:
        return level.path(str(value).strip())
    return value.strip() if isinstance(value, str) and not names.secret_file(field) else value


def _home(variables: Mapping[str, str]) -> Path:
    try:
        return Path(variables.get("HOME") or Path.home())
    except RuntimeError:
        return Path("~")  # nobody's: a path in it is not absolute and will be refused, if one is needed


def _data_directory(variables: Mapping[str, str], home: Path, platform: str = sys.platform) -> Path:
    shared = Path(variables.get("XDG_DATA_HOME", ""))
    if shared.is_absolute():
        return shared / "commission-mcp"
    folder = "Library/Application Support" if platform == "darwin" else ".local/share"
    return home / folder / "commission-mcp"


# --- Making them settings ---


def _validated(found: Mapping[str, Found], problems: list[Problem]) -> Settings | None:
    """The settings, or None with what is wrong added to the problems.

    A value that is known to be wrong goes in as an object that no field accepts, so that no check is made against a
    default in its place.
    """
    values = {field: object() if value.problems else value.value for field, value in found.items()}
    try:
        return Settings.model_validate({field: value for field, value in values.items() if field in names.FIELDS})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    for detail in details:
        field = str(detail["loc"][0])
        known = field in found and found[field].problems
        if not known and detail["type"] != "default_factory_not_called":
            problems.append(_problem(field, detail, found))
    return None


def _problem(field: str, detail: ErrorDetails, found: Mapping[str, Found]) -> Problem:
    source = found[field].source if field in found else DEFAULT
    path = {COMMAND_LINE: f"{source} {field}", DEFAULT: f"{source} {names.own(field)}"}.get(source, source)
    context = detail.get("ctx", {})
    if detail["type"] == checks.UNUSABLE:
        return Problem(Code.SETTING, str(context["message"]), str(context["fix"]), path)
    return Problem(Code.SETTING, "The value cannot be used.", f"Set {expected(field)}.", path)


def expected(field: str) -> str:
    """What the setting takes, in a few words."""
    info = Settings.model_fields[field]
    least = next((mark.ge for mark in info.metadata if isinstance(mark, Ge)), None)
    most = next((mark.le for mark in info.metadata if isinstance(mark, Le)), None)
    if least is not None:
        return f"a whole number from {least} to {most}"
    if get_origin(info.annotation) is Literal:
        return f"one of: {', '.join(get_args(info.annotation))}"
    return "a path" if field in names.PATHS else "text"
