"""What an entry of the audit trail says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Phase(StrEnum):
    """Whether an entry tells what somebody is about to change, or how a call ended."""

    INTENT = "intent"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry on its way.

    Attributes:
        entry_id: Its own id; an entry that is sent twice counts once.
        call_id: The call, which intent and outcome share.
        client_id: Whose trail it belongs to.
        issuer: Who vouches for the subject.
        subject: The user.
        assurance: ``verified`` by a token, or ``asserted`` by the operator.
        action: The protocol's method, such as ``tools/call``.
        object: The tool, prompt or URI.
        phase: Intent or outcome.
        outcome: ``ok``, ``cancelled``, ``crash``, the codes of a refusal with commas between, or ``pending``.
        facts: Further facts as a JSON object: never parameter values, rows or document text.
    """

    entry_id: str
    call_id: str
    client_id: str
    issuer: str
    subject: str
    assurance: str
    action: str
    object: str
    phase: Phase
    outcome: str
    facts: str

    def as_stored(self) -> dict[str, str]:
        """The fields as the database takes them: no character that it could not store."""
        return {
            name: str(getattr(self, name)).replace("\0", "").encode("utf-8", "replace").decode()
            for name in self.__slots__
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry of the trail.

    Attributes:
        seq: Its number in its client's trail, from 1 without a gap.
        at: When it was written.
        entry: What it says.
        sha256: Covers it and the hash of the entry before it.
    """

    seq: int
    at: datetime
    entry: Entry
    sha256: bytes

    @property
    def time(self) -> str:
        """The time as it is hashed and shown: UTC, with microseconds."""
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def hash_after(self, previous: bytes) -> bytes:
        """What `sha256` has to be after an entry with this hash.

        SHA-256 over the previous hash (none for the first entry) and the fields in their order, each with its length in
        bytes and a colon before it and a comma behind it.
        """
        entry = self.entry
        fields = (
            entry.client_id,
            str(self.seq),
            self.time,
            entry.entry_id,
            entry.call_id,
            entry.issuer,
            entry.subject,
            entry.assurance,
            entry.action,
            entry.object,
            str(entry.phase),
            entry.outcome,
            entry.facts,
        )
        encoded = (field.encode() for field in fields)
        return hashlib.sha256(previous + b"".join(b"%d:%b," % (len(field), field) for field in encoded)).digest()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries of a trail are asked for.

    Attributes:
        since: Not before this time.
        until: Before this time.
        subject: Of this user.
        object: About this tool, prompt or URI.
        outcome: With this outcome or code; ``refused`` takes every code.
    """

    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    object: str | None = None
    outcome: str | None = None
