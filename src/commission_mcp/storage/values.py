"""How values cross: parameters go out as text that PostgreSQL types, results come back as exact as JSON can hold them.

int2, int4 and int8 within 2^53 - 1 become numbers; larger int8, numeric, float, dates, uuid and everything else the
text that PostgreSQL writes; json the same structure with its fractional numbers as text; arrays become lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from psycopg import BaseConnection, pq
from psycopg.abc import AdaptContext
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.postgres import types as postgres_types
from psycopg.types.array import register_array
from psycopg.types.bool import BoolLoader
from psycopg.types.numeric import IntLoader
from psycopg.types.string import TextLoader

from commission_mcp.errors import Code, Problem, Refused

_EXACT_MAX = 2**53 - 1  # beyond it a JSON reader that uses doubles loses digits

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = Scalar | list[Scalar]


class _ExactIntLoader(Loader):
    def load(self, data: pq.abc.Buffer) -> int | str:
        return _exact_int(bytes(data).decode())


class _JsonLoader(Loader):
    def load(self, data: pq.abc.Buffer) -> object:
        return json.loads(bytes(data), parse_float=str, parse_int=_exact_int)


def _exact_int(text: str) -> int | str:
    number = int(text)
    return number if -_EXACT_MAX <= number <= _EXACT_MAX else text


class Codec(AdaptContext):
    """Reads results; made once, it holds no state of a call."""

    def __init__(self) -> None:
        self._adapters = AdaptersMap(types=postgres_types)
        self._adapters.register_loader(0, TextLoader)
        for name in ("int2", "int4"):
            self._adapters.register_loader(name, IntLoader)
        self._adapters.register_loader("int8", _ExactIntLoader)
        self._adapters.register_loader("bool", BoolLoader)
        for name in ("json", "jsonb"):
            self._adapters.register_loader(name, _JsonLoader)
        self._type_names: dict[int, str] = {}
        for info in postgres_types:
            self._type_names[info.oid] = info.name
            if info.array_oid:
                self._type_names[info.array_oid] = f"{info.name}[]"
                register_array(info, self)

    @property
    def adapters(self) -> AdaptersMap:
        """The loaders."""
        return self._adapters

    @property
    def connection(self) -> BaseConnection[object] | None:
        """No connection: reading needs no look-up in a catalog."""
        return None

    def columns(self, result: pq.abc.PGresult) -> tuple[tuple[str, str], ...]:
        """Name and type of each column."""
        return tuple(
            ((result.fname(number) or b"").decode(), self._type_names.get(result.ftype(number), "unknown"))
            for number in range(result.nfields)
        )

    def rows(self, result: pq.abc.PGresult) -> list[tuple[object, ...]]:
        """All rows of a result."""
        transformer = Transformer(self)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)


def parameters(values: Sequence[Value]) -> list[bytes | None]:
    """The values as the text that goes out.

    Raises:
        Refused: with `E_SQL_PARAM_TYPE`, for every value that has no such text.
    """
    problems = [
        Problem(
            Code.SQL_PARAM_TYPE,
            "A value may not hold the character U+0000 or half of a surrogate pair.",
            "Remove the character.",
            f"params[{number}]",
        )
        for number, value in enumerate(values)
        if not _is_sendable(value)
    ]
    if problems:
        raise Refused(*problems)
    return [None if value is None else _text(value).encode() for value in values]


def refuse_large(values: Sequence[Value], small: Mapping[int, int]) -> None:
    """See that values are as small as the statement needs them to be, where its work grows beyond any time limit.

    Args:
        values: The values of ``$1``, ``$2``, ...
        small: For such a number, how many characters or elements its value may have.

    Raises:
        Refused: with `E_SQL_COST`, for every value that is larger.
    """
    problems = [
        Problem(
            Code.SQL_COST,
            f"${number} has {size:,} characters or elements; at most {most:,} are allowed where values are compared "
            "part by part.",
            "Send a smaller value, or compare with = ANY of a list.",
            f"params[{number - 1}]",
        )
        for number, most in sorted(small.items())
        if number <= len(values) and (size := _size(values[number - 1])) > most
    ]
    if problems:
        raise Refused(*problems)


def _size(value: Value) -> int:
    """How many characters a text has, or the elements of a list with their own."""
    if isinstance(value, list):
        return len(value) + sum(len(entry) // 100 for entry in value if isinstance(entry, str))
    return len(value) if isinstance(value, str) else 1


def _is_sendable(value: Value) -> bool:
    if isinstance(value, list):
        return all(_is_sendable(entry) for entry in value)
    return not isinstance(value, str) or ("\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value))


def _text(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "{" + ",".join("NULL" if entry is None else _element(entry) for entry in value) + "}"
        case _:
            return repr(value) if isinstance(value, float) else str(value)


def _element(value: Value) -> str:
    text = _text(value)
    if isinstance(value, str):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


ColumnTypes: TypeAlias = Mapping[str, str]
