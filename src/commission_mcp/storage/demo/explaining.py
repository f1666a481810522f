"""A result line in words and numbers, as a payee reads it."""

from __future__ import annotations

from decimal import Decimal

from commission_mcp.storage.demo.arithmetic import Piece
from commission_mcp.storage.demo.paying import Line
from commission_mcp.storage.demo.plans import canonical


def explanation(line: Line) -> str:
    """The arithmetic of a line, as JSON."""
    currency = line.plan.currency
    percentage = line.plan.rule.value_type == "Percentage"
    rate = f"{line.piece.tier.commission:f} %" if percentage else f"{line.piece.tier.commission:f} {currency} a unit"
    base = f"{_plain(line.piece.base)} {currency if percentage else 'units'}"
    text = f"{rate} of {base} {_band(line.piece)} = {_plain(line.piece.exact)}, paid as {line.amount:,f} {currency}"
    return canonical(
        {
            "text": text,
            "plan": line.plan.name,
            "base": f"{line.piece.base:f}",
            "rate": f"{line.piece.tier.commission:f}",
            "exact": f"{line.piece.exact:f}",
            "amount": f"{line.amount:f}",
        }
    )


def _band(piece: Piece) -> str:
    """Where in the bands the base lies."""
    if piece.tier.up_to is None:
        return f"in the band above {piece.tier.above:,}" if piece.tier.above else "at every amount"
    return f"in the band above {piece.tier.above:,} up to {piece.tier.up_to:,}"


def _plain(amount: Decimal) -> str:
    """A number with thousands separators and without zeros at the end."""
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
