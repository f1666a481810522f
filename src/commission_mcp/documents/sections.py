"""The headings above the place where the reading stands."""

from __future__ import annotations

from dataclasses import dataclass, field

HEADING_CHARS_MAX = 120
DEPTH_MAX = 6


@dataclass(slots=True)
class Sections:
    """A path of headings; a heading ends all sections of its own level and deeper ones."""

    _open: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def enter(self, heading: str, level: float) -> None:
        """Begin a section; a smaller level is further out."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        text = " ".join(heading.split())
        self._open.append((level, text if len(text) <= HEADING_CHARS_MAX else text[: HEADING_CHARS_MAX - 3] + "..."))
        del self._open[: max(0, len(self._open) - DEPTH_MAX)]

    @property
    def path(self) -> tuple[str, ...]:
        """The headings, outermost first."""
        return tuple(text for _, text in self._open)
