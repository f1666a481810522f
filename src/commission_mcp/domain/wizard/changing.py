"""Changing the rates of a rule by so many points, or by a factor; "by 1 %" can mean either, and is never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from commission_mcp.domain.money import HUNDRED, ONE, RATE_DECIMALS_MAX, ZERO, exact, plain, read_number
from commission_mcp.errors import Code, Problem, Refused

_NUMBER = r"(\d{1,9}(?:\.\d{1,8})?)"
_POINTS = re.compile(rf"{_NUMBER}\s*(?:pts?|pp|points?|percentage\s+points?)\b", re.IGNORECASE)
_PERCENT = re.compile(rf"{_NUMBER}\s*(?:%|per\s*cent\b)", re.IGNORECASE)
_FACTOR = re.compile(rf"(?:x|\*|times)\s*{_NUMBER}", re.IGNORECASE)
_DOWN = re.compile(r"-|\b(?:decrease|reduce|lower|cut|less|minus)\w*", re.IGNORECASE)
MEANINGS = ("points", "relative")
FIELDS = ("tiers", "commission", "rates", "points")


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to every rate: `plus` is added, or it is multiplied by `factor`."""

    plus: Decimal = ZERO
    factor: Decimal = ONE

    def of(self, rate: Decimal) -> Decimal:
        """The changed rate, at most 8 decimals."""
        with exact():
            changed = (rate + self.plus) * self.factor
            return (
                changed.quantize(ONE.scaleb(-RATE_DECIMALS_MAX)) if _decimals(changed) > RATE_DECIMALS_MAX else changed
            )

    def of_rule(self, rule: Mapping[str, object]) -> dict[str, object]:
        """The rule's paying fields, changed."""
        return {name: self._changed(rule[name]) for name in FIELDS if rule.get(name) is not None}

    def _changed(self, value: object) -> object:
        if isinstance(value, list):
            return [self._changed(one) for one in cast("list[object]", value)]
        if isinstance(value, Mapping):
            return self._row(cast("Mapping[str, object]", value))
        number = read_number(value, RATE_DECIMALS_MAX)
        return value if isinstance(number, str) else plain(self.of(number))

    def _row(self, row: Mapping[str, object]) -> object:
        fields = dict(row)
        slope = read_number(fields.get("slope"), RATE_DECIMALS_MAX)
        if not isinstance(slope, str):
            fields["slope"] = plain(slope * self.factor)  # points more at both ends of a stretch leave it as steep
        return {**fields, "commission": self._changed(fields["commission"])} if "commission" in fields else fields


def read_change(text: str, meaning: str | None, rates: list[Decimal], *, fixed: bool) -> Change:
    """What a change such as "+1pt", "x1.01" or "increase by 1 %" does.

    Args:
        text: The change.
        meaning: `points` or `relative`, where the author said which.
        rates: The rates that it would change, to show both readings.
        fixed: The values are amounts, of which a percentage has one meaning only.

    Raises:
        Refused: with `E_CHANGE_AMBIGUOUS`, showing both readings, or `E_UNKNOWN`.
    """
    down = -ONE if _DOWN.search(text) else ONE
    if match := _POINTS.search(text):
        if fixed:
            raise _refused("Amounts have no percentage points.", 'Send a factor such as "x1.01", or new tiers.')
        return Change(plus=down * Decimal(match[1]))
    if match := _FACTOR.search(text):
        return Change(factor=Decimal(match[1]))
    match = _PERCENT.search(text)
    if match is None:
        raise _refused(
            f"{text[:60]!r} is no change of rates.", 'Send "+1pt" (points), "x1.01" (a factor), or new `tiers`.'
        )
    by_points = Change(plus=down * Decimal(match[1]))
    by_factor = Change(factor=ONE + down * Decimal(match[1]) / HUNDRED)
    if fixed or meaning == "relative":
        return by_factor
    if meaning != "points":
        raise _which(text, match[1], by_points, by_factor, rates)
    return by_points


def rates_of_rule(rule: Mapping[str, object]) -> list[Decimal]:
    """The rates that a rule pays, as far as they are numbers."""
    found: list[Decimal] = []
    for name in FIELDS:
        value = rule.get(name)
        rows = cast("list[object]", value) if isinstance(value, list) else [{"commission": value}]
        for row in rows:
            stated = cast("Mapping[str, object]", row).get("commission") if isinstance(row, Mapping) else row
            listed = cast("list[object]", stated) if isinstance(stated, list) else [stated]
            numbers = [read_number(one, RATE_DECIMALS_MAX) for one in listed]
            found += [number for number in numbers if not isinstance(number, str)]
    return found


def slashed(rates: Iterable[Decimal]) -> str:
    """Rates as people write them in a row: 5.05/7.07/10.10."""
    texts = [plain(rate) for rate in rates]
    places = max((len(text.partition(".")[2]) for text in texts), default=0)
    return "/".join(f"{Decimal(text):.{places}f}" for text in texts)


def _which(text: str, size: str, by_points: Change, by_factor: Change, rates: list[Decimal]) -> Refused:
    sign = "-" if by_points.plus < ZERO else "+"
    points, relative = slashed(map(by_points.of, rates)), slashed(map(by_factor.of, rates))
    problem = Problem(
        Code.CHANGE_AMBIGUOUS,
        f"{text[:60]!r} can mean two things for {slashed(rates)}: {size} percentage points make {points}; "
        f"{size} per cent of each rate makes {relative}.",
        f'Ask which is meant. Send `change` "{sign}{size}pt" for {points}, or "x{plain(by_factor.factor)}" for '
        f"{relative}.",
        "change",
    )
    return Refused(problem)


def _refused(message: str, fix: str) -> Refused:
    return Refused(Problem(Code.UNKNOWN, message, fix, "change"))


def _decimals(number: Decimal) -> int:
    return -min(0, int(number.as_tuple().exponent))
