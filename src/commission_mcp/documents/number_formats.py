"""Numbers of a spreadsheet as people see them: percentages, currencies, thousands, dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

SIGNIFICANT_DIGITS = 15
"""As many as a spreadsheet keeps."""

EPOCH_1900 = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's dates have no time zone; its day 60 never was
EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 - as above
FIRST_TRUE_DAY = 61
"""Days before this are one too early, since 1900 is taken for a leap year."""

LAST_DAY = 2_958_465
"""The last day of the year 9999."""

BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0', 6: '"$"#,##0', 7: '"$"#,##0.00', 8: '"$"#,##0.00',
    9: "0%", 10: "0.00%", 14: "yyyy-mm-dd", 15: "yyyy-mm-dd", 16: "yyyy-mm-dd", 17: "yyyy-mm-dd", 18: "hh:mm",
    19: "hh:mm:ss", 20: "hh:mm", 21: "hh:mm:ss", 22: "yyyy-mm-dd hh:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00",
    40: "#,##0.00", 41: "#,##0", 42: '"$"#,##0', 43: "#,##0.00", 44: '"$"#,##0.00', 45: "mm:ss", 46: "[h]:mm:ss",
    47: "mm:ss",
}  # fmt: skip # the standard's table, some formats to a line
"""The formats that a workbook names by number only (ECMA-376, 18.8.30)."""

_CURRENCY = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_QUOTED = re.compile(r'"([^"]*)"')
_PADDING = re.compile(r"_.|\*.|\\(.)")
_DIGITS = re.compile(r"[#0?][#0?,.\s]*")
_DATE_LETTERS = re.compile(r"[ymdhs]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a number is shown.

    Attributes:
        before: What stands before it.
        after: What stands after it.
        decimals: How many decimals it shows; none for as many as it has.
        thousands: Whether thousands are grouped.
        percent: Whether it is shown in percent.
        scale: By how much it is divided first: thousands, millions.
        date: Whether it is a date or a time.
    """

    before: str = ""
    after: str = ""
    decimals: int | None = None
    thousands: bool = False
    percent: bool = False
    scale: int = 1
    date: bool = False


GENERAL = NumberFormat()


def number_format(code: str) -> NumberFormat:
    """A format by its code, such as ``#,##0.00 "EUR"``; of several sections the first."""
    section = code.split(";", maxsplit=1)[0]
    plain = _PADDING.sub(r"\1", _QUOTED.sub("", _BRACKETS.sub("", section)))
    if section.strip().lower() in {"", "general", "@"}:
        return GENERAL
    if _DATE_LETTERS.search(plain.lower().replace("general", "")):
        return NumberFormat(date=True)
    shown = _PADDING.sub(r"\1", _QUOTED.sub(r"\1", _BRACKETS.sub("", _CURRENCY.sub(r"\1", section))))
    digits = _DIGITS.search(shown)
    if digits is None or "/" in plain:  # fractions are read as decimals
        return GENERAL
    figure = digits[0].rstrip()
    whole, _, decimals = figure.partition(".")
    trailing = len(figure) - len(figure.rstrip(","))
    before, after = shown[: digits.start()].strip("( "), shown[digits.end() :].strip(") ")
    return NumberFormat(
        before=before,
        after=after.replace("%", "").strip(),
        decimals=sum(char in "#0?" for char in decimals),
        thousands="," in whole.rstrip(","),
        percent="%" in shown,
        scale=1000**trailing,
    )


def shown(text: str, how: NumberFormat, epoch: datetime = EPOCH_1900) -> str:
    """A stored number as it is shown; text that is no number as it is."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite():
        return text
    if how.date:
        return _moment(value, epoch) or plain(value)
    if how.percent:
        value *= 100
    value /= how.scale
    return f"{how.before}{_figure(value, how)}{'%' if how.percent else ''}{_apart(how.after)}"


def plain(value: Decimal) -> str:
    """A number without the noise of binary fractions."""
    rounded = Decimal(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return f"{rounded.normalize():f}"


def _figure(value: Decimal, how: NumberFormat) -> str:
    if how.decimals is None:
        return plain(value)
    exact = Decimal(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return f"{exact:{',' if how.thousands else ''}.{how.decimals}f}"


def _apart(after: str) -> str:
    return f" {after}" if after[:1].isalnum() else after


def _moment(days: Decimal, epoch: datetime) -> str:
    """A day number as an ISO date, with the time of day where it has one; a fraction of a day as a time."""
    if not 0 <= days <= LAST_DAY:
        return ""
    early = timedelta(days=1) if epoch == EPOCH_1900 and 0 < days < FIRST_TRUE_DAY - 1 else timedelta()
    seconds = int((days * 86_400).to_integral_value())
    moment = epoch + timedelta(seconds=seconds) + early
    if days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d") if seconds % 86_400 == 0 else moment.strftime("%Y-%m-%d %H:%M:%S")
