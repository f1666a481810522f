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
    Kind.CLAWBACK: "taken back",
    Kind.ADJUSTMENT: "adjustment",
    Kind.BASE_SALARY: "base salary",
    Kind.DRAW: "advance up to the draw",
    Kind.RECOVERY: "recovery of earlier draws",
}


def line_text(line: Line, currency: str) -> str:
    """The arithmetic of a line, as it can be checked with a pocket calculator."""
    share = "" if line.share == ONE else f"{number(line.share * HUNDRED)} % credit; "
    if line.kind is Kind.SALE and line.by is not None and line.parts:
        told = " + ".join(_part(line.by, part) for part in line.parts)
        return f"{share}{told} = {number(line.exact)}, paid {line.amount} {currency}"
    if line.kind is Kind.OVERRIDE and line.base is not None:
        return f"{line.rates} of {number(line.base)} of the team = {number(line.exact)}, paid {line.amount} {currency}"
    words = _WORDS.get(line.kind, str(line.kind))
    if line.kind is Kind.RERUN:
        words = f"{line.rates} {words}"
    return f"{share}{line.rule}: {words}: {number(line.exact)}, paid {line.amount} {currency}"


def line_parts(line: Line) -> list[dict[str, str]]:
    """The parts of a line, for programs."""
    return [
        {
            "base": plain(settle(part.base)),
            "rate": plain(part.rate),
            "amount": plain(settle(part.amount)),
            **({} if part.factor == ONE else {"factor": plain(settle(part.factor))}),
            **({} if part.band is None or line.by is None else {"band": _band(line.by, part.band)}),
        }
        for part in line.parts
    ]


def only_band(line: Line) -> tuple[Decimal, Decimal | None] | None:
    """Where the band of a line lies, in the unit of the table, where all of it lies in one."""
    bands = None if line.by is None else line.by.bands
    if bands is None or len(line.parts) != 1 or line.parts[0].band is None:
        return None
    band = line.parts[0].band
    return (bands.floors[band], bands.edge(band)) if band < len(bands.floors) else None


def only_rate(line: Line) -> Decimal | None:
    """The rate of a line, where it has one."""
    return line.parts[0].rate if len(line.parts) == 1 else None


def _part(rule: Rule, part: Part) -> str:
    unit = {FixedBasis.PER_UNIT: " units", FixedBasis.PER_TRANSACTION: " transactions"}
    counted = "" if rule.fixed_basis is None else unit.get(rule.fixed_basis, "")
    text = f"{number(part.base)}{counted} x {rate_text(rule, part.rate)}"
    if part.factor != ONE:
        text += f" x {number(part.factor)}"
    return text if part.band is None or rule.bands is None else f"{text} ({_band(rule, part.band)})"


def _band(rule: Rule, band: int) -> str:
    bands = rule.bands
    if bands is None or band >= len(bands.floors):
        return f"band {band + 1}"
    unit = {RangeType.QUOTA_PERCENT: " % of quota", RangeType.QUANTITY: " units"}.get(rule.range_type, "")
    kind = "pro rata, " if isinstance(rule.scheme, ProRata) else ""
    return f"band {band + 1}: {kind}{band_text(bands, band)}{unit}"
