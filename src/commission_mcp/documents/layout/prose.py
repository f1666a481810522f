"""Lines of prose to paragraphs and headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from statistics import median

from commission_mcp.documents.layout.page import Line

HEADING_CHARS_MAX = 160
HEADING_LINES_MAX = 3
HEADING_SCALE = 1.12
"""Letters larger than the body's by this factor make a heading."""

SHORT_LINE_SHARE = 0.75
"""A line shorter than this share of the column may end a paragraph."""

SIZE_STEP = 0.5
LOOSE = 1.35
"""A gap larger than this many times the usual one begins a paragraph."""

_BEGINS_ITEM = re.compile(
    r"(?:[•●○▪■◦·*–—]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]|\d+(?:\.\d+)+\.?)\s|Item\s\d",  # noqa: RUF001 - bullets
    re.IGNORECASE,
)
_SENTENCE_ENDS = re.compile(r"[.!?:;]['\")\u201d]?$")
_WORDS = re.compile(r"[^\W\d_]{2,}")


def paragraphs(lines: Sequence[Line], width: float) -> Iterator[list[Line]]:
    """Lines that belong together."""
    leading = _leading(lines)
    begun: list[Line] = []
    for line in lines:
        if begun and _parts(begun[-1], line, leading, width):
            yield begun
            begun = []
        begun.append(line)
    if begun:
        yield begun


def words_of(lines: Iterable[Line]) -> set[str]:
    """The words and compounds of these lines, but for those broken at a line's end."""
    return {word.strip(",.;:!?()\"'").lower() for line in lines for word in line.text.split() if not word.endswith("-")}


def joined(lines: Sequence[Line], known: AbstractSet[str] = frozenset()) -> str:
    """A paragraph as running text; a word that was broken at a line's end is whole again.

    Args:
        lines: Its lines.
        known: The document's words, which tell ``con-firming`` from ``chat-optimized``.
    """
    text = lines[0].text
    for line in lines[1:]:
        if text.endswith("-") and text[-2:-1].isalpha() and line.text[:1].islower():
            text = text + line.text if _compound(text, line.text, known) else text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    return text


def is_heading(lines: Sequence[Line], text: str, body: float) -> bool:
    """Whether a paragraph heads what follows: short, no sentence, larger or bolder than the body."""
    if len(text) > HEADING_CHARS_MAX or len(lines) > HEADING_LINES_MAX or _WORDS.search(text) is None:
        return False
    larger = lines[0].size >= body * HEADING_SCALE
    bold = all(line.bold for line in lines) and lines[0].size >= body * 0.9
    sentence = _SENTENCE_ENDS.search(text) is not None and not text.endswith(":")
    ends = text.endswith((",", ";")) or (sentence and not larger)
    return (larger or bold) and not ends and text[:1] not in "•●–*("  # noqa: RUF001 - bullets


def _compound(before: str, after: str, known: AbstractSet[str]) -> bool:
    """Whether the hyphen at a line's end belongs to the word."""
    left = before.rsplit(maxsplit=1)[-1].lstrip("(\"'").lower()[:-1]
    right = after.split(maxsplit=1)[0].rstrip(",.;:!?)\"'").lower()
    if any(not sign.isalpha() for sign in left.replace("-", "")):
        return True  # an address, a code
    if left + right in known:
        return False
    return f"{left}-{right}" in known or "-" in left or len(left) == 1 or (left in known and right in known)


def _leading(lines: Sequence[Line]) -> float:
    """How far apart the lines usually are."""
    steps = [below.y0 - above.y0 for above, below in pairwise(lines) if below.y0 > above.y0]
    return median(steps) if steps else 0.0


def _parts(above: Line, below: Line, leading: float, width: float) -> bool:
    """Whether a new paragraph begins."""
    if abs(above.size - below.size) > SIZE_STEP or above.bold != below.bold:
        return not (above.bold and above.text[:1].islower())
    usual = min(leading, 1.6 * below.size) or leading
    if below.y0 - above.y0 > LOOSE * max(usual, below.size):
        return True
    if _BEGINS_ITEM.match(below.text):
        return True
    short = above.x1 - above.x0 < SHORT_LINE_SHARE * width
    return short and (_SENTENCE_ENDS.search(above.text) is not None or not below.text[:1].islower())
