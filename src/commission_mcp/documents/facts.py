"""What a document says about itself, found in its name, its properties and its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from commission_mcp.documents.model import Block, BlockKind, Facts


def facts_of(name: str, properties: Mapping[str, str], blocks: Sequence[Block]) -> Facts:
    """The facts of a document."""
    heading = next((block.text for block in blocks[:20] if block.kind is BlockKind.HEADING), "")
    stem = PurePosixPath(name).stem.replace("_", " ")
    return Facts(properties.get("title") or heading or stem)
