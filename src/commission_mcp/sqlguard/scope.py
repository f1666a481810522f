"""Which names mean what at one place of a statement: sources, columns, and the queries around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeAlias


class Column(NamedTuple):
    """A column by its name, and the columns inside it if its values are rows."""

    name: str
    inner: Columns | None = None


Columns: TypeAlias = tuple[Column, ...]

COLUMNS_MAX = 1_664
"""How many columns PostgreSQL lets a query yield."""

Ctes: TypeAlias = Mapping[str, "Columns | None"]
"""The WITH queries in sight; None for one whose columns are not known, because something in it was refused."""


@dataclass(frozen=True)
class Source:
    """One thing that FROM names.

    Attributes:
        name: Its alias, or the name of the relation; empty where it has none.
        columns: What it yields; None if unknown, because something about it was refused.
        relation: The ``schema.table`` behind it, when it may be called so (a relation without alias).
        is_scalar: Whether its whole row is a bare value (a function that returns one).
        is_stored: Whether it is a relation itself.
    """

    name: str
    columns: Columns | None
    relation: str | None = None
    is_scalar: bool = False
    is_stored: bool = False

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Its columns by name."""
        return {column.name: column for column in self.columns or ()}

    @property
    def row(self) -> Columns | None:
        """What a reference to the source as a whole contains; None for a bare value."""
        return None if self.is_scalar else self.columns


@dataclass(frozen=True)
class Scope:
    """What one query, or one part of it, can see; `outer` is what the queries around it see."""

    sources: Sequence[Source] = ()
    outer: Scope | None = None
    ctes: Ctes = field(default_factory=dict[str, "Columns | None"])
    outputs: frozenset[str] = frozenset()  # the names that ORDER BY and GROUP BY may use besides

    def levels(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def source(self, name: str) -> Source | None:
        """The source that a qualifier names: the innermost one so called."""
        for scope in self.levels():
            for source in scope.sources:
                if source.name == name:
                    return source
        return None

    def qualified(self, qualifier: Sequence[str]) -> Source | None:
        """The source that an alias, or a schema and table, names: for these, the innermost unaliased use."""
        if len(qualifier) == 1:
            return self.source(qualifier[0])
        relation = ".".join(qualifier)
        for scope in self.levels():
            for source in scope.sources:
                if source.relation == relation:
                    return source
        return None

    def column(self, name: str) -> Column | None:
        """The column that a bare name means: of the innermost query that has one."""
        for scope in self.levels():
            for source in scope.sources:
                found = source.by_name.get(name)
                if found is not None:
                    return found
        return None

    def is_stored(self, name: str) -> bool:
        """Whether a bare name means a column of a relation itself, of the innermost query that has one."""
        for scope in self.levels():
            having = [source for source in scope.sources if name in source.by_name]
            if having:
                return all(source.is_stored for source in having)
        return False

    def is_output(self, name: str) -> bool:
        """Whether some query around names an output so."""
        return any(name in scope.outputs for scope in self.levels())

    @property
    def is_certain(self) -> bool:
        """Whether every source in sight is known, so that an unknown name is a mistake for sure."""
        return all(source.columns is not None for scope in self.levels() for source in scope.sources)

    def column_names(self) -> set[str]:
        """Every column name in sight."""
        return {name for scope in self.levels() for source in scope.sources for name in source.by_name}

    def source_names(self) -> set[str]:
        """Every source name in sight."""
        return {source.name for scope in self.levels() for source in scope.sources if source.name}


def renamed(columns: Columns | None, names: Sequence[str]) -> Columns | None:
    """The columns with the first of them renamed, as in ``AS t(a, b)``."""
    if columns is None or not names:
        return columns
    head = (Column(name, column.inner) for name, column in zip(names, columns, strict=False))
    return (*head, *columns[len(names) :])


def merged(left: Columns | None, right: Columns | None, shared: Sequence[str]) -> Columns | None:
    """The columns of a join whose USING columns come first and once."""
    if left is None or right is None:
        return None
    first = {column.name: column for column in (*right, *left)}
    shared_columns = (first[name] for name in shared if name in first)
    rest = (column for column in (*left, *right) if column.name not in shared)
    return (*shared_columns, *rest)
