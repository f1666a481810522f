"""The parts of a page; lengths are in points, y grows downwards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word where it stands.

    Attributes:
        line: Which of the PDF's own runs of text it belongs to.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    size: float
    bold: bool
    line: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of a line that stand close together."""

    x0: float
    x1: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """What stands at one height, within one column of prose.

    Attributes:
        cells: From left to right; one in prose, several in tables.
        size: The size of most of its letters.
        bold: Whether all of it is bold.
    """

    y0: float
    y1: float
    cells: tuple[Cell, ...]
    size: float
    bold: bool

    @property
    def text(self) -> str:
        """The line as one text."""
        return " ".join(cell.text for cell in self.cells)

    @property
    def x0(self) -> float:
        """Where it begins."""
        return self.cells[0].x0

    @property
    def x1(self) -> float:
        """Where it ends."""
        return self.cells[-1].x1


@dataclass(frozen=True, slots=True)
class Region:
    """Lines that are read from top to bottom, between a left and a right edge."""

    x0: float
    x1: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class PageLayout:
    """A page as regions in reading order."""

    height: float
    regions: tuple[Region, ...]
