"""How far an indexing is; apart from it, since whoever only asks needs nothing of what it works with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What an indexing is doing."""

    WAITING = "waiting"
    READING = "reading"
    MODEL = "model"  # fetching or loading the model
    EMBEDDING = "embedding"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an indexing is.

    Attributes:
        phase: What it is doing.
        done: Files read or chunks embedded in this phase.
        total: Of how many; 0 until that is known.
        indexed: Files that were read anew.
        unchanged: Files that were as before.
        removed: Files that are no longer there.
        failed: Files that cannot be read, those of earlier indexings included.
        embedded: Chunks that got vectors.
        note: What a person should know, such as why there are no vectors.
    """

    phase: Phase = Phase.WAITING
    done: int = 0
    total: int = 0
    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    embedded: int = 0
    note: str = ""
