"""Which documents are searched."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commission_mcp.search.corpus import Listed


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are searched; each empty filter lets all through.

    Attributes:
        documents: Names, or patterns such as ``rates/*``; compared without case.
        file_types: Endings of names, such as ``pdf``, or media types.
        tags: All of them have to be among a document's tags.
    """

    documents: tuple[str, ...] = ()
    file_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admit(self, listed: Listed) -> bool:
        """Whether a document is searched."""
        name = listed.name.casefold()
        ending = PurePosixPath(name).suffix.removeprefix(".")
        types = {kind.casefold().removeprefix(".") for kind in self.file_types}
        tags = {tag.casefold() for tag in listed.facts.tags}
        patterns = [pattern.casefold() for pattern in self.documents]
        return (
            (not patterns or any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
            and (not types or ending in types or listed.media_type.casefold() in types)
            and tags.issuperset(tag.casefold() for tag in self.tags)
        )
