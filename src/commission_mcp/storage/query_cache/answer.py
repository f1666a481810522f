"""An answer as it is kept: bytes that give back exactly what was packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of one page, for whoever may ask the same question.

    Attributes:
        columns: Each column as name and type.
        rows: The rows, as plain JSON values.
        lines: The same rows, each as one line of JSON.
        truncated: Whether there are further rows.
        as_of: When the snapshot was taken that the rows are from.
    """

    columns: Sequence[Mapping[str, str]]
    rows: Sequence[Sequence[object]]
    lines: Sequence[str]
    truncated: bool
    as_of: str

    def pack(self) -> bytes:
        """The answer as bytes: a line about it, then its rows, one a line."""
        head = orjson.dumps([self.columns, self.truncated, self.as_of])
        return b"\n".join([head, *(line.encode() for line in self.lines)])

    @classmethod
    def unpack(cls, packed: bytes) -> Answer:
        """The answer that `pack` made these bytes of."""
        head, *lines = packed.split(b"\n")  # JSON on one line has no line break of its own
        columns, truncated, as_of = orjson.loads(head)
        rows: list[Any] = orjson.loads(b"[" + b",".join(lines) + b"]")
        return cls(columns, rows, [line.decode() for line in lines], truncated, as_of)
