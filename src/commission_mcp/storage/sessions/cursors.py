"""Cursors: where a caller stopped reading, sealed so that nobody else can go on from there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.sealing import Sealer

_LIFETIME_S = 3600


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """Messages before a place in a session.

    Attributes:
        session_id: The session.
        birth: Tells it from a later one of the same id.
        before: The sequence number that the next page stops before.
    """

    session_id: str
    birth: str
    before: int


@dataclass(frozen=True, slots=True)
class SessionCursor:
    """Sessions behind one in the list of sessions.

    Attributes:
        updated_us: When the last message of that session came, in microseconds.
        session_id: Its id.
    """

    updated_us: int
    session_id: str


class Cursors:
    """Writes cursors, and reads those that were written for the same reader."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(self, cursor: MessageCursor | SessionCursor, reader: str) -> str:
        """The cursor as a token that serves this reader."""
        bound: dict[str, object] = {"kind": type(cursor).__name__, "reader": reader, "expires_at": _expiry()}
        return self._sealer.seal({**asdict(cursor), **bound})

    def message(self, token: str, reader: str) -> MessageCursor:
        """The cursor of a page of messages.

        Raises:
            Refused: with `E_CURSOR_INVALID` or `E_CURSOR_STALE`.
        """
        content = self._content(token, reader, MessageCursor.__name__)
        return MessageCursor(str(content["session_id"]), str(content["birth"]), _number(content, "before"))

    def session(self, token: str, reader: str) -> SessionCursor:
        """The cursor of a page of sessions.

        Raises:
            Refused: with `E_CURSOR_INVALID` or `E_CURSOR_STALE`.
        """
        content = self._content(token, reader, SessionCursor.__name__)
        return SessionCursor(_number(content, "updated_us"), str(content["session_id"]))

    def _content(self, token: str, reader: str, kind: str) -> Mapping[str, object]:
        content = self._sealer.open(token)
        if content is None or content.get("reader") != reader or content.get("kind") != kind:
            raise invalid()
        if _number(content, "expires_at") < time.time():
            raise stale("The cursor has expired.")
        return content


def invalid() -> Refused:
    """The refusal of a cursor that is not of this answer."""
    return Refused(
        Problem(
            Code.CURSOR_INVALID,
            "This cursor is not of an answer to this question.",
            "Pass `next_cursor` unchanged with the same action and session, or leave `cursor` out.",
            "cursor",
        )
    )


def stale(reason: str) -> Refused:
    """The refusal of a cursor that has nothing to go on with."""
    return Refused(Problem(Code.CURSOR_STALE, reason, "Leave `cursor` out to begin anew.", "cursor"))


def _expiry() -> int:
    return int(time.time()) + _LIFETIME_S


def _number(content: Mapping[str, object], name: str) -> int:
    number = content[name]
    if not isinstance(number, int):
        raise TypeError(f"{name} of a sealed cursor is no number")
    return number
