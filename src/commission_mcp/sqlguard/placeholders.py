"""The `%s` habit: its placeholders become $1, $2, ... before the text is parsed."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from commission_mcp.sqlguard.lexing import code_spans

_HABIT = re.compile(r"%s(?!\w)")
_NUMBERED = re.compile(r"(?<![\w$])\$\d")
_PERCENT = re.compile(r"%%|%s(?!\w)")


@dataclass(frozen=True, slots=True)
class Numbered:
    """A text whose placeholders are numbered, and the way back to the text as it was sent.

    Attributes:
        text: The text to parse.
        original: The text as it came.
        habit_count: How many `%s` placeholders the original has.
        edits: For each replacement, where it ends in `text` and in `original`.
    """

    text: str
    original: str
    habit_count: int = 0
    edits: tuple[tuple[int, int], ...] = ()

    def original_position(self, position: int) -> int:
        """The character of the original text that a character of `text` comes from."""
        before = bisect_right(self.edits, (position, len(self.original)))
        if before:
            new, old = self.edits[before - 1]
            position = position - new + old
        if before < len(self.edits):  # inside a replacement: point at its beginning
            position = min(position, self.edits[before][1] - 2)
        return min(position, len(self.original))


def number_placeholders(text: str, parameter_count: int | None) -> Numbered:
    """Number the `%s` placeholders if there are as many as values; else leave the text as it is.

    Once `%s` counts as a placeholder, `%%` means a percent sign, as the habit has it. A text with other placeholders,
    or with none, keeps every character: there `5 % s` is arithmetic.
    """
    if "%s" not in text:
        return Numbered(text, text)
    places: set[int] = set()
    for start, end in code_spans(text):
        if _NUMBERED.search(text, start, end):
            return Numbered(text, text)
        places.update(match.start() for match in _HABIT.finditer(text, start, end))
    if not places or parameter_count not in {None, len(places)}:
        return Numbered(text, text, len(places))
    return _replaced(text, places)


def _replaced(text: str, places: set[int]) -> Numbered:
    """The text with the placeholders at `places` numbered and each `%%` halved."""
    parts: list[str] = []
    edits: list[tuple[int, int]] = []
    taken = length = number = 0
    for match in _PERCENT.finditer(text):
        if match[0] == "%%":
            replacement = "%"
        elif match.start() in places:
            number += 1
            # a name runs on through `$`, so keep it apart
            replacement = f" ${number}" if text[match.start() - 1 : match.start()].isalnum() else f"${number}"
        else:
            continue
        parts += (text[taken : match.start()], replacement)
        length += match.start() - taken + len(replacement)
        taken = match.end()
        edits.append((length, taken))
    return Numbered("".join([*parts, text[taken:]]), text, len(places), tuple(edits))
