"""Money as exact decimals: reading it from text, the one place that rounds, and sharing out without a lost cent.

Nothing here ever becomes a binary float. Amounts are in the major unit of their currency (12.34 USD), rates are in
percentage points (5 is 5 %).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import cast

from commission_mcp.errors import Code, Problem, Refused

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)

AMOUNT_DECIMALS_MAX = 6
RATE_DECIMALS_MAX = 8
INTEGER_DIGITS_MAX = 18

FACTOR_MAX = Decimal(1_000_000)  # rates, multipliers and FX rates

# More digits than any product of the inputs has: an amount has 18+6; each of rate, share, FX and multipliers 7+8.
PRECISION_DIGITS = 200
_EXACT = Context(prec=PRECISION_DIGITS, rounding=ROUND_HALF_EVEN)
# A quotient such as 100/3 is right to 200 digits; what lies beyond this place is the noise of that division and must
# not decide which way a half cent goes.
_NOISE = Decimal(1).scaleb(-80)

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)

# ISO 4217: the minor units of those currencies that have other than two.
_MINOR_UNITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905 - reads as the list it is
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def exact() -> AbstractContextManager[Context]:
    """The decimal context in which everything here is computed."""
    return localcontext(_EXACT)


def is_currency(text: str) -> bool:
    """Whether the text has the form of an ISO 4217 code, such as USD."""
    return _CURRENCY.fullmatch(text) is not None


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency, in its major unit: 0.01 for USD, 1 for JPY, 0.001 for KWD."""
    return ONE.scaleb(-_MINOR_UNITS.get(currency, 2))


def round_money(amount: Decimal, unit: Decimal) -> Decimal:
    """The one place where money is rounded: to a multiple of `unit`, halves away from zero.

    This is what PostgreSQL's ``round(numeric, n)`` does, and not what Python's does.

    Args:
        amount: Exact, in the major unit.
        unit: What to round to, in the major unit: 0.01 for cents, 1 for whole units, 0.05 for five cents.
    """
    with exact():
        units = (settle(amount) / unit).quantize(ONE, rounding=ROUND_HALF_UP)
        return units * unit + ZERO  # a negative zero becomes zero


def settle(amount: Decimal) -> Decimal:
    """The amount without the noise that a non-terminating division leaves in its last digits."""
    with exact():
        return amount.quantize(_NOISE)


def allocate(total: Decimal, exact_shares: Sequence[Decimal], keys: Sequence[str], unit: Decimal) -> list[Decimal]:
    """Share out a rounded total by largest remainder, so that the parts sum to it (Hamilton's method).

    Every share is first rounded down; the units that are left go to the largest remainders, ties to the smaller key.

    Args:
        total: The rounded amount, a multiple of `unit`.
        exact_shares: What each part would be without rounding; together they are about `total`.
        keys: What decides between equal remainders, one for each share.
        unit: The smallest part of money, in the major unit.
    """
    if not exact_shares:
        return []
    with exact():
        scaled = [settle(share) / unit for share in exact_shares]
        floors = [share.quantize(ONE, rounding=ROUND_FLOOR) for share in scaled]
        left = int(total / unit - sum(floors, ZERO))
        everyone, rest = divmod(left, len(floors))
        order = sorted(range(len(floors)), key=lambda i: (floors[i] - scaled[i], keys[i]))
        lucky = frozenset(order[:rest])
        return [(floor + everyone + (i in lucky)) * unit + ZERO for i, floor in enumerate(floors)]


def read_number(value: object, decimals_max: int) -> Decimal | str:
    """A number as it comes in JSON, or in words why it is none.

    Integers and texts such as ``"-1234.56"`` are read. Refused are exponents, NaN and Infinity, thousands separators,
    leading zeros and plus signs, more decimals than allowed, and binary floats, which no longer are what was written.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to write integers of more than 4,300 digits, so they are sized without writing them.
        return Decimal(value) if abs(value) < 10**INTEGER_DIGITS_MAX else f"has more than {INTEGER_DIGITS_MAX} digits"
    if isinstance(value, float):
        return "is a binary float, which cannot hold amounts exactly"
    if not isinstance(value, str):
        return "is not a number"
    return _read_text(value, decimals_max)


def _read_text(text: str, decimals_max: int) -> Decimal | str:
    if len(text) > 2 * INTEGER_DIGITS_MAX or not _NUMBER.fullmatch(text):
        return f"{text[:40]!r} is not a plain decimal number"
    whole, _, decimals = text.lstrip("-").partition(".")
    if len(whole) > INTEGER_DIGITS_MAX:
        return f"has more than {INTEGER_DIGITS_MAX} digits before the point"
    if len(decimals.rstrip("0")) > decimals_max:
        return f"{text!r} has more than {decimals_max} decimals"
    return Decimal(text)


def plain(number: Decimal) -> str:
    """The shortest plain text of a number: no exponent, no trailing zeros, no negative zero."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def loads(text: str) -> object:
    """Read JSON without binary floats: a number with a point or an exponent arrives as its own text.

    Raises:
        Refused: with `E_JSON` when it is no JSON, is nested too deeply, or names a field twice.
    """
    try:
        return cast("object", json.loads(text, parse_float=str, parse_constant=str, object_pairs_hook=_without_doubles))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "a number or the nesting is beyond limits"
        position = error.pos if isinstance(error, json.JSONDecodeError) else None
        raise Refused(
            Problem(Code.JSON, f"This is not JSON: {reason}.", "Send one JSON object.", position=position)
        ) from None


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise Refused(Problem(Code.JSON, f"The field {name[:60]!r} occurs twice.", "Keep one of them.", name[:60]))
        fields[name] = value
    return fields
