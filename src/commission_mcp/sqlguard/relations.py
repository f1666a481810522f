"""The relations that statements may read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType


class Relations:
    """The exposed tables and views with their columns; everything else does not exist for the guard.

    Args:
        relations: ``{"schema.table": {"column": "type"}}``. All schemas named count as in the search path, so a table
        is found by its bare name too; the first one wins where two schemas have it.
    """

    __slots__ = ("_by_name", "_columns", "column_names")

    _columns: Mapping[str, Mapping[str, str]]
    _by_name: Mapping[str, str]
    column_names: frozenset[str]

    def __init__(self, relations: Mapping[str, Mapping[str, str]]) -> None:
        by_name: dict[str, str] = {}
        for qualified in relations:
            schema, _, table = qualified.partition(".")
            if not schema or not table:
                raise ValueError(f"{qualified!r} is not schema.table")
            by_name.setdefault(table, qualified)
        set_once = object.__setattr__
        set_once(self, "_by_name", MappingProxyType(by_name))
        set_once(self, "_columns", MappingProxyType({k: MappingProxyType(dict(v)) for k, v in relations.items()}))
        set_once(self, "column_names", frozenset(name for columns in relations.values() for name in columns))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: relations do not change once made."""
        raise AttributeError(f"Relations are frozen; cannot set {name}")

    def find(self, schema: str | None, table: str) -> str | None:
        """The full name ``schema.table`` of an exposed relation, or None."""
        if schema is None:
            return self._by_name.get(table)
        qualified = f"{schema}.{table}"
        return qualified if qualified in self._columns else None

    def columns(self, qualified: str) -> Iterable[str]:
        """The column names of a relation that `find` has found."""
        return self._columns[qualified]

    def names(self) -> list[str]:
        """All names under which the relations can be written."""
        return [*self._by_name, *self._columns]
