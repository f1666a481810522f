"""The documents as one caller sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.search.entries import Entry, Span
from commission_mcp.search.holdings import Collection, named
from commission_mcp.search.masked_places import masked_place

if TYPE_CHECKING:
    from commission_mcp.search.library import Library

_CLEAR = frozenset({Role.FINANCE, Role.COMPLIANCE})

WHY_MASKED = (
    "Personal data is masked for you (e-mail addresses, telephone numbers, IBANs, payment cards and national ids, told "
    "by their form); the roles `finance` and `compliance` see it."
)
"""What a caller is told where signs of a document are covered."""


@dataclass(frozen=True, slots=True)
class DocumentAccess:
    """The documents as one caller may see them.

    Attributes:
        library: All documents.
        caller: The caller, with the roles that the database grants now.
    """

    library: Library
    caller: Caller

    @property
    def view(self) -> MaskingClass:
        """Whether the caller sees personal data in documents."""
        return MaskingClass.MASKED if self.caller.roles.isdisjoint(_CLEAR) else MaskingClass.CLEAR

    def collections(self) -> tuple[Collection, Collection]:
        """The client's own documents and those for all."""
        return self.library.collections(self.caller.client_id)

    async def entry(self, address: str) -> tuple[Collection, Entry]:
        """The document that a URI, a source or a name means.

        Raises:
            Refused: with `E_NOT_FOUND` when the caller has no such document.
        """
        collection, name = named(self.collections(), address)
        return collection, await self.library.entry(collection, name)

    def text_of(self, entry: Entry) -> str:
        """The text of a document as this caller may see it; offsets are those of the whole text."""
        masked = self.view is MaskingClass.MASKED and entry.masked_text is not None
        return entry.masked_text if masked and entry.masked_text is not None else entry.text

    def spans_of(self, entry: Entry) -> tuple[Span, ...]:
        """The blocks of a document, standing where this caller may see that they stand."""
        if self.view is MaskingClass.CLEAR:
            return entry.spans
        masked = cache(self.library.mask)
        return tuple(replace(span, place=masked_place(span.place, masked)) for span in entry.spans)

    def shown(self, text: str) -> str:
        """A title or the like as this caller may see it."""
        return self.library.mask(text) if self.view is MaskingClass.MASKED else text
