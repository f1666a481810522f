"""One cell of an imported file: the text a person wrote, read as a value or refused with the reason.

Nothing is guessed. A number with a comma means one thousand in one country and one in another, and 01/02/2026 is two
different days, so both are refused with the form that can only mean one thing. Values stay text in a canonical form;
the database makes them numeric and date, so that no amount ever passes through binary floating point.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

DECIMALS_MAX = 6
WHOLE_DIGITS_MAX = 14
SHARE_DECIMALS_MAX = 12
TEXT_LENGTH_MAX = 1000
YEAR_MIN, YEAR_MAX = 1900, 2199

_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]+)(?:\.(?P<decimals>[0-9]+))?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FLAGS = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}
_SHOWN_LENGTH_MAX = 60

_NUMBER_FORMS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"[+-]?nan|[+-]?inf(inity)?", re.IGNORECASE), "is not an amount", "leave the cell empty when unknown"),
    (re.compile(r"[+-]?[0-9.]+e[+-]?[0-9]+", re.IGNORECASE), "has an exponent", "write all digits, such as 1200000"),
    (re.compile(r"\(.+\)"), "has accounting parentheses", "write a minus sign, such as -12.50"),
    (re.compile(r".*%.*"), "has a percent sign", "write the number alone"),
    (re.compile(r"[+-]?[0-9]{1,3}([,' _\u00a0\u202f\u2019][0-9]{3}){2,}(\.[0-9]*)?"), "has thousands separators",
     "write the digits alone, such as 1234567.50"),
    (re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]*"), "has thousands separators",
     "write the digits alone, such as 1234.50"),
    (re.compile(r"[+-]?[0-9]{1,3}[' _\u00a0\u202f\u2019][0-9]{3}(\.[0-9]*)?"), "has a thousands separator",
     "write the digits alone, such as 1234.50"),
    (re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}"), "has a comma, which could separate thousands or decimals",
     "write the digits alone, with a point before decimals, such as 1234.50"),
    (re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]*"), "has thousands separators and a decimal comma",
     "write the digits alone, with a point before decimals, such as 1234.50"),
    (re.compile(r"[+-]?[0-9]*,[0-9]*"), "has a decimal comma", "write a decimal point, such as 1234.5"),
    (re.compile(r"[+-]?(\.[0-9]+|[0-9]+\.)"), "has no digit on one side of the point", "write 0.5 or 5"),
    (re.compile(r"[\u2212\u2013\u2014].*"), "has a typographic minus", "write a hyphen, such as -12.50"),
)  # fmt: skip # one case a row: pattern, what is wrong, fix
_DATE_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}"), "is ambiguous: day or month first"),
    (re.compile(r"[0-9]{1,2}[.-][0-9]{1,2}[.-][0-9]{2,4}"), "does not start with the year"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].+"), "has a time of day"),
    (re.compile(r"[0-9]{5}(\.[0-9]+)?"), "is a spreadsheet's day number"),
)
_DATE_FIX = "write YYYY-MM-DD, such as 2026-01-31, the day in the client's time zone"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a cell cannot be used: what is wrong, and what to write instead."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Shares:
    """Who is credited with a sale, in the order of the payees: fractions that sum to exactly 1."""

    payees: tuple[str, ...]
    fractions: tuple[str, ...]


Value: TypeAlias = str | Shares
Parser: TypeAlias = Callable[[str], Value | Fault]


def shown(text: str) -> str:
    """A value as it is quoted in a message: visible, on one line, and short."""
    visible = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return f"{visible[:_SHOWN_LENGTH_MAX]!r}{'...' if len(visible) > _SHOWN_LENGTH_MAX else ''}"


def text(cell: str) -> str | Fault:
    """Text on one line."""
    if len(cell) > TEXT_LENGTH_MAX:
        return Fault(f"{shown(cell)} has {len(cell)} characters", f"write at most {TEXT_LENGTH_MAX}")
    if cell.isascii() and cell.isprintable():
        return cell
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in cell):
        return Fault(f"{shown(cell)} contains a line break or a control character", "write it as one plain line")
    return cell


def number(cell: str, *, decimals_max: int = DECIMALS_MAX) -> str | Fault:
    """A decimal number as digits: sign, digits, and a point before decimals."""
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return _not_a_number(cell)
    sign, whole, decimals = match["sign"], match["whole"].lstrip("0") or "0", match["decimals"] or ""
    if len(decimals) > decimals_max:
        decimals = decimals[:decimals_max] + decimals[decimals_max:].rstrip("0")
    if len(decimals) > decimals_max:
        return Fault(f"{shown(cell)} has {len(decimals)} decimals", f"write at most {decimals_max}")
    if len(whole) > WHOLE_DIGITS_MAX:
        return Fault(f"{shown(cell)} is out of range", f"write at most {WHOLE_DIGITS_MAX} digits before the point")
    minus = "-" if sign == "-" and (whole != "0" or decimals.strip("0")) else ""
    return f"{minus}{whole}.{decimals}" if decimals else f"{minus}{whole}"


def positive(cell: str) -> str | Fault:
    """A decimal number above zero."""
    value = number(cell)
    if isinstance(value, str) and Decimal(value) <= 0:
        return Fault(f"{shown(cell)} is not above 0", "write a number above 0")
    return value


def not_negative(cell: str) -> str | Fault:
    """A decimal number that is zero or more."""
    value = number(cell)
    if isinstance(value, str) and value.startswith("-"):
        return Fault(f"{shown(cell)} is below 0", "write 0 or more")
    return value


def day(cell: str) -> str | Fault:
    """A calendar day, written YYYY-MM-DD."""
    if _DATE.fullmatch(cell) is None:
        reasons = (reason for form, reason in _DATE_FORMS if form.fullmatch(cell))
        return Fault(f"{shown(cell)} {next(reasons, 'is not a date')}", _DATE_FIX)
    try:
        read = date.fromisoformat(cell)
    except ValueError:
        return Fault(f"{shown(cell)} is not a day of the calendar", _DATE_FIX)
    if not YEAR_MIN <= read.year <= YEAR_MAX:
        return Fault(f"{shown(cell)} is out of range", f"write a year from {YEAR_MIN} to {YEAR_MAX}")
    return cell


def flag(cell: str) -> str | Fault:
    """Yes or no."""
    value = _FLAGS.get(cell.lower())
    return Fault(f"{shown(cell)} is neither true nor false", "write true or false") if value is None else value


def choice(*allowed: str) -> Parser:
    """One of a few words, as they are written here."""
    by_name = {word.lower(): word for word in allowed}

    def parse(cell: str) -> str | Fault:
        word = by_name.get(cell.lower())
        return Fault(f"{shown(cell)} is not a choice", f"write {', '.join(allowed)}") if word is None else word

    return parse


def shares(cell: str) -> Shares | Fault:
    """Credits of a sale, written ``payee:fraction;payee:fraction``."""
    fractions: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        payee, colon, written = (piece.strip() for piece in part.rpartition(":"))
        fraction = number(written, decimals_max=SHARE_DECIMALS_MAX)
        if not colon or not payee or isinstance(fraction, Fault) or not 0 < Decimal(fraction) <= 1:
            return Fault(f"{shown(part)} is not a payee and a fraction", "write payee:fraction, such as p1:0.5;p2:0.5")
        if isinstance(text(payee), Fault):
            return Fault(f"{shown(part)} does not name a payee", "write the payee's key on one line")
        if payee in fractions:
            return Fault(f"{shown(payee)} is credited twice", "name each payee once")
        fractions[payee] = fraction
    total = sum(map(Decimal, fractions.values()), Decimal(0))
    if total != 1:
        return Fault(f"{shown(cell)} sums to {total:f}, not 1", "write fractions that sum to exactly 1")
    return Shares(tuple(sorted(fractions)), tuple(fractions[payee] for payee in sorted(fractions)))


def _not_a_number(cell: str) -> Fault:
    """Say what stands where a number is needed."""
    for form, reason, fix in _NUMBER_FORMS:
        if form.fullmatch(cell):
            return Fault(f"{shown(cell)} {reason}", fix)
    if any(unicodedata.category(character) == "Sc" for character in cell) or re.search(r"\b[A-Z]{3}\b", cell):
        return Fault(f"{shown(cell)} has a currency", "write the number alone and the currency in its own column")
    return Fault(f"{shown(cell)} is not a number", "write digits and a decimal point, such as 1234.50")
