"""Rows as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - it has none

if TYPE_CHECKING:
    from commission_mcp.client.rows import Column

_DTYPES: Mapping[str, str] = {
    "bool": "boolean",
    "int2": "Int16",
    "int4": "Int32",
    "int8": "Int64",
    "float4": "Float32",
    "float8": "Float64",
}


def frame(
    columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, numeric: Literal["exact", "float"]
) -> pd.DataFrame:
    """The rows as a DataFrame. Columns of the same name stay beside each other."""
    series = [
        pd.Series([row[number] for row in rows], dtype=_dtype(column, numeric), name=column.name)
        for number, column in enumerate(columns)
    ]
    if not series:
        return pd.DataFrame()
    made = pd.concat(series, axis=1)
    made.columns = [column.name for column in columns]
    return made


def _dtype(column: Column, numeric: Literal["exact", "float"]) -> str:
    if column.type == "numeric" and numeric == "float":
        return "Float64"
    return _DTYPES.get(column.type, "object")
