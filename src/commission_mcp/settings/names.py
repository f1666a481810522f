"""The names that an operator may write: the settings' own, those of the older dashboard, and what is near to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from commission_mcp.settings import checks, urls
from commission_mcp.settings.model import PREFIX, Confidential, Older, Settings

_Mark = TypeVar("_Mark")


@dataclass(frozen=True, slots=True)
class Parts:
    """Older names that together are one address.

    Attributes:
        field: The setting that they stand for.
        keys: Each part of the address and its name; the host's presence decides whether the rest counts.
        build: Puts the parts together.
    """

    field: str
    keys: Mapping[str, str]
    build: Callable[[Mapping[str, str]], str]


def _parts(field: str, prefix: str, names: str, build: Callable[[Mapping[str, str]], str]) -> Parts:
    return Parts(field, MappingProxyType({name: f"{prefix}{name.upper()}" for name in names.split()}), build)


def marked(field: str, kind: type[_Mark]) -> _Mark | None:
    """The mark of this kind that the setting carries."""
    return next((mark for mark in Settings.model_fields[field].metadata if isinstance(mark, kind)), None)


def own(field: str) -> str:
    """The setting's own name."""
    return f"{PREFIX}{field.upper()}"


def older(field: str) -> str | None:
    """The setting's name in the older dashboard's `.env`."""
    mark = marked(field, Older)
    return mark.name if mark else None


def secret_file(field: str) -> str | None:
    """The name that holds the path of a file with the value, where the setting is a secret."""
    return f"{own(field)}_FILE" if marked(field, Confidential) else None


PARTS = (
    _parts("postgres_url", "DB_", "host port name user password", urls.postgres),
    _parts("redis_url", "REDIS_", "host port password db ssl", urls.redis),
)
# The older dashboard could switch its filtering off. There is no unfiltered path here, so only one value is true.
PROMISES: Mapping[str, str] = MappingProxyType(
    {"CLIENT_DATA_ISOLATION": "strict", "ENABLE_CLIENT_FILTERING": "true", "CLIENT_FILTERING_ENABLED": "true"}
)
WITHOUT_EFFECT = "FLASK_"
# The Python client's names, and the suite's own switches, stand in the same environment.
_NOT_OURS = (f"{PREFIX}MCP_", f"{PREFIX}TEST_")

FIELDS = tuple(Settings.model_fields)
PATHS = frozenset(field for field, info in Settings.model_fields.items() if info.annotation is Path)
OWN = frozenset(name for field in FIELDS for name in (own(field), secret_file(field)) if name)
OLDER = frozenset(
    [
        *(name for field in FIELDS if (name := older(field))),
        *(key for parts in PARTS for key in parts.keys.values()),
        *PROMISES,
    ]
)
_LIKENESS = 0.75


def is_unknown(key: str) -> bool:
    """Whether the key claims to be a setting of this program, and is none."""
    return key.upper().startswith(PREFIX) and key not in OWN and not key.startswith(_NOT_OURS)


def resembles_older(key: str) -> bool:
    """Whether the key is nearly, but not quite, one of the older names."""
    return key not in OLDER and checks.nearest(key.upper(), OLDER, likeness=_LIKENESS) is not None


def suggestion(key: str) -> str | None:
    """The name that was probably meant; prefixes are left out of the comparison, as every name shares them."""
    bare = {name.removeprefix(PREFIX): name for name in sorted(OLDER | OWN)}
    near = checks.nearest(key.upper().removeprefix(PREFIX), bare)
    return bare[near] if near else None
