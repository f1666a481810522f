"""Values that a short text makes huge: constant arguments of functions that grow what they are given."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from commission_mcp.sqlguard.tree import Node, nodes_of, strings, unwrap

SIZE_MAX = 1_000_000
"""How many characters or elements one call may be told to make."""

PRODUCT_MAX = 100_000_000
"""How many characters or rows the constants of one statement may make together."""

_FOLD_DEPTH_MAX = 8
_RADIX = frozenset("xXoObB")
_FORMAT_WIDTH = re.compile(r"%(?:\d+\$)?-?(\d+)")
_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": math.pow,
}


def constant(wrapped: Node, depth: int = 0) -> float | None:
    """The value of a number, a quoted one, a cast of one, or simple arithmetic; None if it is not constant."""
    kind, node = unwrap(wrapped)
    if depth > _FOLD_DEPTH_MAX:
        return None
    if kind == "A_Const":
        return _literal(node)
    if kind == "TypeCast":
        return constant(node.get("arg", {}), depth + 1)
    if kind == "A_Expr" and node.get("kind") == "AEXPR_OP":
        return _folded(node, depth + 1)
    return None


def text_constant(wrapped: Node) -> str | None:
    """The text of a string literal."""
    kind, node = unwrap(wrapped)
    return node["sval"].get("sval", "") if kind == "A_Const" and "sval" in node else None


def growth(call: Node) -> Iterator[tuple[Node, float]]:
    """The call and every call within, each with how much it and those around it make, as far as constants tell."""
    pending: list[tuple[Node, float]] = [({"FuncCall": call}, 1.0)]
    while pending:
        node, factor = pending.pop()
        if "FuncCall" in node:
            factor *= _own_factor(node["FuncCall"])
            yield node["FuncCall"], factor
        pending += [(inner, factor) for value in node.values() for inner in nodes_of(value)]


def series_rows(call: Node) -> float:
    """How many rows `generate_series` makes of constant bounds; 1 if it is another call or they are not constant."""
    return _series(_arguments(call)) if _name(call) == "generate_series" else 1


def grows(name: str) -> bool:
    """Whether a function makes something as large as its arguments say."""
    return name in _FACTORS


def _own_factor(call: Node) -> float:
    rule = _FACTORS.get(_name(call))
    return max(1.0, rule(_arguments(call))) if rule else 1.0


def _name(call: Node) -> str:
    return strings(call.get("funcname"))[-1]


def _arguments(call: Node) -> list[Node]:
    """The arguments by position; a named one counts where it stands."""
    unnamed = [(unwrap(argument)) for argument in call.get("args", ())]
    return [node.get("arg", {}) if kind == "NamedArgExpr" else {kind: node} for kind, node in unnamed]


def _count(arguments: list[Node]) -> float:
    """The second argument: how often, or how wide."""
    return (constant(arguments[1]) or 1) if len(arguments) > 1 else 1


def _series(arguments: list[Node]) -> float:
    bounds = [constant(argument) for argument in arguments[:3]]
    start, stop, step = [*bounds, *([1.0] if len(bounds) == 2 else []), None, None][:3]  # noqa: PLR2004 - start, stop
    if start is None or stop is None or not step:
        return 1
    return max(1.0, (stop - start) / step + 1)


def _filled(arguments: list[Node]) -> float:
    """The product of the constant dimensions of `array_fill(value, ARRAY[...])`."""
    kind, node = unwrap(arguments[1]) if len(arguments) > 1 else ("", {})
    if kind == "A_ArrayExpr":
        return math.prod(constant(element) or 1 for element in node.get("elements", ()))
    literal = text_constant(unwrap_cast(arguments[1])) if len(arguments) > 1 else None
    return math.prod(float(digits) for digits in re.findall(r"\d{1,12}", literal or ""))


def unwrap_cast(wrapped: Node) -> Node:
    """What a cast is applied to."""
    kind, node = unwrap(wrapped)
    return node.get("arg", {}) if kind == "TypeCast" else wrapped


def _formatted(arguments: list[Node]) -> float:
    """The widest field of a `format` pattern."""
    pattern = text_constant(arguments[0]) if arguments else None
    return max((float(width) for width in _FORMAT_WIDTH.findall(pattern or "")), default=1)


_FACTORS: dict[str, Callable[[list[Node]], float]] = {
    "repeat": _count,
    "lpad": _count,
    "rpad": _count,
    "array_fill": _filled,
    "generate_series": _series,
    "format": _formatted,
}


def _literal(node: Node) -> float | None:
    if "ival" in node:
        return float(node["ival"].get("ival", 0))
    text = node["fval"]["fval"] if "fval" in node else node.get("sval", {}).get("sval", "")
    try:
        return float(int(text, 0)) if text[1:2] in _RADIX else float(text)
    except ValueError:
        return None


def _folded(node: Node, depth: int) -> float | None:
    right = constant(node.get("rexpr", {}), depth)
    left = constant(node["lexpr"], depth) if "lexpr" in node else 0.0
    operation = _OPERATIONS.get("".join(strings(node.get("name"))))
    if left is None or right is None or operation is None:
        return None
    try:
        return operation(left, right)
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return None
