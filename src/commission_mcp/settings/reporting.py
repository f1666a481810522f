"""Showing the settings: what counts and where it came from, and the reference of all there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from commission_mcp.settings import names, urls
from commission_mcp.settings.loading import Loaded, expected
from commission_mcp.settings.model import Settings, Shown
from commission_mcp.settings.replicas import ReplicaUrls

NOT_SET = "not set"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as it may be shown to anyone who may see the program's output."""

    name: str
    value: str
    source: str


def describe(loaded: Loaded) -> tuple[Row, ...]:
    """Every setting with its value, secrets masked, and where the value came from."""
    return tuple(
        Row(names.own(field), shown(getattr(loaded.settings, field)), loaded.sources[field]) for field in names.FIELDS
    )


def shown(value: object) -> str:
    """A setting's value in words, without any secret in it."""
    if value is None:
        return NOT_SET
    if isinstance(value, SecretStr):
        return urls.masked(value.get_secret_value())
    if isinstance(value, ReplicaUrls):
        return _replicas(value)
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, cast("frozenset[object]", value)))) or NOT_SET
    return str(value)


def reference() -> str:
    """The tables of `docs/configuration.md`, in Markdown."""
    settings = [_row(field) for field in names.FIELDS]
    fixed = [(f"`{key}`", f"`{only}`") for key, only in names.PROMISES.items()]
    return "\n".join(
        [
            *_table(("Name", "Older name", "Default", "Meaning"), settings),
            "",
            *_table(("Name", "The only value"), fixed),
        ]
    )


def _replicas(replicas: ReplicaUrls) -> str:
    default = [f"default: {shown(replicas.default)}"] if replicas.default else []
    return "; ".join([*default, *(f"{client}: {shown(url)}" for client, url in replicas.by_client)]) or NOT_SET


def _row(field: str) -> tuple[str, ...]:
    info = Settings.model_fields[field]
    takes = expected(field)
    limits = f" Takes {takes}." if takes.startswith(("a whole", "one of")) else ""
    keys = [names.own(field), *([key] if (key := names.secret_file(field)) else [])]
    return (_code(keys), _code(_older(field)), _default(field), f"{info.description}{limits}")


def _older(field: str) -> list[str]:
    parts = [key for group in names.PARTS if group.field == field for key in group.keys.values()]
    return [*([key] if (key := names.older(field)) else []), *parts]


def _default(field: str) -> str:
    if mark := names.marked(field, Shown):
        return mark.default
    value = shown(Settings.model_fields[field].default)
    return value if value == NOT_SET else f"`{value}`"


def _code(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
