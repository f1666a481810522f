"""What the guard has found wrong with one statement."""

from __future__ import annotations

from collections.abc import Callable

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.sqlguard.placeholders import Numbered

_REPORTED_MAX = 10


class Findings:
    """Collects problems by their byte in the parsed text, and tells them by the character of the text that was sent."""

    def __init__(self, numbered: Numbered) -> None:
        self._numbered = numbered
        self._utf8 = numbered.text.encode()
        self._found: dict[tuple[Code, str, int | None], Callable[[], str]] = {}

    def add(self, code: Code, message: str, fix: str | Callable[[], str], location: int | None) -> None:
        """Note a problem; `location` counts bytes, as the parser does. A fix that costs time is given as a function."""
        key = (code, message, self._position(location))
        self._found.setdefault(key, fix if callable(fix) else lambda: fix)

    def refuse_if_any(self) -> None:
        """End the matter if anything was found.

        Raises:
            Refused: with the first problems, in the order of the text.
        """
        if not self._found:
            return
        ordered = sorted(self._found.items(), key=lambda item: -1 if item[0][2] is None else item[0][2])
        raise Refused(
            *(
                Problem(code, message, fix(), position=position)
                for (code, message, position), fix in ordered[:_REPORTED_MAX]
            )
        )

    def _position(self, location: int | None) -> int | None:
        if location is None or location < 0:
            return None
        characters = len(self._utf8[:location].decode(errors="ignore"))
        return self._numbered.original_position(characters)
