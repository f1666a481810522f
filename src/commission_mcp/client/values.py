"""Python's values for PostgreSQL's: what a column's type says that a cell is, as psycopg would give it.

The server sends numeric, dates, times, large integers and whatever JSON has no type for as the text that PostgreSQL
writes. What Python's type cannot hold (the date `infinity`, a year beyond 9999, 24:00:00) stays that text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypeAlias, cast
from uuid import UUID

Reader: TypeAlias = Callable[[Any], Any]

_DAYS = {"year": 365, "mon": 30, "day": 1}  # as psycopg and Python's timedelta count them
_SPAN = re.compile(r"([+-]?\d+) (year|mon|day)s?")
# Bounds that hold a blank stand in quotes; none of the types that ranges have writes a quote or a comma of its own.
_BOUNDS = re.compile(r'[\[(](?:"([^"]*)"|([^",]*)),(?:"([^"]*)"|([^",]*))[\])]')
_CLOCK = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$")


@dataclass(frozen=True, slots=True)
class Range:
    """A range of PostgreSQL.

    Attributes:
        lower: The lower bound; None when there is none.
        upper: The upper bound; None when there is none.
        bounds: Which bounds belong to it, such as ``[)``; empty for the empty range.
    """

    lower: Any
    upper: Any
    bounds: str = "[)"

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not self.bounds


def reader(type_name: str) -> Reader | None:
    """What turns the cells of a column into Python's values; None where they are as they come."""
    if type_name.endswith("[]"):
        inner = reader(type_name[:-2])
        return None if inner is None else partial(_list, inner)
    if type_name in _RANGES:
        return partial(_range, _RANGES[type_name])
    if type_name.endswith("multirange"):
        return partial(_multirange, _RANGES[type_name.replace("multirange", "range")])
    return _READERS.get(type_name)


def wire(value: object) -> object:
    """A value for the server: what JSON has, and for the rest the text that PostgreSQL reads.

    Raises:
        TypeError: for a value that has no such text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)  # JSON has no infinity
    if isinstance(value, list | tuple):
        return [wire(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, Mapping):
        return {str(name): wire(item) for name, item in cast("Mapping[object, object]", value).items()}
    return _text(value)


def parameters(values: Sequence[object]) -> list[object]:
    """Values for the placeholders of a query: as `wire`, and a mapping as the text of its JSON."""
    return [_json(cast("object", value)) if isinstance(value, Mapping) else wire(value) for value in values]


def _json(value: object) -> str:
    return json.dumps(wire(value), ensure_ascii=False)


def _text(value: object) -> str:
    match value:
        case bytes() | bytearray():
            return "\\x" + value.hex()
        case timedelta():
            return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
        case date() | time():
            return value.isoformat()
        case Range():
            return _range_text(value)
        case Decimal() | UUID():
            return str(value)
        case _:
            if type(value).__module__ == "ipaddress":
                return str(value)
            raise TypeError(f"a {type(value).__name__} cannot be sent; pass text and write its type as $1::type")


def _range_text(value: Range) -> str:
    if value.is_empty:
        return "empty"
    lower, upper = ("" if bound is None else f'"{wire(bound)}"' for bound in (value.lower, value.upper))
    return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"


def _or_text(read: Callable[[str], object]) -> Reader:
    """Read a text, and leave it as it is where Python's type cannot hold it."""

    def attempt(text: str) -> object:
        try:
            return read(text)
        except (ValueError, OverflowError):
            return text

    return attempt


def _interval(text: str) -> timedelta:
    days = sum(int(count) * _DAYS[unit] for count, unit in _SPAN.findall(text))
    clock = _CLOCK.search(text)
    if clock is None:
        if not _SPAN.search(text):
            raise ValueError(f"not an interval of finite length: {text[:50]!r}")
        return timedelta(days=days)
    sign, hours, minutes, seconds, fraction = clock.groups()
    span = timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int((fraction or "").ljust(6, "0"))
    )
    return timedelta(days=days) + (-span if sign == "-" else span)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


def _inet(text: str) -> object:
    return ip_interface(text) if "/" in text else ip_address(text)


def _list(inner: Reader, items: Sequence[object]) -> list[object]:
    return [
        None if item is None else _list(inner, cast("list[object]", item)) if isinstance(item, list) else inner(item)
        for item in items
    ]


def _range(inner: Reader, text: str) -> Range:
    if text == "empty":
        return Range(None, None, "")
    found = _BOUNDS.fullmatch(text)
    if found is None:
        raise ValueError(f"not a range: {text[:50]!r}")
    quoted_lower, lower, quoted_upper, upper = found.groups()
    ends = (quoted_lower or lower or None, quoted_upper or upper or None)
    first, last = (None if end is None else inner(end) for end in ends)
    return Range(first, last, f"{text[0]}{text[-1]}")


def _multirange(inner: Reader, text: str) -> tuple[Range, ...]:
    return tuple(_range(inner, found.group()) for found in _BOUNDS.finditer(text))


_READERS: Mapping[str, Reader] = {
    "int8": int,
    "numeric": Decimal,
    "float4": float,
    "float8": float,
    "date": _or_text(date.fromisoformat),
    "time": _or_text(time.fromisoformat),
    "timetz": _or_text(time.fromisoformat),
    "timestamp": _or_text(datetime.fromisoformat),
    "timestamptz": _or_text(datetime.fromisoformat),
    "interval": _or_text(_interval),
    "uuid": UUID,
    "bytea": _bytes,
    "inet": _inet,
    "cidr": ip_network,
    "oid": int,
}
_RANGES: Mapping[str, Reader] = {
    "int4range": int,
    "int8range": int,
    "numrange": Decimal,
    "daterange": _READERS["date"],
    "tsrange": _READERS["timestamp"],
    "tstzrange": _READERS["timestamptz"],
}
