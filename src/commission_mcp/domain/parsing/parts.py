"""Small pieces of the form that occur in several places: scopes, limits, thresholds, draws, figures, periods."""

from __future__ import annotations

from decimal import Decimal

from commission_mcp.domain.money import HUNDRED, ONE, ZERO
from commission_mcp.domain.parsing.reader import Collected, Reader
from commission_mcp.domain.periods import Period, named_period
from commission_mcp.domain.plan import Draw
from commission_mcp.domain.rules import (
    DIMENSIONS,
    AppliesTo,
    CapPer,
    Gate,
    Limit,
    Member,
    RangeType,
    Scope,
    Threshold,
    ThresholdMode,
    TierOverride,
)
from commission_mcp.domain.sales import Base, Fact, Facts
from commission_mcp.errors import Code

BASE_ALIASES = {
    "gross": Base.GROSS,
    "net": Base.NET,
    "revenue": Base.GROSS,
    "cash": Base.CASH,
    "quantity": Base.UNITS,
    "gross margin": Base.MARGIN,
}
RANGE_ALIASES = {
    "% of quota": RangeType.QUOTA_PERCENT,
    "attainment": RangeType.QUOTA_PERCENT,
    "units": RangeType.QUANTITY,
}
# The names that the wizard uses for a dimension, and ours.
_SPELLINGS = {"businesspartner": "customer", "business_partner": "customer"}
_MULTIPLIER_USUAL_MAX = Decimal(10)


def dimension(name: str) -> str:
    """Our name of a dimension: `BusinessPartner` is `customer`."""
    lower = name.lower()
    return _SPELLINGS.get(lower, lower)


def read_scope(reader: Reader) -> Scope:
    """The dimensions that an object names, each with one value or a list of values."""
    names = (*DIMENSIONS, "BusinessPartner", "business_partner", "Territory", "Product", "Plant", "Group")
    read = [(dimension(name), frozenset(reader.texts(name))) for name in names]
    wanted = [(name, values) for name, values in read if values]
    if (attributes := reader.one("attributes")) is not None:
        free = [(f"attributes.{name}", frozenset(attributes.texts(name))) for name in attributes.names()]
        wanted += [(name, values) for name, values in free if values]
    return Scope(tuple(wanted))


def read_labels(reader: Reader) -> dict[str, str]:
    """What a sale says of itself, by dimension; the payee is not among them."""
    labels: dict[str, str] = {}
    for name in (*DIMENSIONS[1:], "BusinessPartner", "business_partner"):
        if (value := reader.text(name)) is not None:
            labels[dimension(name)] = value
    for name, value in reader.mapping("attributes").items():
        if isinstance(value, str) and value.strip():
            labels[f"attributes.{name}"] = value.strip()
        elif value is not None:
            reader.refuse(Code.FIELD_TYPE, f"attributes.{name}"[:80], "This is no text.", "Send a text.")
    return labels


def read_limit(reader: Reader, name: str, pers: type[CapPer] = CapPer) -> Limit | None:
    """A cap or floor: an amount, or `{amount | percent_of_target, per}`."""
    if not reader.has(name):
        return None
    if not isinstance(reader.raw(name), dict):
        at = reader.amount(name)
        return None if at is None else Limit(at)
    inner = Reader(reader.raw(name), reader.at(name), reader.collected)
    at, points = inner.amount("amount"), inner.factor("percent_of_target")
    per = inner.choice("per", pers) or CapPer.PERIOD
    inner.finish()
    value = points if at is None else at
    if value is None or (at is not None and points is not None):
        inner.missing("amount", "Give either `amount` or `percent_of_target`.")
        return None
    return Limit(value, at is None, per)


def read_threshold(reader: Reader) -> Threshold | None:
    """A threshold: an amount, or `{amount | quantity | percent_of_quota, mode}`."""
    if not reader.has("threshold"):
        return None
    if not isinstance(reader.raw("threshold"), dict):
        at = reader.amount("threshold")
        return None if at is None else Threshold(at)
    inner = Reader(reader.raw("threshold"), reader.at("threshold"), reader.collected)
    marks = {
        RangeType.AMOUNT: inner.amount("amount"),
        RangeType.QUANTITY: inner.amount("quantity"),
        RangeType.QUOTA_PERCENT: inner.factor("percent_of_quota"),
    }
    mode = inner.choice("mode", ThresholdMode) or ThresholdMode.CLIFF
    inner.finish()
    given = [(measure, at) for measure, at in marks.items() if at is not None]
    if len(given) != 1:
        inner.missing("amount", "Give one of `amount`, `quantity` and `percent_of_quota`.")
        return None
    return Threshold(given[0][1], given[0][0], mode)


def read_tier_override(reader: Reader, default: AppliesTo) -> TierOverride | None:
    """`client_tier_overrides`: above `premium_threshold`, `enterprise_multiplier` times the commission."""
    inner = reader.one("client_tier_overrides")
    if inner is None:
        return None
    at, multiplier = inner.amount("premium_threshold"), inner.factor("enterprise_multiplier")
    applies = inner.choice("applies_to", AppliesTo) or default
    inner.finish()
    for name, value in (("premium_threshold", at), ("enterprise_multiplier", multiplier)):
        if value is None and not inner.has(name):
            inner.missing(name, "Give both `premium_threshold` and `enterprise_multiplier`.")
    warn_multiplier(inner, "enterprise_multiplier", multiplier)
    return None if at is None or multiplier is None else TierOverride(at, multiplier, applies)


def warn_multiplier(reader: Reader, name: str, multiplier: Decimal | None) -> None:
    """Warn of multipliers that are probably not meant."""
    if multiplier is not None and (multiplier == ZERO or multiplier > _MULTIPLIER_USUAL_MAX):
        reader.warn(Code.MULTIPLIER, name, f"A multiplier of {multiplier:f} is unusual.", "Check that it is meant.")


def read_gates(reader: Reader) -> tuple[Gate, ...]:
    """`gates`: conditions such as `{"product": "locks", "min_quantity": 1}`; all must hold."""
    gates: list[Gate] = []
    for row in reader.many("gates"):
        gate = Gate(
            read_scope(row),
            row.amount("min_quantity"),
            row.amount("min_amount"),
            row.amount("min_transactions"),
            row.factor("min_attainment"),
            row.text("measure"),
            row.amount("at_least", negative=True),
            row.amount("at_most", negative=True),
        )
        row.finish()
        _check_gate(row, gate)
        gates.append(gate)
    return tuple(gates)


def _check_gate(row: Reader, gate: Gate) -> None:
    asked = gate.at_least is not None or gate.at_most is not None
    own = (gate.quantity_min, gate.amount_min, gate.transactions_min, gate.attainment_min)
    if gate.measure is not None and (not asked or gate.scope.wanted or any(least is not None for least in own)):
        row.missing("at_least", "For a `measure` give `at_least` or `at_most`, and nothing else beside them.")
    elif gate.measure is None and asked:
        row.missing("measure", "`at_least` and `at_most` are of a `measure`; name it, or use min_quantity, min_amount.")
    elif gate == Gate(gate.scope):
        row.missing(
            "min_quantity",
            "Give min_quantity, min_amount, min_transactions or min_attainment, or `measure` with `at_least`.",
        )


def read_pool(reader: Reader) -> tuple[Member, ...]:
    """`pool`: the members of a team that share what the rule earns, by weight."""
    members: list[Member] = []
    for row in reader.many("pool"):
        payee, weight = row.text("payee"), row.factor("weight")
        if payee is None and not row.has("payee"):
            row.missing("payee", "Name the member.")
        row.finish()
        if payee is not None:
            members.append(Member(payee, ONE if weight is None and not row.has("weight") else weight or ZERO))
    if members and sum((member.weight for member in members), ZERO) == ZERO:
        reader.refuse(Code.NUMBER, "pool", "All weights are 0.", "Give at least one weight above 0.")
    if len({member.payee for member in members}) < len(members):
        reader.refuse(Code.DUPLICATE, "pool", "A payee is a member twice.", "Name each member once.")
    return tuple(members)


def read_draw(reader: Reader) -> Draw | None:
    """`draw`: `{amount, recoverable, recovery_percent}`, for each calculation period."""
    inner = reader.one("draw")
    if inner is None:
        return None
    amount, recoverable = inner.amount("amount"), inner.flag("recoverable")
    if not inner.has("amount"):
        inner.missing("amount", "Give the draw for each calculation period.")
    if not inner.has("recoverable"):
        inner.missing("recoverable", "State true when the draw is paid back from later commissions, else false.")
    points = inner.factor("recovery_percent")
    if points is not None and not (recoverable and ZERO < points <= HUNDRED):
        inner.refuse(
            Code.NUMBER,
            "recovery_percent",
            "It is the part of what is earned above the draw that a recoverable draw takes back.",
            "Send points above 0 up to 100, with `recoverable` true.",
        )
        points = None
    inner.finish()
    return None if amount is None else Draw(amount, recoverable, HUNDRED if points is None else points)


def read_facts(reader: Reader, name: str) -> Facts:
    """A figure of the context: a number, `{payee: number}`, or `[{payee, period, rule, amount}]`."""
    value = reader.raw(name)
    if value is None:
        return Facts()
    if isinstance(value, list):
        rows = [_fact(row) for row in reader.many(name)]
        return Facts(tuple(fact for fact in rows if fact is not None))
    if isinstance(value, dict):
        inner = Reader(reader.raw(name), reader.at(name), reader.collected)
        stated = [(payee, inner.amount(payee)) for payee in inner.names()]
        return Facts(tuple(Fact(amount, payee) for payee, amount in stated if amount is not None))
    amount = reader.amount(name)
    return Facts() if amount is None else Facts((Fact(amount),))


def _fact(row: Reader, *, negative: bool = False) -> Fact | None:
    payee, amount, period = row.text("payee"), row.amount("amount", negative=negative), read_period(row, "period")
    rule = row.text("rule") or row.text("measure")
    row.ignore("measure")
    if not row.has("amount"):
        row.missing("amount", "Give the figure.")
    row.finish()
    return None if amount is None else Fact(amount, payee, period, rule)


def read_figures(reader: Reader, name: str) -> Facts:
    """Figures of measures: `{measure: number}`, or `[{measure, payee, period, amount}]`."""
    value = reader.raw(name)
    if value is None:
        return Facts()
    if isinstance(value, dict):
        inner = Reader(reader.raw(name), reader.at(name), reader.collected)
        stated = [(measure, inner.amount(measure, negative=True)) for measure in inner.names()]
        return Facts(tuple(Fact(amount, None, None, measure) for measure, amount in stated if amount is not None))
    rows = reader.many(name)
    for row in rows:
        if not row.has("measure"):
            row.missing("measure", "Name the measure.")
    facts = [_fact(row, negative=True) for row in rows]
    return Facts(tuple(fact for fact in facts if fact is not None))


def read_period(reader: Reader, name: str) -> Period | None:
    """A period: `2026-07`, `2026-Q3`, `2026`, or `{from, to}` with both days included."""
    value = reader.raw(name)
    if value is None:
        return None
    if isinstance(value, dict):
        inner = Reader(reader.raw(name), reader.at(name), reader.collected)
        return read_span(inner)
    period = named_period(value) if isinstance(value, str) else None
    if period is None or not 1900 <= period.start.year < 2200:  # noqa: PLR2004 - the years that dates may have
        reader.refuse(
            Code.DATE, name, "This is no period.", 'Send "2026-07", "2026-Q3", "2026" or {"from": ..., "to": ...}.'
        )
        return None
    return period


def read_span(inner: Reader) -> Period | None:
    """An object with `from` and `to`, both needed and included."""
    start, end = inner.day("from"), inner.day("to")
    for name in ("from", "to"):
        if not inner.has(name):
            inner.missing(name, "Give both days; both are included.")
    inner.finish()
    if start is None or end is None:
        return None
    if start > end:
        inner.refuse(Code.DATE, "to", "It ends before it begins.", "Let `to` be the later day.")
        return None
    return Period(start, end)


def read_share(reader: Reader, name: str) -> Decimal | None:
    """A share of a sale: points such as "33.33", or an exact fraction such as "1/3"; as a part of 1."""
    value = reader.raw(name)
    if isinstance(value, str) and "/" in value:
        above, _, below = value.partition("/")
        inner = Reader({"above": above.strip(), "below": below.strip()}, reader.at(name), Collected())
        top, bottom = inner.count("above"), inner.count("below")
        if top is not None and bottom:
            return Decimal(top) / bottom
        reader.refuse(Code.NUMBER, name, f"{value[:40]!r} is no fraction.", 'Write a fraction as "1/3".')
        return None
    points = reader.factor(name)
    if points is not None and ZERO < points < ONE:
        reader.warn(
            Code.LOOKS_LIKE_FRACTION,
            name,
            f"{points:f} is read as {points:f} % of the sale.",
            f"Write {(points * HUNDRED).normalize():f} if {(points * HUNDRED).normalize():f} % is meant.",
        )
    return None if points is None else points / HUNDRED
