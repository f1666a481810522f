"""Second measures of the form: what they are, and how they modify a rule or choose the column of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import cast

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.parsing.parts import BASE_ALIASES, RANGE_ALIASES, read_scope
from commission_mcp.domain.parsing.reader import Reader
from commission_mcp.domain.parsing.tiers import Notation, read_bands
from commission_mcp.domain.rules import Accumulation, Below, Curve, Measure, Modifier, RangeType, Scope
from commission_mcp.domain.sales import Base, Level
from commission_mcp.errors import Code

MEASURES_MAX = 20
COLUMNS_MAX = 20
_POINTS_MAX = 50
_MULTIPLIER = Notation(value_field="multiplier", lead_in=ONE)
_SUMMED = (
    RangeType.AMOUNT,
    RangeType.QUANTITY,
    RangeType.QUOTA_PERCENT,
    RangeType.MARGIN_PERCENT,
    RangeType.MARKUP_PERCENT,
)


def read_measures(reader: Reader) -> tuple[Measure, ...]:
    """`measures`: [{name, range_type, base_value, scope, accumulation, of}]."""
    found: list[Measure] = []
    for row in reader.many("measures", MEASURES_MAX):
        name, range_type = row.text("name"), row.choice("range_type", RangeType, RANGE_ALIASES) or RangeType.AMOUNT
        accumulation = row.choice("accumulation", Accumulation, {"period": Accumulation.PERIOD})
        inner = row.one("scope")
        measure = Measure(
            name or "",
            range_type,
            row.choice("base_value", Base, BASE_ALIASES) or Base.GROSS,
            Scope() if inner is None else read_scope(inner),
            accumulation,
            _of_everybody(row),
        )
        if inner is not None:
            inner.finish()
        row.finish()
        _check_measure(row, measure, found)
        if name is not None:
            found.append(measure)
    return tuple(found)


def _of_everybody(row: Reader) -> bool:
    value = row.raw("of")
    if value not in (None, "payee", "everybody"):
        row.refuse(Code.UNKNOWN, "of", "This is not known.", "Allowed are: payee, everybody (such as a team's sales).")
    return value == "everybody"


def _check_measure(row: Reader, measure: Measure, found: Sequence[Measure]) -> None:
    if not measure.name and not row.has("name"):
        row.missing("name", "Give the name by which gates, modifiers and columns ask it.")
    if measure.range_type not in _SUMMED:
        row.refuse(
            Code.UNKNOWN,
            "range_type",
            f"{measure.range_type} is no measure of a window.",
            f"Allowed are: {', '.join(_SUMMED)}.",
        )
    if measure.accumulation is Accumulation.TRANSACTION:
        row.refuse(
            Code.FIELD_FORBIDDEN,
            "accumulation",
            "A measure is of a window, not of one sale.",
            "Leave it out for the window of the rule that asks it, or use quarter, year or plan.",
        )
    if any(other.name == measure.name for other in found):
        row.refuse(Code.DUPLICATE, "name", f"Two measures are called {measure.name!r}.", "Give each its own name.")


def read_modifiers(reader: Reader) -> tuple[Modifier, ...]:
    """`modifiers`: [{measure, tiers: [{from, to, multiplier}]}]; or `points`: [{at, multiplier}]; or `as`: percent."""
    found: list[Modifier] = []
    for row in reader.many("modifiers"):
        measure = row.text("measure")
        if measure is None and not row.has("measure"):
            row.missing("measure", "Name the measure that decides; for particular sales use `multipliers`.")
        by: Bands | Curve | None
        if row.has("as"):
            by = _as_percent(row)
        elif row.has("points"):
            row.forbid("tiers", "points say the multiplier.")
            by = _multiplier_curve(row)
        else:
            by = read_bands(row, "tiers", _MULTIPLIER, row.choice("boundary", Boundary))
        row.finish()
        if measure is not None and by is not None:
            found.append(Modifier(measure, by))
    return tuple(found)


def _as_percent(row: Reader) -> Curve | None:
    """The measure itself, in percent, is the multiplier: 95 multiplies by 0.95."""
    for name in ("tiers", "points"):
        row.forbid(name, "`as` percent says the multiplier.")
    if row.raw("as") != "percent":
        row.refuse(Code.UNKNOWN, "as", "This is not known.", "Allowed is: percent (95 multiplies by 0.95).")
        return None
    return Curve((ZERO, HUNDRED), (ZERO, ONE), extrapolate=True)


def _multiplier_curve(row: Reader) -> Curve | None:
    points: list[tuple[Decimal, Decimal]] = []
    rows = row.many("points", _POINTS_MAX)
    for point in rows:
        at, value = point.amount("at"), point.factor("multiplier")
        for name in ("at", "multiplier"):
            if not point.has(name):
                point.missing(name, "Give where the point is (`at`) and the `multiplier` there.")
        point.finish()
        if at is not None and value is not None:
            points.append((at, value))
    if len(points) < len(rows) or not points:
        return None
    if any(low[0] >= high[0] for low, high in pairwise(points)):
        row.refuse(Code.TIER_OVERLAP, "points", "The points do not ascend.", "Sort them by `at`, each once.")
        return None
    return Curve(tuple(at for at, _ in points), tuple(value for _, value in points), below=Below.HOLD)


def read_columns(reader: Reader) -> tuple[str | None, Level | None, Bands] | None:
    """`columns`: {measure, from: [0, 20, 30]} for the window, or {range_type, from} for each sale by itself."""
    inner = reader.one("columns")
    if inner is None:
        return None
    measure, kind = inner.text("measure"), inner.choice("range_type", RangeType, RANGE_ALIASES)
    boundary = inner.choice("boundary", Boundary) or Boundary.LOWER_INCLUSIVE
    floors = _floors(inner)
    inner.finish()
    level = None if kind is None else kind.level
    if (measure is None) == (level is None):
        inner.missing(
            "measure",
            "Name the `measure` that chooses the column, or a `range_type` of each sale: Margin Percent, Markup Percent"
            " or Discount Percent.",
        )
        return None
    if floors is None:
        return None
    return measure, level, Bands(floors, tuple(Decimal(index) for index in range(len(floors))), boundary)


def _floors(inner: Reader) -> tuple[Decimal, ...] | None:
    items = inner.items("from", COLUMNS_MAX)
    read = [Reader({"from": item}, path, inner.collected).amount("from") for item, path in items]
    known = tuple(floor for floor in read if floor is not None)
    if not items:
        inner.missing("from", "Give where each column begins, such as [0, 20, 30].")
    if len(known) < len(items) or not known:
        return None
    if known[0] != ZERO or any(low >= high for low, high in pairwise(known)):
        inner.refuse(Code.TIER_START, "from", "The columns do not ascend from 0.", "Begin with 0, such as [0, 20, 30].")
        return None
    return known


def of_column(reader: Reader, index: int, count: int) -> Reader:
    """The rule as if it had only one column: of every list of values the one of that column."""
    fields: dict[str, object] = {name: reader.raw(name) for name in reader.names()}
    fields.pop("columns", None)
    if "commission" in fields:
        fields["commission"] = _nth(reader, "commission", fields["commission"], index, count)
    for name in ("tiers", "points"):
        rows = fields.get(name)
        if isinstance(rows, list):
            fields[name] = [
                _row_of(reader, f"{name}[{place}]", row, index, count)
                for place, row in enumerate(cast("list[object]", rows))
            ]
    return Reader(fields, reader.path, reader.collected)


def _row_of(reader: Reader, path: str, row: object, index: int, count: int) -> object:
    if not isinstance(row, dict) or "commission" not in row:
        return cast("object", row)
    fields = cast("dict[str, object]", row)
    return {**fields, "commission": _nth(reader, f"{path}.commission", fields["commission"], index, count)}


def _nth(reader: Reader, path: str, value: object, index: int, count: int) -> object:
    values = cast("list[object]", value) if isinstance(value, list) else []
    if len(values) != count:
        reader.refuse(
            Code.TIER_COUNT,
            path,
            f"There are {count} columns and {len(values)} values." if values else "There is no value for each column.",
            f"Give a list of {count} values, one for each column.",
        )
        return "0"
    return values[index]
