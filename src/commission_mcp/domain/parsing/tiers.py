"""The wizard's tiers, `[{from, to, commission}]`, in every notation in use, as bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.explanation import number
from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.parsing.reader import Reader
from commission_mcp.errors import Code

TIERS_MAX = 50
_PARTS_OF_ONE_MAX = Decimal(3)  # 300 % of a quota is a lot, 3 % is next to nothing


@dataclass(frozen=True, slots=True)
class Notation:
    """How a table may be written.

    Attributes:
        value_field: The name of the value: `commission`, `multiplier`, `percentage`.
        minor_unit: The currency's minor unit, or 1 for units.
        whole_numbers: A quantity: the first tier may begin at 1.
        lead_in: The value below the first tier, where a table may begin above 0; None where it may not.
        capped: The last tier may end.
        percent: The tiers are in percent of a quota.
    """

    value_field: str = "commission"
    minor_unit: Decimal = Decimal("0.01")
    whole_numbers: bool = False
    lead_in: Decimal | None = None
    capped: bool = False
    percent: bool = False


@dataclass(frozen=True, slots=True)
class _Tier:
    """A tier as written; `path` is its place in the input."""

    start: Decimal
    end: Decimal | None
    value: Decimal
    path: str


def read_bands(reader: Reader, name: str, notation: Notation, boundary: Boundary | None) -> Bands | None:
    """The bands of a list of tiers; None when there is a problem, which is then noted.

    Args:
        reader: The object that has the list.
        name: The list's field.
        notation: How it may be written.
        boundary: The stated boundary; None derives it from the notation.
    """
    rows = reader.many(name, TIERS_MAX)
    noted = reader.collected.refused
    tiers = _sorted(reader, name, _tiers(rows, notation))
    if not rows:
        reader.refuse(Code.TIER_COUNT, name, "There are no tiers.", f"Give 1 to {TIERS_MAX} tiers.")
    if reader.collected.refused > noted or not tiers:
        return None
    _check_start(reader, tiers, notation)
    _check_end(reader, tiers, notation)
    steps = _steps(reader, tiers, notation)
    if reader.collected.refused > noted:
        return None
    return _bands(reader, name, tiers, steps, notation, boundary)


def _tiers(rows: Sequence[Reader], notation: Notation) -> list[_Tier]:
    """The tiers; an absent `from` is the `to` before, an absent `to` the next `from`."""
    starts = [_start(row) for row in rows]
    ends = [row.amount("to") for row in rows]
    values = [row.factor(notation.value_field) for row in rows]
    tiers: list[_Tier] = []
    for index, row in enumerate(rows):
        row.ignore("name", "label")
        value, start, end = values[index], starts[index], ends[index]
        if value is None and not row.has(notation.value_field):
            row.missing(notation.value_field, f"Give what the tier pays as `{notation.value_field}`.")
        if start is None and not row.present("from"):
            start = ends[index - 1] if index else ZERO
        if not row.present("to") and index + 1 < len(rows):
            end = starts[index + 1]
        if start is None and not row.has("from"):
            row.missing("from", "Give where the tier begins; the first at 0.")
        row.finish()
        if start is not None and value is not None:
            tiers.append(_Tier(start, end, value, row.path))
    return tiers


def _start(row: Reader) -> Decimal | None:
    return row.amount("from")


def _sorted(reader: Reader, name: str, tiers: list[_Tier]) -> list[_Tier]:
    ordered = sorted(tiers, key=lambda tier: tier.start)
    if ordered != tiers:
        reader.warn(Code.TIER_ORDER, name, "The tiers were not in ascending order; they were sorted by `from`.")
    return ordered


def _check_start(reader: Reader, tiers: Sequence[_Tier], notation: Notation) -> None:
    first = tiers[0]
    if first.start == ZERO or notation.lead_in is not None or (notation.whole_numbers and first.start == ONE):
        return
    reader.collected.refuse(
        Code.TIER_START,
        f"{first.path}.from",
        f"The first tier begins at {number(first.start)}, so nothing says what is paid below.",
        "Begin the first tier at 0, with commission 0 if nothing is to be paid there.",
    )


def _check_end(reader: Reader, tiers: Sequence[_Tier], notation: Notation) -> None:
    for tier in tiers[:-1]:
        if tier.end is None:
            reader.collected.refuse(
                Code.TIER_OPEN, f"{tier.path}.to", "Only the last tier may be open.", "Give this tier's end."
            )
    for tier in tiers:
        if tier.end is not None and tier.end <= tier.start:
            reader.collected.refuse(
                Code.TIER_EMPTY,
                f"{tier.path}.to",
                f"The tier ends at {number(tier.end)}, where or before it begins ({number(tier.start)}).",
                "Let `to` be greater than `from`.",
            )
    last = tiers[-1]
    if last.end is not None and not notation.capped:
        reader.collected.refuse(
            Code.TIER_OPEN,
            f"{last.path}.to",
            f"The last tier ends at {number(last.end)}, so nothing says what is paid above.",
            "Let the last `to` be null, or state `cap_range: true` when nothing is paid above.",
        )


def _steps(reader: Reader, tiers: Sequence[_Tier], notation: Notation) -> list[Decimal]:
    """How far each `from` lies above the `to` before: 0 is contiguous, one unit is the same cut written inclusively."""
    unit = _unit(tiers)
    inclusive = {ONE, unit, notation.minor_unit}
    steps: list[Decimal] = []
    for before, tier in pairwise(tiers):
        if before.end is None:
            continue
        step = tier.start - before.end
        steps.append(step)
        where = f"{tier.path}.from"
        if step < ZERO:
            reader.collected.refuse(
                Code.TIER_OVERLAP,
                where,
                f"The tier begins at {number(tier.start)}, before the one below ends at {number(before.end)}.",
                f"Begin it at {number(before.end)}.",
            )
        elif step and step not in inclusive:
            reader.collected.refuse(
                Code.TIER_GAP,
                where,
                f"Nothing says what is paid between {number(before.end)} and {number(tier.start)}.",
                f"Begin the tier at {number(before.end)}.",
            )
    if len({step for step in steps if not step or step in inclusive}) > 1:
        reader.collected.refuse(
            Code.TIER_MIXED,
            _parent(tiers[0].path),
            "Some tiers begin where the one below ends, others one unit above.",
            "Write all tiers one way; best let each `from` equal the `to` before.",
        )
    return steps


def _unit(tiers: Sequence[_Tier]) -> Decimal:
    """One unit of the last decimal place written: 0.01 in a table with 499.99, 1 in whole numbers."""
    edges = [edge for tier in tiers for edge in (tier.start, tier.end) if edge is not None]
    places = min((min(0, int(edge.as_tuple().exponent)) for edge in edges), default=0)
    return ONE.scaleb(places)


def _bands(
    reader: Reader,
    name: str,
    tiers: Sequence[_Tier],
    steps: Sequence[Decimal],
    notation: Notation,
    boundary: Boundary | None,
) -> Bands:
    """The bands of a sound table.

    Written inclusively (0-100000, 100001-250000), the cut is the lower tier's end, and a value on it belongs below;
    the +1 neither leaves a hole nor narrows the upper band.
    """
    inclusive = any(steps)
    derived = Boundary.UPPER_INCLUSIVE if inclusive else Boundary.LOWER_INCLUSIVE
    at_start = inclusive and boundary is Boundary.LOWER_INCLUSIVE
    floors = [tier.start if at_start or before.end is None else before.end for before, tier in pairwise(tiers)]
    values = [tier.value for tier in tiers]
    first = tiers[0].start
    if notation.lead_in is not None and first > ZERO:
        floors.insert(0, first)
        values.insert(0, notation.lead_in)
    bands = Bands((ZERO, *floors), tuple(values), boundary or derived, tiers[-1].end)
    if notation.percent and floors and floors[-1] <= _PARTS_OF_ONE_MAX:
        reader.warn(
            Code.LOOKS_LIKE_FRACTION,
            name,
            f"The tiers are in percent of the quota, so the last begins at {number(floors[-1])} % of it.",
            f"Write {number(floors[-1] * HUNDRED)} if {number(floors[-1] * HUNDRED)} % is meant.",
        )
    if inclusive:
        cuts = "; ".join(_cut_text(bands, index) for index in range(1, len(bands.floors)))
        reader.warn(
            Code.NORMALISED,
            name,
            f"The tiers are written inclusively; read as {cuts}.",
            "Let each `from` equal the `to` before, and state `boundary`, to say it without doubt.",
        )
    return bands


def _cut_text(bands: Bands, index: int) -> str:
    low, high = bands.floors[index], bands.edge(index)
    upper = bands.boundary is Boundary.UPPER_INCLUSIVE
    text = f"{'over' if upper else 'from'} {number(low)}"
    return text if high is None else f"{text} {'up to' if upper else 'to below'} {number(high)}"


def _parent(path: str) -> str:
    return path.rpartition("[")[0]
