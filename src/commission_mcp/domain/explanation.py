"""The arithmetic in words and numbers, as somebody would check it with a pocket calculator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.earnings import Earning
from commission_mcp.domain.entries import Setting
from commission_mcp.domain.money import ONE, ZERO
from commission_mcp.domain.outcome import Part
from commission_mcp.domain.rules import FixedBasis, ProRata, RangeType, Rule, ValueType

_SHOWN = Decimal("0.00000001")
_PLACES = 8
_HUGE = Decimal("1e40")


def number(value: Decimal) -> str:
    """A number for reading: thousands separated by commas, up to 8 decimals, marked when there are more."""
    whole, _, decimals = f"{value:,f}".partition(".")
    decimals, about = decimals.rstrip("0"), ""
    if len(decimals) > _PLACES and abs(value) < _HUGE:
        whole, _, decimals = f"{value.quantize(_SHOWN):,f}".partition(".")
        decimals, about = decimals.rstrip("0"), "about "
    text = f"{whole}.{decimals}" if decimals else whole
    return about + ("0" if text == "-0" else text)


def band_text(bands: Bands, index: int) -> str:
    """Where a band lies: `over 100,000 up to 250,000` or `from 100,000 to below 250,000`."""
    low, high = bands.floors[index], bands.edge(index)
    if bands.boundary is Boundary.UPPER_INCLUSIVE:
        low_text = f"over {number(low)} " if low else ""
        return f"{low_text}up to {number(high)}" if high is not None else low_text.strip() or "everything"
    low_text = f"from {number(low)}"
    return f"{low_text} to below {number(high)}" if high is not None else low_text


def rate_text(rule: Rule, rate: Decimal) -> str:
    """A rate with its unit."""
    if rule.value_type in {ValueType.PERCENTAGE, ValueType.OF_TARGET}:
        return f"{number(rate)} %"
    return f"{number(rate)} x target rate" if rule.value_type is ValueType.TARGET_RATE else number(rate)


def rates_of(rule: Rule, parts: Iterable[Part]) -> str:
    """The rates of a sale's parts."""
    return ", ".join(
        rate_text(rule, part.rate) + ("" if part.factor == ONE else f" x {number(part.factor)}") for part in parts
    )


def rule_steps(rule: Rule, where: str, earnings: Sequence[Earning], setting: Setting, currency: str) -> list[str]:
    """How a rule came to what it earns in a cell; equal prices are summed first."""
    reasons = sorted({earning.why_nothing for earning in earnings if earning.why_nothing})
    steps = [f"{where}: {reason}, so nothing is paid." for reason in reasons]
    sums: dict[tuple[int | None, Decimal, Decimal], tuple[Decimal, Decimal]] = {}
    for part in (part for earning in earnings for parts in earning.parts for part in parts):
        key = (part.band, part.rate, part.factor)
        base, amount = sums.get(key, (ZERO, ZERO))
        sums[key] = (base + part.base, amount + part.amount)
    for (band, rate, factor), (base, amount) in sums.items():
        steps.append(f"{where}{_band_of(rule, band)}: {_product(rule, setting, base, rate, factor)} = {number(amount)}")
    once = sum((earning.once for earning in earnings), ZERO)
    if once:
        what = "the window as a whole" if rule.step is None else f"whole steps of {number(rule.step)}"
        steps.append(f"{where}: {number(once)} {currency} for {what}{_reached(rule, earnings[-1])}")
    return steps


def _product(rule: Rule, setting: Setting, base: Decimal, rate: Decimal, factor: Decimal) -> str:
    counted = {FixedBasis.PER_UNIT: " units", FixedBasis.PER_TRANSACTION: " transactions"}
    of = "" if rule.fixed_basis is None else counted.get(rule.fixed_basis, "")
    text = f"{number(base)}{of} x {rate_text(rule, rate)}"
    if rule.value_type is ValueType.TARGET_RATE:
        text += f" ({number(setting.target or ZERO)} / {number(setting.quota or ZERO)})"
    return text if factor == ONE else f"{text} x {number(factor)}"


def _band_of(rule: Rule, band: int | None) -> str:
    if band is None or rule.bands is None:
        return ""
    unit = {RangeType.QUOTA_PERCENT: " % of quota", RangeType.QUANTITY: " units"}.get(rule.range_type, "")
    kind = "Interpolated" if isinstance(rule.scheme, ProRata) else type(rule.scheme).__name__
    return f", {kind} band {band + 1} ({band_text(rule.bands, band)}{unit})"


def _reached(rule: Rule, earning: Earning) -> str:
    return f", which reaches {number(earning.reached)}" if rule.banded else ""
