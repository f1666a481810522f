"""What is known of a session, and the messages of it that one answer shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from commission_mcp.storage.sessions.message import Message


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation.

    Attributes:
        session_id: Its id, unique within the client.
        birth: Tells it from another one of the same id, after it was cleared or forgotten.
        created_at: When its first message came.
        updated_at: When its last message came.
        total_messages: The messages that are kept; the oldest go when there are too many.
        ttl_remaining_s: It is forgotten after so many seconds without a message.
    """

    session_id: str
    birth: str
    created_at: datetime
    updated_at: datetime
    total_messages: int
    ttl_remaining_s: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A message where it stands in its session.

    Attributes:
        sequence: Counts the messages of the session from 0, those no longer kept included.
        said_at: When it was appended, by the clock of Redis; never earlier than the message before.
        message: What was said.
    """

    sequence: int
    said_at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of a session that follow each other.

    Attributes:
        session: The session.
        turns: In order of time.
        older: Whether there are messages before them.
    """

    session: Session
    turns: tuple[Turn, ...]
    older: bool

    def newest_within(self, size: Callable[[Turn], int], size_max: int) -> Page:
        """The page without its oldest messages, as far as it has to be shortened; one message stays in any case."""
        kept = 0
        left = size_max
        for turn in reversed(self.turns):
            left -= size(turn)
            if left < 0 and kept:
                break
            kept += 1
        if kept == len(self.turns):
            return self
        return replace(self, turns=self.turns[len(self.turns) - kept :], older=True)


@dataclass(frozen=True, slots=True)
class SessionList:
    """Sessions of one caller, the one with the latest message first.

    Attributes:
        sessions: The sessions.
        next_cursor: Leads to further ones.
    """

    sessions: tuple[Session, ...]
    next_cursor: str | None
