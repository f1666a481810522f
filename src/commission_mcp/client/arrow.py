"""Rows as Arrow data, by way of nanoarrow: a type for each column that holds every value exactly, or text."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from commission_mcp.client.rows import Column

# nanoarrow has no types of its own.
na: Any = import_module("nanoarrow")
_from_buffers: Any = import_module("nanoarrow.c_array").c_array_from_buffers
CArray: TypeAlias = Any

_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = timedelta(microseconds=1)
_NAIVE, _UTC = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - PostgreSQL's timestamp
_DECIMAL_DIGITS_MAX = 38


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A column whose values have one length: its Arrow type, and what packs a value."""

    type: Any
    width: int
    pack: Callable[[Any], bytes]
    zero: bytes


def stream(columns: Sequence[Column], rows: Sequence[Sequence[Any]], requested_schema: object = None) -> object:
    """The rows as a capsule of an Arrow stream with one batch."""
    arrays = [_array(column.type, [row[number] for row in rows]) for number, column in enumerate(columns)]
    fields = [na.Schema(array.schema, name=column.name) for array, column in zip(arrays, columns, strict=True)]
    batch = _from_buffers(na.struct(fields), len(rows), [None], children=arrays)
    return na.ArrayStream(na.Array(batch)).__arrow_c_stream__(requested_schema)


def _array(type_name: str, values: Sequence[Any]) -> CArray:
    if type_name.endswith("[]") and not any(isinstance(item, list) for value in values if value for item in value):
        return _lists(type_name[:-2], values)
    if type_name == "bool":
        return _from_buffers(na.bool_(), len(values), [_validity(values), _bits(values)])
    fixed = _fixed(type_name, values)
    return _text(values, binary=type_name == "bytea") if fixed is None else _fixed_array(fixed, values)


def _fixed(type_name: str, values: Sequence[Any]) -> _Fixed | None:
    """How to write a column with values of one length; None for a column of text."""
    present = [value for value in values if value is not None]
    if type_name == "numeric":
        return _decimals(present)
    made = _FIXED.get(type_name)
    if made is None or any(isinstance(value, str) for value in present):
        return None  # a value that Python's type cannot hold makes it a column of text
    return made


def _decimals(present: Sequence[Decimal]) -> _Fixed | None:
    if not all(value.is_finite() for value in present):
        return None
    scale = max((-int(value.as_tuple().exponent) for value in present), default=0)
    scale = max(scale, 0)
    whole = max((value.adjusted() + 1 for value in present if value), default=1)
    if max(whole, 1) + scale > _DECIMAL_DIGITS_MAX:
        return None
    return _Fixed(
        na.decimal128(_DECIMAL_DIGITS_MAX, scale),
        16,
        lambda value: _unscaled(value, scale).to_bytes(16, "little", signed=True),
        b"\0" * 16,
    )


def _unscaled(value: Decimal, scale: int) -> int:
    """The value times ten to the scale, without the rounding that Decimal's own arithmetic does."""
    sign, digits, exponent = value.as_tuple()
    whole = int("".join(map(str, digits))) * 10 ** (int(exponent) + scale)
    return -whole if sign else whole


def _validity(values: Sequence[Any]) -> bytes | None:
    present = [value is not None for value in values]
    return None if all(present) else _bits(present)


def _bits(flags: Sequence[object]) -> bytes:
    bits = bytearray((len(flags) + 7) // 8)
    for number, flag in enumerate(flags):
        if flag:
            bits[number // 8] |= 1 << number % 8
    return bytes(bits)


def _fixed_array(fixed: _Fixed, values: Sequence[Any]) -> CArray:
    data = b"".join(fixed.zero if value is None else fixed.pack(value) for value in values)
    return _from_buffers(fixed.type, len(values), [_validity(values), data])


def _text(values: Sequence[Any], *, binary: bool) -> CArray:
    encoded = [b"" if value is None else value if binary else _plain(value).encode() for value in values]
    offsets = struct.pack(f"<{len(values) + 1}q", *accumulate(map(len, encoded), initial=0))
    kind = na.large_binary() if binary else na.large_string()
    return _from_buffers(kind, len(values), [_validity(values), offsets, b"".join(encoded)])


def _plain(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _lists(type_name: str, values: Sequence[Any]) -> CArray:
    items = _array(type_name, [item for value in values if value for item in value])
    lengths = (0 if value is None else len(value) for value in values)
    offsets = struct.pack(f"<{len(values) + 1}q", *accumulate(lengths, initial=0))
    kind = na.large_list(na.Schema(items.schema, name="item"))
    return _from_buffers(kind, len(values), [_validity(values), offsets], children=[items])


def _micros_of_day(value: time) -> bytes:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return struct.pack("<q", seconds * 1_000_000 + value.microsecond)


def _packed(form: str) -> Callable[[Any], bytes]:
    return lambda value: struct.pack(form, value)


def _count(form: str, size: int, kind: Any) -> _Fixed:  # noqa: ANN401 - nanoarrow's schemas
    return _Fixed(kind, size, _packed(form), b"\0" * size)


_FIXED: Mapping[str, _Fixed] = {
    "int2": _count("<h", 2, na.int16()),
    "int4": _count("<i", 4, na.int32()),
    "int8": _count("<q", 8, na.int64()),
    "float4": _count("<f", 4, na.float32()),
    "float8": _count("<d", 8, na.float64()),
    "date": _Fixed(na.date32(), 4, lambda value: struct.pack("<i", value.toordinal() - _EPOCH), b"\0" * 4),
    "time": _Fixed(na.time64("us"), 8, _micros_of_day, b"\0" * 8),
    "timestamp": _Fixed(na.timestamp("us"), 8, lambda value: struct.pack("<q", (value - _NAIVE) // _SECOND), b"\0" * 8),
    "timestamptz": _Fixed(
        na.timestamp("us", "UTC"), 8, lambda value: struct.pack("<q", (value - _UTC) // _SECOND), b"\0" * 8
    ),
}
