"""From text to a parse tree, without ever taking the process down.

libpg_query hands its tree over as JSON: its own recursion is guarded by PostgreSQL's stack check, `json` guards
Python's, and the nesting is measured in between. (`pglast.parse_sql`, which builds Python objects recursively in C,
has no such check and takes ten times as long.) A node is ``{"Kind": {field: value, ...}}``; where the grammar knows
the kind of a field beforehand, the value is the bare inner object. Locations count bytes of UTF-8.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeAlias, cast

from pglast.parser import ParseError, parse_sql_json

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.sqlguard.hints import syntax_fix
from commission_mcp.sqlguard.placeholders import Numbered

Node: TypeAlias = dict[str, Any]

TEXT_BYTES_MAX = 20 * 1024
NESTING_MAX = 600  # about 300 chained operators; Python's own limit stands at 1000

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_NOT_BRACKET = re.compile(r"[^\[\]{}]+")
_TOO_DEEP = ("stack depth limit exceeded", "memory exhausted", "nested too deeply")


def check_text(text: str) -> None:
    """See that the text is small and clean enough to look into.

    Raises:
        Refused: with `E_SQL_TOO_LONG`, or `E_SQL_SYNTAX` for characters that no database takes.
    """
    try:
        size = len(text) if len(text) > TEXT_BYTES_MAX else len(text.encode())
    except UnicodeEncodeError as error:
        _refuse(Code.SQL_SYNTAX, "The text has half a surrogate pair.", "Send well-formed Unicode.", error.start)
    if size > TEXT_BYTES_MAX:
        message = f"The statement is longer than {TEXT_BYTES_MAX:,} bytes."
        _refuse(Code.SQL_TOO_LONG, message, "Shorten it; send long lists of values as one array, as in = ANY($1).")
    if "\0" in text:
        _refuse(Code.SQL_SYNTAX, "The text has a NUL character.", "Remove it.", text.index("\0"))


def parse_tree(numbered: Numbered) -> list[Node]:
    """Parse into raw statements: ``stmt``, ``stmt_location``, ``stmt_len``.

    Raises:
        Refused: with `E_SQL_SYNTAX`, `E_SQL_TOO_DEEP` or `E_SQL_EMPTY`.
    """
    try:
        text = parse_sql_json(numbered.text)
        if _nesting(text) > NESTING_MAX:
            _refuse_depth()
        root: Node = json.loads(text)
    except ParseError as error:
        _refuse_syntax(error, numbered)
    except RecursionError:
        _refuse_depth()
    except ValueError:  # a name cut within a character, or JSON that is none
        _refuse(Code.SQL_SYNTAX, "The parser cannot represent this text.", "Use shorter names without odd characters.")
    statements: list[Node] = root.get("stmts", [])
    if not statements:
        _refuse(Code.SQL_EMPTY, "There is no statement in the text.", "Send one SELECT.")
    return statements


def nodes_of(value: object) -> list[Node]:
    """The objects that the value of a field holds: itself, the items of a list, or none."""
    if isinstance(value, dict):
        return [cast("Node", value)]
    return cast("list[Node]", value) if isinstance(value, list) else []


def unwrap(wrapped: Node) -> tuple[str, Node]:
    """The kind and the fields of a wrapped node; an absent one has the kind ''."""
    for kind, node in wrapped.items():
        return kind, node
    return "", {}


def strings(values: list[Node] | None) -> list[str]:
    """The texts of a list of String nodes; a star reads as ``*``."""
    return [unwrap(value)[1].get("sval", "*") for value in values or ()]


def _nesting(text: str) -> int:
    """How deep the brackets of a JSON text nest; an upper bound as long as that settles it."""
    if (bound := text.count("{") + text.count("[")) <= NESTING_MAX:
        return bound
    depth = deepest = 0
    for bracket in _NOT_BRACKET.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _refuse_syntax(error: ParseError, numbered: Numbered) -> NoReturn:
    message = str(error.args[0])
    if any(sign in message for sign in _TOO_DEEP):
        _refuse_depth()
    position = error.args[1] if len(error.args) > 1 else None
    if position is None and message.endswith("end of input"):
        position = len(numbered.text)
    if position is not None:
        position = numbered.original_position(position)
    fix = syntax_fix(message, numbered.text)
    _refuse(Code.SQL_SYNTAX, f"PostgreSQL does not understand this: {message}.", fix, position)


def _refuse_depth() -> NoReturn:
    message = "The statement nests or chains expressions too deeply."
    _refuse(Code.SQL_TOO_DEEP, message, "Break it up with WITH, or use IN, ANY or a CASE with many branches.")


def _refuse(code: Code, message: str, fix: str, position: int | None = None) -> NoReturn:
    raise Refused(Problem(code, message, fix, position=position)) from None
