"""What a document says about itself, found in its name, its properties and its text: by patterns, without a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from commission_mcp.documents.facts.names import spaced_name
from commission_mcp.documents.facts.organisations import organisations_of
from commission_mcp.documents.facts.times import dates_in, quarters_in, years_of
from commission_mcp.documents.facts.words import category_of, currencies_in, language_of, plan_names_in
from commission_mcp.documents.model import Block, BlockKind, Facts

OPENING_CHARS = 12_000
"""What a document is about stands at its beginning: about three pages."""

ANALYSED_CHARS = 200_000
TITLE_CHARS_MAX = 120
TAGS_MAX = 24

_NO_TITLE = re.compile(
    r"microsoft (?:word|excel|powerpoint)|^(?:document|book|sheet|slide)\d*$|\.\w{2,4}$|^untitled"
    r"|^(?:table of )?contents$|^index$|^united states|securities and exchange|^page \d",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_KEYWORDS = re.compile(r"[,;\n]+")


def facts_of(name: str, properties: Mapping[str, str], blocks: Sequence[Block]) -> Facts:
    """The facts of a document.

    Args:
        name: Its path inside its folder.
        properties: What the file says about itself.
        blocks: Its text.
    """
    text = _text(blocks, ANALYSED_CHARS)
    opening = text[:OPENING_CHARS]
    title = _title(name, properties, blocks)
    category = category_of(name, title, opening)
    years = years_of(name, title, opening)
    keywords = [word for word in _KEYWORDS.split(properties.get("keywords", "")) if _LETTERS.search(word)]
    folders = PurePosixPath(name).parts[:-1]
    quarters = quarters_in(f"{spaced_name(name)} {title}")
    tags = [*folders, *keywords, "" if category == "other" else category, *quarters, *map(str, years[:2])]
    return Facts(
        title=title,
        category=category,
        language=language_of(text[: 2 * OPENING_CHARS]),
        organisations=organisations_of(name, title, properties, opening),
        years=years,
        dates=dates_in(text),
        currencies=currencies_in(text),
        plan_names=plan_names_in(blocks),
        tags=tuple(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip()))[:TAGS_MAX],
    )


def _text(blocks: Sequence[Block], chars: int) -> str:
    """The beginning of the text."""
    parts: list[str] = []
    whole = chars
    for block in blocks:
        parts.append(block.text)
        chars -= len(block.text)
        if chars <= 0:
            break
    return "\n".join(parts)[:whole]


def _title(name: str, properties: Mapping[str, str], blocks: Sequence[Block]) -> str:
    """The title: as the file says, else the first heading, else the first line of prose, else the name."""
    stated = properties.get("title", "").replace("\n", " ")
    if _LETTERS.search(stated) and not _NO_TITLE.search(stated):
        return stated[:TITLE_CHARS_MAX]
    for block in blocks[:12]:
        line = block.text.split("\n")[0]
        if _NO_TITLE.search(line):
            break  # a cover page: the file's name says more
        if _LETTERS.search(line) and _is_title(block.kind, line):
            return line
    return spaced_name(name)


def _is_title(kind: BlockKind, line: str) -> bool:
    if kind is BlockKind.HEADING:
        return len(line) <= TITLE_CHARS_MAX
    return kind is BlockKind.PARAGRAPH and len(line) <= TITLE_CHARS_MAX // 2 and not line.endswith((".", ":", ","))
