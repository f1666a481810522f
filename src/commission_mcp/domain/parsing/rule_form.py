"""One rule of the form: the wizard's phase 2 object, and more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.entries import pays_once
from commission_mcp.domain.explanation import number
from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.parsing.foreign import value_here
from commission_mcp.domain.parsing.parts import (
    BASE_ALIASES,
    RANGE_ALIASES,
    read_gates,
    read_limit,
    read_pool,
    read_scope,
    read_threshold,
    read_tier_override,
    warn_multiplier,
)
from commission_mcp.domain.parsing.payout_form import read_holdback, read_payout_split
from commission_mcp.domain.parsing.reader import Reader, nearest
from commission_mcp.domain.parsing.second_range import of_column, read_columns, read_modifiers
from commission_mcp.domain.parsing.tiers import Notation, read_bands
from commission_mcp.domain.rules import (
    Accelerators,
    Accumulation,
    AppliesTo,
    Below,
    Columns,
    Curve,
    FixedBasis,
    Flat,
    NegativeBase,
    ProRata,
    RangeType,
    Rule,
    Scheme,
    Scope,
    Slab,
    Tiered,
    ValueType,
)
from commission_mcp.domain.sales import Base, Level
from commission_mcp.errors import Code

CATEGORIES = ("Flat", "Slab", "Tiered", "Interpolated")
_MULTIPLIER = Notation(value_field="multiplier", lead_in=ONE)
_POINTS_MAX = 50

_ALLOWED_BASES = {
    "Revenue Target": (Base.GROSS, Base.NET, Base.CASH),
    "Margin Target": (Base.MARGIN,),
    "Units Target": (Base.UNITS, Base.GROSS, Base.NET),
    "Bookings Target": (Base.BOOKINGS,),
    "Bonus": tuple(Base),
}
_PORTIONS = {RangeType.COMPANY_PORTION, RangeType.PAYEE_PORTION}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rule takes from the plan around it.

    Attributes:
        name: For a rule without a name.
        minor_unit: Of the plan's currency.
        accumulation: Where the rule states none: a transaction each where the plan is calculated so.
    """

    name: str
    minor_unit: Decimal
    accumulation: Accumulation


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kind of rule it is: what the other fields mean depends on it."""

    category: str
    value_type: ValueType
    fixed_basis: FixedBasis | None
    range_type: RangeType
    base: Base


def read_rule(reader: Reader, around: Surroundings) -> Rule | None:
    """A rule; None when it cannot be understood, which is then noted."""
    kind = _read_kind(reader)
    columns = read_columns(reader)
    schemes = () if kind is None else _read_schemes(reader, kind, around, columns)
    scheme = schemes[0] if schemes else None
    if kind is None:
        _know_all(reader)
        if reader.has("tiers"):
            read_bands(reader, "tiers", Notation(capped=True), None)
        return None
    measure = reader.choice("range_base", Base, BASE_ALIASES) or _measured(reader, kind)
    default = AppliesTo.EXCESS if kind.category in {"Tiered", "Interpolated"} else AppliesTo.WHOLE
    rule = Rule(
        name=reader.text("name") or around.name,
        scheme=scheme or Flat(ZERO),
        value_type=kind.value_type,
        fixed_basis=kind.fixed_basis,
        base=kind.base,
        range_type=kind.range_type,
        measure=measure,
        accumulation=_read_accumulation(reader, kind, around),
        scope=_read_scope(reader),
        component=reader.text("component") or "commission",
        priority=reader.priority("priority"),
        valid_from=reader.day("valid_from"),
        valid_to=reader.day("valid_to"),
        threshold=read_threshold(reader),
        tier_override=read_tier_override(reader, default),
        accelerators=_read_accelerators(reader),
        multipliers=_read_multipliers(reader),
        gates=read_gates(reader),
        floor=read_limit(reader, "floor"),
        cap=read_limit(reader, "cap"),
        negative_base=reader.choice("negative_base", NegativeBase) or NegativeBase.FIRST_BAND,
        prorate_bands=reader.flag("prorate_bands"),
        rounding=_read_rounding(reader, around),
        pool=read_pool(reader),
        modifiers=read_modifiers(reader),
        columns=None if columns is None or not schemes else Columns(columns[2], schemes, columns[0], columns[1]),
        step=_read_step(reader, kind),
        holdback=read_holdback(reader),
        payout_split=read_payout_split(reader),
    )
    _check_span(reader, rule)
    _check_together(reader, rule)
    return rule if scheme is not None else None


def _know_all(reader: Reader) -> None:
    """Know the fields of a rule that could not be understood, so that they are not called unknown."""
    reader.ignore("name", "range_base", "accumulation", "scope", "component", "priority", "valid_from", "valid_to")
    reader.ignore("threshold", "client_tier_overrides", "accelerators", "multipliers", "gates", "floor", "cap")
    reader.ignore("negative_base", "prorate_bands", "rounding", "pool", "tiers", "commission", "rates", "points")
    reader.ignore("interpolation", "extrapolate", "boundary", "cap_range", "range_type", "fixed_basis", "below")
    reader.ignore("modifiers", "columns", "step", "holdback", "payout_split")


def _read_kind(reader: Reader) -> _Kind | None:
    category = _read_category(reader)
    value_type = reader.choice("value_type", ValueType, {"amount": ValueType.FIXED, "fixed": ValueType.FIXED})
    value_type = value_type or ValueType.PERCENTAGE
    base = _read_base(reader)
    reader.ignore("plan_params", "uom", "rule_no", "description", "currency")
    if category is None:
        return None
    basis = _read_basis(reader, category, value_type)
    range_type = _read_range(reader, category, value_type)
    return _Kind(category, value_type, basis, range_type, base)


def _read_category(reader: Reader) -> str | None:
    value = reader.raw("category_type")
    if value is None:
        if reader.has("commission") and not reader.has("tiers"):
            return "Flat"
        reader.missing("category_type", "State Flat, Slab or Tiered: Slab and Tiered pay different amounts.")
        return None
    found = next(
        (name for name in CATEGORIES if isinstance(value, str) and value.strip().lower() == name.lower()), None
    )
    if found is None:
        allowed = ", ".join(CATEGORIES)
        reader.refuse(
            Code.UNKNOWN,
            "category_type",
            f"{str(value)[:60]!r} is no category.",
            f"{_category_here(value)}Allowed are: {allowed}.",
        )
    return found


def _category_here(value: object) -> str:
    """What a category of other systems is called here."""
    if isinstance(value, str) and "matrix" in value.lower():
        return "A matrix is Slab or Tiered with `columns` {measure, from} and a list of values in each tier. "
    return (value_here(value, CATEGORIES) if isinstance(value, str) else "") or nearest(value, CATEGORIES)


def _read_base(reader: Reader) -> Base:
    plan_type = reader.text("plan_type")
    allowed = _allowed_bases(reader, plan_type)
    plan_base = reader.text("plan_base")
    margin = plan_base is not None and plan_base.lower() == "margin"
    if plan_base is not None and plan_base.lower() not in {"revenue", "margin"}:
        reader.refuse(Code.UNKNOWN, "plan_base", f"{plan_base!r} is not known.", "Allowed are: Revenue, Margin.")
    stated = reader.choice("base_value", Base, BASE_ALIASES)
    base = Base.MARGIN if margin else stated or allowed[0]
    if base not in allowed:
        listed = ", ".join(allowed)
        reader.refuse(
            Code.BASE_VALUE,
            "base_value",
            f"A {plan_type} does not count {base}.",
            f"Use {listed}, or another plan_type.",
        )
    return base


def _allowed_bases(reader: Reader, plan_type: str | None) -> tuple[Base, ...]:
    if plan_type is None:
        return tuple(Base)
    for name, bases in _ALLOWED_BASES.items():
        if plan_type.lower() == name.lower():
            return bases
    reader.refuse(
        Code.UNKNOWN, "plan_type", f"{plan_type!r} is not known.", f"Allowed are: {', '.join(_ALLOWED_BASES)}."
    )
    return tuple(Base)


def _read_basis(reader: Reader, category: str, value_type: ValueType) -> FixedBasis | None:
    if value_type is not ValueType.FIXED:
        reader.forbid("fixed_basis", "only a Fixed Amount is paid for something.")
        return None
    basis = reader.choice("fixed_basis", FixedBasis)
    if category == "Interpolated":
        if basis not in {None, FixedBasis.PER_PERIOD}:
            reader.refuse(
                Code.FIELD_FORBIDDEN, "fixed_basis", "Interpolated amounts are for the window.", "Leave it out."
            )
        return FixedBasis.PER_PERIOD if reader.has("points") else None
    if basis is None and not reader.has("fixed_basis"):
        reader.missing(
            "fixed_basis", "A Fixed Amount is paid per_transaction, per_unit, per_period or per_step; state which."
        )
    return basis


def _read_range(reader: Reader, category: str, value_type: ValueType) -> RangeType:
    if category == "Flat":
        reader.forbid("range_type", "a Flat rule has no ranges.")
        return RangeType.AMOUNT
    found = reader.choice("range_type", RangeType, RANGE_ALIASES)
    if found is None:
        if not reader.has("range_type"):
            reader.missing("range_type", "State what the tiers count: Amount, Quantity or Percentage of Quota.")
        return RangeType.AMOUNT
    if found.level is not None and category != "Slab":
        reader.refuse(
            Code.FIELD_FORBIDDEN, "range_type", f"{found} belongs to one sale and cannot be filled up.", "Use Slab."
        )
    if found in _PORTIONS and (category != "Tiered" or value_type is not ValueType.PERCENTAGE):
        reader.refuse(
            Code.FIELD_FORBIDDEN, "range_type", f"{found} is filled by percentages.", "Use Tiered with Percentage."
        )
    return found


def _measured(reader: Reader, kind: _Kind) -> Base:
    """What amounts and quotas count, where `range_base` does not say: units for a units target, else the base."""
    units = (reader.text("plan_type") or "").lower() == "units target"
    return Base.UNITS if units and kind.range_type is RangeType.QUOTA_PERCENT else kind.base


def _read_accumulation(reader: Reader, kind: _Kind, around: Surroundings) -> Accumulation:
    stated = reader.choice("accumulation", Accumulation, {"period": Accumulation.PERIOD, "month": Accumulation.PERIOD})
    if kind.range_type.level is None:
        return stated or around.accumulation
    if stated not in {None, Accumulation.TRANSACTION}:
        reader.refuse(
            Code.FIELD_FORBIDDEN,
            "accumulation",
            f"{kind.range_type} belongs to one sale, so nothing is accumulated.",
            "Use transaction, or leave it out.",
        )
    return Accumulation.TRANSACTION


def _read_scope(reader: Reader) -> Scope:
    inner = reader.one("scope")
    if inner is None:
        return Scope()
    scope = read_scope(inner)
    inner.finish()
    return scope


def _read_schemes(
    reader: Reader, kind: _Kind, around: Surroundings, columns: tuple[str | None, Level | None, Bands] | None
) -> tuple[Scheme, ...]:
    """The tables of a rule: one, or one for each column of a matrix; none when there is a problem."""
    if columns is None:
        if reader.has("columns"):
            _know_all(reader)
            return ()
        scheme = _read_scheme(reader, kind, around)
        return () if scheme is None else (scheme,)
    _know_tables(reader)
    count = len(columns[2].floors)
    found = [_read_scheme(of_column(reader, index, count), kind, around) for index in range(count)]
    schemes = tuple(scheme for scheme in found if scheme is not None)
    return schemes if len(schemes) == count else ()


def _know_tables(reader: Reader) -> None:
    reader.ignore("tiers", "commission", "rates", "points", "interpolation", "extrapolate", "below", "boundary")
    reader.ignore("cap_range")


def _check_together(reader: Reader, rule: Rule) -> None:
    """Refuse fields that have no meaning beside each other."""
    if rule.pool and (rule.holdback or rule.payout_split):
        name = "holdback" if rule.holdback else "payout_split"
        reader.forbid(name, "a pool is shared out among its members at once.")
    columns = rule.columns
    if columns is None:
        return
    if rule.range_type in _PORTIONS:
        reader.forbid("columns", f"{rule.range_type} grows with the rates of one table.")
    if columns.level is not None and pays_once(rule):
        reader.forbid("columns", "what is paid for the window as a whole cannot be chosen by each sale; use a measure.")


def _read_step(reader: Reader, kind: _Kind) -> Decimal | None:
    """The size of a step, for amounts paid for each whole one."""
    if kind.fixed_basis is not FixedBasis.PER_STEP:
        reader.forbid("step", "it is the size of the steps of `fixed_basis` per_step.")
        return None
    step = reader.amount("step")
    if step is None and not reader.has("step"):
        reader.missing("step", "Give how much one amount is paid for, such as 1000 for 50 on every full 1,000.")
    if step == ZERO:
        reader.refuse(Code.NUMBER, "step", "A step is 0.", "Send more than 0.")
    if kind.category != "Flat":
        reader.forbid("step", "only a Flat rule is paid for steps.")
    return step or None


def _read_scheme(reader: Reader, kind: _Kind, around: Surroundings) -> Scheme | None:
    boundary = reader.choice("boundary", Boundary)
    capped = reader.flag("cap_range")
    if kind.category == "Flat":
        return _read_flat(reader, kind)
    reader.forbid("rates", "only a Flat rule has rates by product or other fields.")
    reader.forbid("commission", "tiers say what is paid.")
    if kind.category == "Interpolated" and reader.has("points"):
        return _read_curve(reader, kind)
    reader.forbid("below", "only points have something below the first of them.")
    notation = Notation(
        minor_unit=ONE if kind.range_type is RangeType.QUANTITY else around.minor_unit,
        whole_numbers=kind.range_type is RangeType.QUANTITY,
        capped=capped or kind.category == "Interpolated",
        percent=kind.range_type is RangeType.QUOTA_PERCENT,
    )
    bands = read_bands(reader, "tiers", notation, boundary)
    if bands is None:
        return None
    _warn_values(reader, kind, bands.values, "tiers")
    return _interpolated(reader, kind, bands) if kind.category == "Interpolated" else _stepped(reader, kind, bands)


def _stepped(reader: Reader, kind: _Kind, bands: Bands) -> Scheme:
    if kind.category == "Tiered":
        return Tiered(bands)
    if kind.value_type is ValueType.PERCENTAGE and kind.range_type is RangeType.AMOUNT:
        for low, high, cut in zip(bands.values, bands.values[1:], bands.floors[1:], strict=False):
            if high < low:
                below, above = cut * low / HUNDRED, (cut + ONE) * high / HUNDRED
                reader.warn(
                    Code.SLAB_CLIFF_DOWN,
                    "tiers",
                    f"More pays less: {number(below)} at {number(cut)}, {number(above)} at {number(cut + ONE)}.",
                    "Use Tiered when each rate is meant for its own part only.",
                )
    return Slab(bands)


def _interpolated(reader: Reader, kind: _Kind, bands: Bands) -> Scheme | None:
    if kind.value_type is not ValueType.FIXED:
        reader.refuse(
            Code.FIELD_MISSING,
            "points",
            "Tiers are interpolated with Fixed Amounts: each is the amount for the whole tier.",
            "For rates on a line between points give `points`: [{at, commission}].",
        )
        return None
    if bands.ceiling is None:
        reader.refuse(
            Code.TIER_OPEN,
            "tiers",
            "An open tier cannot be paid pro rata.",
            "Give the last `to`; above nothing is paid.",
        )
        return None
    return ProRata(bands)


def _read_flat(reader: Reader, kind: _Kind) -> Flat | None:
    reader.forbid("points", "only an Interpolated rule has points.")
    value = reader.factor("commission") if kind.value_type is not ValueType.FIXED else reader.amount("commission")
    rates = tuple(_read_rates(reader))
    if reader.has("tiers"):
        value = _flat_tier(reader)
    elif value is None and not reader.has("commission"):
        if not rates:
            reader.missing("commission", "Give the rate, in points (5 is 5 %), or the amount.")
            return None
        value = ZERO
    if value is None:
        return None
    _warn_values(reader, kind, (value,), "tiers" if reader.has("tiers") else "commission")
    ordered = sorted(rates, key=lambda rate: rate[0].weight, reverse=True)
    for scope, _ in rates:
        if sum(scope == other for other, _ in rates) > 1:
            reader.refuse(Code.DUPLICATE, "rates", "Two rates are for the same sales.", "Keep one of them.")
            break
    return Flat(value, tuple(ordered))


def _read_rates(reader: Reader) -> Iterator[tuple[Scope, Decimal]]:
    for row in reader.many("rates"):
        value, scope = row.factor("commission"), read_scope(row)
        row.finish()
        if not row.has("commission"):
            row.missing("commission", "Give the rate for these sales.")
        if not scope.wanted:
            row.missing("product", "Name what the rate is for: product, territory, customer, attributes, ...")
        if value is not None and scope.wanted:
            yield scope, value


def _flat_tier(reader: Reader) -> Decimal | None:
    """The value of a Flat rule's only tier, {from: 0, to: null}."""
    bands = read_bands(reader, "tiers", Notation(), None)
    if bands is None:
        return None
    value, *others = bands.values
    if others:
        reader.refuse(Code.TIER_COUNT, "tiers", "A Flat rule has one tier.", "Use Slab or Tiered for several.")
        return None
    return value


def _read_curve(reader: Reader, kind: _Kind) -> Curve | None:
    reader.forbid("tiers", "points say what is paid.")
    points, complete, slope = _read_points(reader.many("points", _POINTS_MAX))
    marginal = reader.raw("interpolation")
    if marginal not in (None, "whole", "marginal"):
        reader.refuse(Code.UNKNOWN, "interpolation", "This is not known.", "Allowed are: whole, marginal.")
    extrapolate = reader.flag("extrapolate")
    if not complete or not points:
        return None
    if any(low[0] >= high[0] for low, high in pairwise(points)):
        reader.refuse(Code.TIER_OVERLAP, "points", "The points do not ascend.", "Sort them by `at`, each once.")
        return None
    xs, values = tuple(at for at, _ in points), tuple(value for _, value in points)
    _warn_values(reader, kind, values, "points")
    return Curve(xs, values, marginal == "marginal", extrapolate, slope, _read_below(reader, xs[0]))


def _read_points(rows: Sequence[Reader]) -> tuple[list[tuple[Decimal, Decimal]], bool, Decimal | None]:
    """The points, whether all of them could be read, and the slope behind the last.

    A point without a value lies on the slope of the point before.
    """
    points: list[tuple[Decimal, Decimal]] = []
    slope: Decimal | None = None
    for row in rows:
        at, value, rise = row.amount("at"), row.factor("commission"), slope
        slope = row.factor("slope")
        if value is None and not row.has("commission") and rise is not None and points and at is not None:
            value = points[-1][1] + rise * (at - points[-1][0])
        for name in ("at", "commission"):
            if not row.has(name) and (name == "at" or value is None):
                row.missing(
                    name,
                    "Give where the point is (`at`) and what is paid there (`commission`, or the `slope` of the point"
                    " before: by how much it rises for each unit).",
                )
        row.finish()
        if at is not None and value is not None:
            points.append((at, value))
    return points, len(points) == len(rows), slope


def _read_below(reader: Reader, first: Decimal) -> Below:
    below = reader.choice("below", Below) or Below.ZERO
    if below is Below.ORIGIN and first == ZERO:
        reader.forbid("below", "the first point is at 0, so nothing lies below it.")
        return Below.ZERO
    return below


def _warn_values(reader: Reader, kind: _Kind, values: Sequence[Decimal], name: str) -> None:
    if kind.value_type is not ValueType.PERCENTAGE:
        return
    for value in values:
        if ZERO < value < ONE:
            reader.warn(
                Code.LOOKS_LIKE_FRACTION,
                name,
                f"{number(value)} is read as {number(value)} %, so 100,000 pays {number(value * 1000)}.",
                f"Write {number(value * HUNDRED)} if {number(value * HUNDRED)} % is meant.",
            )
        if value > HUNDRED:
            reader.warn(
                Code.RATE_ABOVE_100, name, f"{number(value)} % pays more than the base.", "Check that it is meant."
            )


def _read_accelerators(reader: Reader) -> Accelerators | None:
    if not reader.has("accelerators"):
        return None
    if isinstance(reader.raw("accelerators"), list):
        bands = read_bands(reader, "accelerators", replace(_MULTIPLIER, percent=True), None)
        return None if bands is None else Accelerators(bands)
    inner = Reader(reader.raw("accelerators"), reader.at("accelerators"), reader.collected)
    bands = read_bands(inner, "tiers", _MULTIPLIER, inner.choice("boundary", Boundary))
    measure = inner.choice("measure", RangeType, RANGE_ALIASES) or RangeType.QUOTA_PERCENT
    applies = inner.choice("applies_to", AppliesTo) or AppliesTo.MARGINAL
    when = inner.raw("attainment")
    if when not in ("before", "after", None):
        inner.refuse(Code.UNKNOWN, "attainment", "This is not known.", "Allowed are: before, after (each sale).")
    if measure not in {RangeType.QUOTA_PERCENT, RangeType.AMOUNT, RangeType.QUANTITY}:
        inner.refuse(
            Code.UNKNOWN, "measure", f"{measure} is no measure here.", "Use Percentage of Quota, Amount or Quantity."
        )
    inner.finish()
    return None if bands is None else Accelerators(bands, measure, applies, when == "before")


def _read_multipliers(reader: Reader) -> tuple[tuple[Scope, Decimal], ...]:
    found: list[tuple[Scope, Decimal]] = []
    for row in reader.many("multipliers"):
        scope, multiplier = read_scope(row), row.factor("multiplier")
        if not row.has("multiplier"):
            row.missing("multiplier", "Give the multiplier for these sales.")
        row.finish()
        warn_multiplier(row, "multiplier", multiplier)
        if multiplier is not None:
            found.append((scope, multiplier))
    return tuple(found)


def _read_rounding(reader: Reader, around: Surroundings) -> Decimal | None:
    """What results are rounded to: a multiple of the currency's minor unit."""
    unit = reader.amount("rounding")
    if unit is None:
        return None
    if unit <= ZERO or unit % around.minor_unit:
        reader.refuse(
            Code.NUMBER,
            "rounding",
            f"{unit:f} is no multiple of the currency's smallest amount, {around.minor_unit:f}.",
            "Leave it out to round to the smallest amount, or send 1, 10, 0.05, ...",
        )
        return None
    return unit


def _check_span(reader: Reader, rule: Rule) -> None:
    if rule.valid_from is not None and rule.valid_to is not None and rule.valid_from > rule.valid_to:
        reader.refuse(Code.DATE, "valid_to", "It ends before it begins.", "Let `valid_to` be the later day.")
