"""Is the trail whole? Read again from the first entry, beside the heads that were exported before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import psycopg

from commission_mcp.storage.audit.entry import Recorded
from commission_mcp.storage.audit.log import COLUMNS, recorded

_FETCH = 2_000


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


async def heads(connection: psycopg.AsyncConnection) -> list[Head]:
    """The ends of all trails, by client.

    Args:
        connection: An operations connection.
    """
    cursor = await connection.execute("SELECT client_id, seq, encode(sha256, 'hex') FROM cm_priv.audit_head ORDER BY 1")
    return [Head(*row) for row in await cursor.fetchall()]


async def verify(
    connection: psycopg.AsyncConnection, kept: Sequence[Head] = ()
) -> tuple[dict[str, int], tuple[Break, ...]]:
    """Read every trail from its first entry: how many entries each has, and the first break of each that is broken.

    Args:
        connection: An operations connection.
        kept: Heads that were exported earlier.
    """
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    counts: dict[str, int] = {}
    breaks: list[Break] = []
    async with connection.transaction():
        ends = {head.client_id: head for head in await heads(connection)}
        for client_id in sorted(ends.keys() | {head.client_id for head in kept}):
            end = ends.get(client_id, Head(client_id, 0, ""))
            earlier = {head.seq: head.sha256 for head in kept if head.client_id == client_id}
            counts[client_id], broken = await _verify_one(connection, end, earlier)
            breaks += [broken] if broken else []
    return counts, tuple(breaks)


async def _verify_one(
    connection: psycopg.AsyncConnection, end: Head, earlier: dict[int, str]
) -> tuple[int, Break | None]:
    previous, seq = b"", 0
    async with aclosing(export_entries(connection, end.client_id)) as entries:
        async for entry in entries:
            seq += 1
            if entry.seq != seq:
                return seq, Break(end.client_id, seq, "an entry is missing")
            if entry.sha256 != entry.hash_after(previous):
                return seq, Break(end.client_id, seq, "an entry was changed")
            previous = entry.sha256
            if earlier.pop(seq, previous.hex()) != previous.hex():
                return seq, Break(end.client_id, seq, "the trail up to here is not the one whose head was exported")
    if earlier:
        return seq, Break(end.client_id, min(earlier), "entries up to a head that was exported are missing")
    if (seq, previous.hex()) != (end.seq, end.sha256):
        return seq, Break(end.client_id, seq + 1, "entries at the end are missing, or were added by hand")
    return seq, None


async def export_entries(connection: psycopg.AsyncConnection, client_id: str) -> AsyncGenerator[Recorded]:
    """The entries of a client in their order, from one snapshot.

    Args:
        connection: An operations connection.
        client_id: The client.
    """
    statement = f"SELECT {COLUMNS} FROM cm.audit_entry WHERE client_id = %s ORDER BY seq"  # noqa: S608 - constants
    async with connection.transaction(), connection.cursor(name="audit_entries") as cursor:
        cursor.itersize = _FETCH
        await cursor.execute(statement.encode(), [client_id])
        async for row in cursor:
            yield recorded(row)
