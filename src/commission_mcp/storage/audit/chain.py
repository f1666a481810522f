"""Is the trail whole? Read again from its first entry, beside checkpoints, exported heads and archives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import orjson
import psycopg

from commission_mcp.storage.audit.checkpoint import Checkpoint, checkpoints
from commission_mcp.storage.audit.entry import Recorded
from commission_mcp.storage.audit.log import COLUMNS, recorded

PRUNING = "audit prune"
"""The object of the entry that says what was removed."""

COMMAND = "command"
"""The action of entries about what an operator did at the command line."""

_FETCH = 2_000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a client's trail. Kept elsewhere, it tells later whether anything before it was changed."""

    client_id: str
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Break:
    """Where a trail is not what it was."""

    client_id: str
    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of one trail.

    Attributes:
        client_id: Whose trail.
        entries: How many entries are there, up to a break.
        removed: How many were removed before them, for which a checkpoint stands.
        proven_heads: The heads given that were found as they were.
        open_heads: Those of removed entries, which only an archive can prove.
        fault: The first break.
    """

    client_id: str
    entries: int
    removed: int
    proven_heads: int
    open_heads: tuple[int, ...]
    fault: Break | None


@dataclass(slots=True)
class Walk:
    """A way along a chain: how far it is whole, and the first fault.

    Attributes:
        client_id: Whose chain.
        seq: The number of the last entry that is whole.
        sha256: Its hash.
        known: Hashes that are known from elsewhere, by number; those that were met are taken out.
        fault: What is wrong with the next entry.
        met: How many of the known hashes were met.
    """

    client_id: str
    seq: int = 0
    sha256: bytes = b""
    known: dict[int, str] = field(default_factory=dict[int, str])
    fault: Break | None = None
    met: int = 0

    def take(self, entry: Recorded) -> bool:
        """Whether the next entry is whole; only then it counts."""
        due = self.seq + 1
        if entry.seq != due:
            self._break(due, _missing(due, entry.seq - 1))
        elif entry.entry.client_id != self.client_id:
            self._break(due, f"the entry is of {entry.entry.client_id!r}")
        elif entry.sha256 != entry.hash_after(self.sha256):
            self._break(due, "the entry was changed")
        else:
            self.seq, self.sha256 = entry.seq, entry.sha256
            self._compare()
        return self.fault is None

    def look_for(self, entry: Recorded) -> None:
        """After a fault: whether this is the entry that should have come then."""
        due = self.seq + 1
        if entry.seq != due and replace(entry, seq=due).hash_after(self.sha256) == entry.sha256:
            self._break(due, f"the order was changed: this entry is found as number {entry.seq}")

    def _compare(self) -> None:
        expected = self.known.pop(self.seq, None)
        if expected is None:
            return
        self.met += 1
        if expected != self.sha256.hex():
            self._break(self.seq, "the trail up to here is not the one whose head was exported")

    def _break(self, seq: int, reason: str) -> None:
        self.fault = Break(self.client_id, seq, reason)


async def heads(connection: psycopg.AsyncConnection) -> list[Head]:
    """The ends of all trails, by client.

    Args:
        connection: An operations connection.
    """
    cursor = await connection.execute("SELECT client_id, seq, encode(sha256, 'hex') FROM cm_priv.audit_head ORDER BY 1")
    return [Head(*row) for row in await cursor.fetchall()]


async def verify(
    connection: psycopg.AsyncConnection, key: bytes, kept: Sequence[Head] = (), archives: Sequence[Walk] = ()
) -> list[Verdict]:
    """Read every trail from its first entry, or from the checkpoint that stands for those removed.

    Args:
        connection: An operations connection.
        key: The key of the checkpoints' seals.
        kept: Heads that were exported earlier.
        archives: Entries that were exported before they were removed, read and found whole.
    """
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    async with connection.transaction():
        ends = {head.client_id: head for head in await heads(connection)}
        clients = sorted(ends.keys() | {head.client_id for head in kept})
        verdicts: list[Verdict] = []
        for client_id in clients:
            end = ends.get(client_id, Head(client_id, 0, ""))
            known = {head.seq: head.sha256 for head in kept if head.client_id == client_id}
            proven = {seq for walk in archives if walk.client_id == client_id for seq in range_of(walk, known)}
            verdicts.append(await _verify_one(connection, key, end, known, proven))
    return verdicts


def range_of(walk: Walk, known: Iterable[int]) -> list[int]:
    """The numbers of these that an archive covers."""
    return [seq for seq in known if seq <= walk.seq and seq not in walk.known]


async def _verify_one(
    connection: psycopg.AsyncConnection, key: bytes, end: Head, known: Mapping[int, str], proven: set[int]
) -> Verdict:
    cuts = await checkpoints(connection, end.client_id)
    cut = cuts[-1] if cuts else Checkpoint(end.client_id, 1, 0, b"", _NEVER)
    # A head of the last entry removed is proven by the checkpoint, earlier ones only by an archive.
    open_heads = tuple(sorted(seq for seq in known if seq < cut.seq and seq not in proven))
    ahead = {seq: sha256 for seq, sha256 in known.items() if seq > cut.seq}
    walk = Walk(end.client_id, cut.seq, cut.sha256, ahead)
    walk.fault = _fault_of_checkpoints(cuts, key, known)
    if walk.fault is None:
        told = await _walk(connection, walk)
        walk.fault = walk.fault or _fault_at_end(walk, end) or _untold(cut, told)
    proven_heads = len(known) - len(walk.known) - len(open_heads)
    return Verdict(end.client_id, max(walk.seq - cut.seq, 0), cut.seq, proven_heads, open_heads, walk.fault)


async def _walk(connection: psycopg.AsyncConnection, walk: Walk) -> set[tuple[int, str]]:
    """Go along the entries that are there; what removals they tell of."""
    told: set[tuple[int, str]] = set()
    async with aclosing(export_entries(connection, walk.client_id)) as entries:
        async for entry in entries:
            if walk.fault is not None:
                walk.look_for(entry)
            elif walk.take(entry) and (entry.entry.action, entry.entry.object) == (COMMAND, PRUNING):
                facts = orjson.loads(entry.entry.facts)
                told.add((facts.get("removed_to", 0), facts.get("removed_to_sha256", "")))
    return told


def _fault_of_checkpoints(cuts: Sequence[Checkpoint], key: bytes, known: Mapping[int, str]) -> Break | None:
    due = 1
    for cut in cuts:
        if not cut.holds(key):
            reason = "the checkpoint of the entries removed up to here was not sealed by this installation"
            return Break(cut.client_id, cut.seq, reason)
        if cut.first_seq != due:
            return Break(cut.client_id, due, f"a checkpoint is missing before entry {cut.first_seq}")
        if known.get(cut.seq, cut.sha256.hex()) != cut.sha256.hex():
            reason = "the trail that was removed up to here is not the one whose head was exported"
            return Break(cut.client_id, cut.seq, reason)
        due = cut.seq + 1
    return None


def _fault_at_end(walk: Walk, end: Head) -> Break | None:
    if walk.seq < end.seq:
        return Break(walk.client_id, walk.seq + 1, _missing(walk.seq + 1, end.seq))
    if (walk.seq, walk.sha256.hex()) != (end.seq, end.sha256):
        return Break(walk.client_id, walk.seq, "the end of the trail is not the one that was written last")
    if walk.known:
        last = max(walk.known)
        reason = f"{_missing(walk.seq + 1, last)}, up to a head that was exported"
        return Break(walk.client_id, walk.seq + 1, reason)
    return None


def _untold(cut: Checkpoint, told: set[tuple[int, str]]) -> Break | None:
    if cut.seq == 0 or (cut.seq, cut.sha256.hex()) in told:
        return None
    return Break(cut.client_id, cut.seq, "entries up to here were removed, and no entry says so")


def _missing(first: int, last: int) -> str:
    if last < first:
        return f"entry {last + 1} was added by hand"
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"


async def export_entries(
    connection: psycopg.AsyncConnection, client_id: str, last: int | None = None
) -> AsyncGenerator[Recorded]:
    """The entries of a client in their order, from one snapshot.

    Args:
        connection: An operations connection.
        client_id: The client.
        last: The number of the last one; None for all.
    """
    statement = f"SELECT {COLUMNS} FROM cm.audit_entry WHERE client_id = %s AND seq <= %s ORDER BY seq"  # noqa: S608 - constants
    async with connection.transaction(), connection.cursor(name="audit_entries") as cursor:
        cursor.itersize = _FETCH
        await cursor.execute(statement.encode(), [client_id, 2**63 - 1 if last is None else last])
        async for row in cursor:
            yield recorded(row)
