"""A result line in words and numbers: from the credited sale to the amount, each factor named."""

from __future__ import annotations

from decimal import Decimal

from commission_mcp.domain.explanation import band_text, number, rate_text
from commission_mcp.domain.money import HUNDRED, ONE, plain, settle
from commission_mcp.domain.outcome import Kind, Line, Part
from commission_mcp.domain.rules import FixedBasis, ProRata, RangeType, Rule

_WORDS = {
    Kind.PERIOD: "for the window as a whole",
    Kind.TRUE_UP: "earlier sales of the window, at what they earn now, less what they earned before",
    Kind.RERUN: "without what was taken back, less what had been earned",
    Kind.FLOOR: "up to the floor",
    Kind.CAP: "cut off by the cap",
    Kind.POOL: "share of the pool",
    Kind.SPLIT: "split payout",
    Kind.HELD: "held back until it is due",
    Kind.RELEASED: "released of what was held back",
    Kind.CLAWBACK: "taken back",
    Kind.ADJUSTMENT: "adjustment",
    Kind.BASE_SALARY: "base salary",
    Kind.DRAW: "advance up to the draw",
    Kind.RECOVERY: "recovery of earlier draws",
}
_TERMINATING_MAX = 80  # characters; what is longer comes from a division that does not end


class LineTexts:
    """Tells lines of one plan; what is the same in many of them is put into words once."""

    def __init__(self) -> None:
        # By the rule's id, since to hash a rule takes long; `_rules` keeps them alive, so that no id comes twice.
        self._bands: dict[tuple[int, int], str] = {}
        self._rates: dict[tuple[int, Decimal, Decimal], str] = {}
        self._rules: dict[int, Rule] = {}

    def text(self, line: Line, currency: str) -> str:
        """The arithmetic of a line, as it can be checked with a pocket calculator."""
        share = "" if line.share == ONE else f"{number(line.share * HUNDRED)} % credit; "
        if line.kind is Kind.SALE and line.by is not None and line.parts:
            told = " + ".join([self._part(line.by, part) for part in line.parts])
            return f"{share}{told} = {number(line.exact)}, paid {line.amount} {currency}"
        if line.kind is Kind.OVERRIDE and line.base is not None:
            base = number(line.base)
            return f"{line.rates} of {base} of the team = {number(line.exact)}, paid {line.amount} {currency}"
        words = _WORDS.get(line.kind, str(line.kind))
        if line.kind is Kind.RERUN:
            words = f"{line.rates} {words}"
        return f"{share}{line.rule}: {words}: {number(line.exact)}, paid {line.amount} {currency}"

    def parts(self, line: Line) -> list[dict[str, str]]:
        """The parts of a line, for programs."""
        told: list[dict[str, str]] = []
        for part in line.parts:
            found = {"base": exact_text(part.base), "rate": plain(part.rate), "amount": exact_text(part.amount)}
            if part.factor != ONE:
                found["factor"] = exact_text(part.factor)
            if part.band is not None and line.by is not None:
                found["band"] = self._band(line.by, part.band)
            told.append(found)
        return told

    def _part(self, rule: Rule, part: Part) -> str:
        text = f"{number(part.base)}{self._rate(rule, part.rate, part.factor)}"
        return text if part.band is None or rule.bands is None else f"{text} ({self._band(rule, part.band)})"

    def _rate(self, rule: Rule, rate: Decimal, factor: Decimal) -> str:
        key = (self._key(rule), rate, factor)
        known = self._rates.get(key)
        if known is None:
            unit = {FixedBasis.PER_UNIT: " units", FixedBasis.PER_TRANSACTION: " transactions"}
            counted = "" if rule.fixed_basis is None else unit.get(rule.fixed_basis, "")
            multiplied = "" if factor == ONE else f" x {number(factor)}"
            known = self._rates[key] = f"{counted} x {rate_text(rule, rate)}{multiplied}"
        return known

    def _band(self, rule: Rule, band: int) -> str:
        key = (self._key(rule), band)
        return self._bands.get(key) or self._bands.setdefault(key, _band_words(rule, band))

    def _key(self, rule: Rule) -> int:
        self._rules.setdefault(id(rule), rule)
        return id(rule)


def exact_text(amount: Decimal) -> str:
    """An exact amount as text, without the noise of a division that does not end."""
    text = plain(amount)
    return text if len(text) <= _TERMINATING_MAX else plain(settle(amount))


def only_band(line: Line) -> tuple[Decimal, Decimal | None] | None:
    """Where the band of a line lies, in the unit of the table, where all of it lies in one."""
    if line.by is None or len(line.parts) != 1:
        return None
    bands, band = line.by.bands, line.parts[0].band
    if bands is None or band is None:
        return None
    return (bands.floors[band], bands.edge(band)) if band < len(bands.floors) else None


def only_rate(line: Line) -> Decimal | None:
    """The rate of a line, where it has one."""
    return line.parts[0].rate if len(line.parts) == 1 else None


def _band_words(rule: Rule, band: int) -> str:
    bands = rule.bands
    if bands is None or band >= len(bands.floors):
        return f"band {band + 1}"
    unit = {RangeType.QUOTA_PERCENT: " % of quota", RangeType.QUANTITY: " units"}.get(rule.range_type, "")
    kind = "pro rata, " if isinstance(rule.scheme, ProRata) else ""
    return f"band {band + 1}: {kind}{band_text(bands, band)}{unit}"
