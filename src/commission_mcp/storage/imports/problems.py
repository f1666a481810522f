"""The problems of a file, gathered so that a person can mend all of them in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from commission_mcp.errors import Code, Problem, Refused

LISTED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong on a line."""

    line: int
    column: str
    code: Code
    message: str
    fix: str

    @property
    def place(self) -> str:
        """Where it is, as a person finds it in the file."""
        return f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"

    def problem(self) -> Problem:
        """The finding as the answer states it."""
        return Problem(self.code, _sentence(self.message), _sentence(self.fix), path=self.place)


class Findings:
    """Counts every finding and keeps the first of them."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self.total = 0

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        self.total += 1
        if len(self._kept) < LISTED_MAX:
            self._kept.append(finding)

    def add_page(self, page: Iterable[Finding], total: int) -> None:
        """Count findings of which only the first are at hand."""
        before = self.total
        for finding in page:
            self.add(finding)
        self.total = before + total

    def refuse_if_any(self) -> None:
        """Refuse the file when anything was found.

        Raises:
            Refused: The findings in the order of the file; when they are too many, the last says how many there are.
        """
        if not self.total:
            return
        listed = sorted(self._kept, key=lambda finding: finding.line)
        problems = [finding.problem() for finding in listed]
        if self.total > len(listed):
            message = f"{self.total} problems in all; the first {len(listed)} are listed."
            problems.append(Problem(listed[0].code, message, "Mend these and import the file again.", path="file"))
        raise Refused(*problems)


def unreadable(message: str, fix: str) -> Refused:
    """The refusal of a file that cannot be read at all."""
    return Refused(Problem(Code.IMPORT_FILE, message, fix, path="file"))


def _sentence(words: str) -> str:
    """The words with a full stop, unless they end as a sentence already."""
    return words if not words or words.endswith(("?", ".", "!")) else f"{words}."
