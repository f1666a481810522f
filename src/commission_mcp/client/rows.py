"""The rows of an answer: exact values by the types of their columns, ready for a notebook, pandas or Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal, overload

from commission_mcp.client.values import reader

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - it has none

_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8", "money"})
_SHOWN_MAX = 50  # rows that a notebook shows
_CELL_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and its type as PostgreSQL names it."""

    name: str
    type: str

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, which stand to the right."""
        return self.type in _NUMBERS


class Rows:
    """Rows of Python's values: numeric is Decimal, date is date, uuid is UUID, and so on, as psycopg gives them.

    Iterating gives tuples; two columns may have the same name. The rows of an answer do not change.

    Args:
        columns: Name and type of each column.
        cells: The rows as they came over the wire.
        about: What else the answer said, such as `truncated` and `as_of`.
    """

    def __init__(
        self, columns: Sequence[Column], cells: Sequence[Sequence[Any]], about: Mapping[str, Any] | None = None
    ) -> None:
        readers = [reader(column.type) for column in columns]
        self.columns = tuple(columns)
        self.about = dict(about or {})
        self._rows: list[tuple[Any, ...]] = [
            tuple(cell if cell is None or read is None else read(cell) for cell, read in zip(row, readers, strict=True))
            for row in cells
        ]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Rows:
        """The rows of an answer of `query`."""
        columns = [Column(str(column["name"]), str(column["type"])) for column in answer["columns"]]
        about = {name: value for name, value in answer.items() if name not in {"columns", "rows"}}
        return cls(columns, answer["rows"], about)

    @classmethod
    def of_records(cls, types: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> Rows:
        """Rows of a list of objects, with the columns that `types` names."""
        columns = [Column(name, type_) for name, type_ in types.items()]
        return cls(columns, [[record.get(name) for name in types] for record in records])

    @classmethod
    def joined(cls, pages: Sequence[Rows]) -> Rows:
        """The rows of several pages of one answer as one."""
        whole = cls(pages[0].columns, (), pages[-1].about)
        whole._rows = [row for page in pages for row in page]
        return whole

    @property
    def truncated(self) -> bool:
        """Whether there are further rows."""
        return bool(self.about.get("truncated"))

    @property
    def next_cursor(self) -> str | None:
        """What leads to the further rows."""
        return self.about.get("next_cursor")

    @property
    def cache_hit(self) -> bool:
        """Whether the answer came from the query cache."""
        return bool(self.about.get("cache_hit"))

    @property
    def as_of(self) -> str | None:
        """The time of the snapshot that the rows are from."""
        return self.about.get("as_of")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server remarked."""
        return tuple(self.about.get("warnings", ()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The rows, as tuples."""
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> tuple[Any, ...] | Rows:
        """A row, or some of the rows."""
        if isinstance(index, slice):
            part = Rows(self.columns, (), self.about)
            part._rows = self._rows[index]
            return part
        return self._rows[index]

    def __eq__(self, other: object) -> bool:
        """Whether columns and values are the same."""
        return isinstance(other, Rows) and (self.columns, self._rows) == (other.columns, other._rows)

    __hash__ = None  # pyright: ignore[reportAssignmentType] - rows compare by their values, which may be lists

    def column(self, name: str) -> list[Any]:
        """The values of one column.

        Raises:
            KeyError: there is no column of that name.
        """
        if name not in self.names:
            raise KeyError(f"there is no column {name!r}; the columns are {', '.join(self.names)}")
        number = self.names.index(name)
        return [row[number] for row in self._rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        return [dict(zip(self.names, row, strict=True)) for row in self._rows]

    def scalar(self) -> Any:  # noqa: ANN401 - the type is the column's
        """The one value of an answer of one row and one column.

        Raises:
            ValueError: the answer has another shape.
        """
        if len(self._rows) != 1 or len(self.columns) != 1:
            raise ValueError(f"{len(self._rows)} rows of {len(self.columns)} columns are not one value")
        return self._rows[0][0]

    def to_pandas(self, *, numeric: Literal["exact", "float"] = "exact") -> pd.DataFrame:
        """A DataFrame, with pandas' types that know missing values.

        Args:
            numeric: What numeric becomes: `exact` keeps Decimals (dtype object), `float` computes faster and rounds.
        """
        from commission_mcp.client.frames import frame

        return frame(self.columns, self._rows, numeric=numeric)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as an Arrow stream (the PyCapsule interface), for polars, DuckDB, pyarrow and others.

        Needs the package nanoarrow: `pip install 'commission-mcp[arrow]'`.
        """
        from commission_mcp.client.arrow import stream

        return stream(self.columns, self._rows, requested_schema)

    def __repr__(self) -> str:
        """What it holds, in a line."""
        more = ", further rows follow" if self.truncated else ""
        return f"<Rows: {len(self._rows)} of ({', '.join(f'{c.name} {c.type}' for c in self.columns)}){more}>"

    def _repr_html_(self) -> str:
        """A table for notebooks; values are text there, whatever they hold."""
        head = "".join(f'<th title="{escape(column.type)}">{escape(column.name)}</th>' for column in self.columns)
        body = "".join(f"<tr>{self._html_cells(row)}</tr>" for row in self._rows[:_SHOWN_MAX])
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{self._html_note()}</p>"

    def _html_cells(self, row: Sequence[Any]) -> str:
        return "".join(
            f'<td style="text-align:{"right" if column.is_number else "left"}">{escape(_shown(value))}</td>'
            for column, value in zip(self.columns, row, strict=True)
        )

    def _html_note(self) -> str:
        hidden = len(self._rows) - _SHOWN_MAX
        parts = [f"{len(self._rows)} rows"]
        parts += [f"{hidden} of them not shown"] if hidden > 0 else []
        parts += ["further rows follow"] if self.truncated else []
        return escape("; ".join(parts))


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _CELL_CHARS_MAX else f"{text[: _CELL_CHARS_MAX - 1]}…"
