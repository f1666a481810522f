"""Where something stands, for who does not see personal data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from commission_mcp.documents.model import Place


def masked_place(place: Place, mask: Callable[[str], str]) -> Place:
    """A place whose headings, sheet and path have personal data masked."""
    return replace(
        place,
        section=tuple(map(mask, place.section)),
        sheet=None if place.sheet is None else mask(place.sheet),
        path=None if place.path is None else mask(place.path),
    )
