"""A document while it is being read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Block, BlockKind, Place
from commission_mcp.documents.refusals import too_large

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff\ufeff\u200b\u00ad]"
)
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85]")
_SPACES = re.compile(r"[^\S\n]+")
_MANY_LINES = re.compile(r" ?\n[ \n]*")

ROW_CHARS = 700
"""A row longer than this becomes several, each beginning with the row's first cell."""

ROW_SEPARATOR = " | "
NAME_SEPARATOR = ": "
"""What stands between the cells of a row, and between the name of a column and what stands there."""


@dataclass(slots=True)
class Draft:
    """What a parser has found so far.

    Attributes:
        limits: What it may find at most.
        blocks: What was found, in reading order.
        pages: How many pages there are.
        properties: What the file says about itself.
        notes: What a person should know.
        pictures_read: How many pictures inside the document OCR has read.
        pictures_unread: How many pictures there were that nothing read.
    """

    limits: ReadingLimits
    blocks: list[Block] = field(default_factory=list[Block])
    pages: int = 0
    properties: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])
    pictures_read: int = 0
    pictures_unread: int = 0
    _chars: int = 0

    def add(self, kind: BlockKind, text: str, place: Place) -> bool:
        """Add a block unless it is empty; whether it was added.

        Raises:
            Refused: The document has more text or blocks than the limits allow.
        """
        clean = cleaned(text)
        if not clean:
            return False
        self._chars += len(clean)
        if self._chars > self.limits.text_chars_max:
            raise too_large(f"The document has more than {self.limits.text_chars_max:,} characters of text.")
        if len(self.blocks) >= self.limits.blocks_max:
            raise too_large(f"The document has more than {self.limits.blocks_max:,} paragraphs and rows.")
        self.blocks.append(Block(kind, clean, place))
        return True

    def add_row(self, cells: list[str], place: Place) -> None:
        """Add a row of a table, its cells as they shall be read; a wide one as several blocks."""
        filled = [clean for cell in cells if (clean := cleaned(cell).replace("\n", " "))]
        if not filled:
            return
        line = filled[0]
        for cell in filled[1:]:
            if len(line) + len(cell) > ROW_CHARS and line != filled[0]:
                self.add(BlockKind.ROW, line, place)
                line = filled[0]
            line += ROW_SEPARATOR + cell
        self.add(BlockKind.ROW, line, place)

    def note(self, note: str) -> None:
        """Note once what a person should know."""
        if note not in self.notes:
            self.notes.append(note)

    def keep_property(self, name: str, value: object) -> None:
        """Keep what the file says about itself, where it says anything."""
        text = cleaned(str(value or ""))[:500].strip()
        if text and text.strip("()").lower() not in {"anonymous", "unspecified", "untitled", "unknown", "none"}:
            self.properties[name] = text


def cleaned(text: str) -> str:
    """Text without what nobody sees: control characters, soft hyphens, runs of spaces, white space around."""
    lines = _LINE_ENDS.sub("\n", text)
    return _MANY_LINES.sub("\n", _SPACES.sub(" ", _UNPRINTABLE.sub("", lines))).strip()


def named_cell(name: str, value: str) -> str:
    """A cell with the name of its column."""
    return f"{name}{NAME_SEPARATOR}{value}" if name and value else value
