"""Removing old entries: proven whole, archived, then replaced by a sealed checkpoint that the rest goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import psycopg
from psycopg import errors

from commission_mcp.domain.retention import days_kept, latest_cut, least_days
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.audit.archive import Archive, write_archive
from commission_mcp.storage.audit.chain import PRUNING, Walk, export_entries
from commission_mcp.storage.audit.checkpoint import Checkpoint, checkpoints
from commission_mcp.storage.audit.commands import Act, on_record

_NO_LEVEL = ""  # of a trail whose client is not there: kept as the strictest


@dataclass(frozen=True, slots=True)
class Retention:
    """How long one client's trail is kept.

    Attributes:
        client_id: The client.
        compliance_level: Its level, which sets the least.
        of_client: Days that were chosen for it; None: as for all.
        of_installation: Days that were chosen for all; None: for good.
    """

    client_id: str
    compliance_level: str
    of_client: int | None
    of_installation: int | None

    def cut(self, today: date, before: date | None) -> date | None:
        """The day before which entries are removed; None when they are kept for good.

        Args:
            today: The date, in UTC.
            before: The day that was asked for, if one was.

        Raises:
            Refused: with `E_AUDIT_RETENTION` when entries of that time have to be kept.
        """
        chosen = (self.compliance_level, self.of_client, self.of_installation)
        latest = latest_cut(today, *chosen)
        if before is None:
            return None if days_kept(*chosen) is None else latest
        if before > latest:
            kept = days_kept(*chosen) or least_days(self.compliance_level)
            message = (
                f"The trail of {self.client_id!r} (compliance level {self.compliance_level or 'unknown'}) is kept for "
                f"{kept} days."
            )
            raise Refused(Problem(Code.AUDIT_RETENTION, message, f"Name {latest} or an earlier day.", "--before"))
        return before


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed of one trail; `archive` is None where no copy was wanted."""

    checkpoint: Checkpoint
    archive: Archive | None


async def retentions(
    connection: psycopg.AsyncConnection, client_id: str | None, of_installation: int | None
) -> tuple[date, list[Retention]]:
    """Today's date in UTC, and how long the trails of a client or of all are kept.

    Args:
        connection: An operations connection.
        client_id: The client; None for all that have a trail.
        of_installation: Days that were chosen for all.
    """
    cursor = await connection.execute(
        "SELECT (now() AT TIME ZONE 'UTC')::date, h.client_id, coalesce(p.compliance_level, %s), "
        "p.audit_retention_days FROM cm_priv.audit_head h LEFT JOIN cm.client_profile p USING (client_id) "
        "WHERE h.client_id = %s OR %s::text IS NULL ORDER BY 2",
        [_NO_LEVEL, client_id, client_id],
    )
    rows = await cursor.fetchall()
    today = rows[0][0] if rows else date.min
    return today, [Retention(client, level, days, of_installation) for _, client, level, days in rows]


async def prune(
    connection: psycopg.AsyncConnection, key: bytes, operator: str, cut: tuple[str, date], folder: Path | None
) -> Pruned | None:
    """Remove a client's entries of before a day; None when there are none.

    They are read and proven first, and written to a file of the folder that is read back. Then, in one transaction,
    they are removed, their checkpoint is kept, and an entry says so.

    Args:
        connection: An operations connection.
        key: What the checkpoint is sealed with.
        operator: Who does it.
        cut: The client and the day, in UTC.
        folder: Where the archive goes; None keeps no copy.

    Raises:
        Refused: with `E_AUDIT_BROKEN` when the entries are not whole, `E_AUDIT_FILE` when they cannot be written,
            `E_BUSY` when the trail was cut meanwhile.
    """
    client_id, before = cut
    walk = await _begin(connection, key, client_id)
    last = await _last_before(connection, client_id, before)
    if last is None or last <= walk.seq:
        return None
    proven, archive = await _proven(connection, walk, last, folder)
    moment = await _now(connection)
    unsealed = Checkpoint(client_id, walk.seq + 1, last, proven.sha256, moment)
    checkpoint = replace(unsealed, seal=unsealed.sealed_by(key))
    await _remove(connection, Act(operator, PRUNING, [client_id], _facts(checkpoint, before, archive)), checkpoint)
    return Pruned(checkpoint, archive)


async def _begin(connection: psycopg.AsyncConnection, key: bytes, client_id: str) -> Walk:
    """Where the chain goes on from."""
    cuts = await checkpoints(connection, client_id)
    if not all(cut.holds(key) for cut in cuts):
        raise _broken(client_id, "a checkpoint was not sealed by this installation")
    return Walk(client_id, cuts[-1].seq, cuts[-1].sha256) if cuts else Walk(client_id)


async def _last_before(connection: psycopg.AsyncConnection, client_id: str, before: date) -> int | None:
    # Up to the first entry of that day or later, whatever clocks did in between.
    cursor = await connection.execute(
        "SELECT coalesce(min(seq) FILTER (WHERE at >= %s::date::timestamp AT TIME ZONE 'UTC') - 1, max(seq)) "
        "FROM cm.audit_entry WHERE client_id = %s",
        [before, client_id],
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _now(connection: psycopg.AsyncConnection) -> datetime:
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gave no row")
    return row[0]


async def _proven(
    connection: psycopg.AsyncConnection, walk: Walk, last: int, folder: Path | None
) -> tuple[Walk, Archive | None]:
    """The end of the entries that go, which are whole; and their archive, where one is wanted."""
    proven = Walk(walk.client_id, walk.seq, walk.sha256)
    async with aclosing(export_entries(connection, walk.client_id, last)) as entries:
        async for entry in entries:
            if not proven.take(entry):
                break
    if proven.fault is not None:
        raise _broken(walk.client_id, f"at entry {proven.fault.seq}, {proven.fault.reason}")
    if folder is None:
        return proven, None
    file = folder / f"{walk.client_id}.{walk.seq + 1}-{last}.jsonl"
    async with aclosing(export_entries(connection, walk.client_id, last)) as entries:
        archive = await write_archive(file, entries, walk)
    if archive.entries != last - walk.seq:
        raise _broken(walk.client_id, "it changed while it was written")
    return proven, archive


async def _remove(connection: psycopg.AsyncConnection, act: Act, cut: Checkpoint) -> None:
    try:
        async with on_record(connection, act):
            await connection.execute(
                "SELECT cm_priv.audit_prune(%s, %s, %s, %s, %s, %s)",
                [cut.client_id, cut.first_seq, cut.seq, cut.sha256, cut.at, cut.seal],
            )
    except (errors.SerializationFailure, errors.NoDataFound):
        message = f"The trail of {cut.client_id!r} was cut meanwhile."
        raise Refused(Problem(Code.BUSY, message, "Run the command again.")) from None


def _facts(cut: Checkpoint, before: date, archive: Archive | None) -> dict[str, object]:
    return {
        "before": str(before),
        "removed_from": cut.first_seq,
        "removed_to": cut.seq,
        "removed_to_sha256": cut.sha256.hex(),
        "archive_sha256": None if archive is None else archive.sha256,
    }


def _broken(client_id: str, reason: str) -> Refused:
    fix = "Keep it as it is: it is evidence. `commission-mcp audit verify` shows it, with heads exported earlier."
    return Refused(Problem(Code.AUDIT_BROKEN, f"The trail of {client_id!r} is not whole: {reason}.", fix))


def to_remove(today: date, kept: Sequence[Retention], before: date | None) -> list[tuple[str, date]]:
    """Each client with the day before which its entries go; those that are kept for good are left out.

    Raises:
        Refused: with `E_AUDIT_RETENTION`, for every client whose entries of that time have to be kept.
    """
    cuts: list[tuple[str, date]] = []
    problems: list[Problem] = []
    for retention in kept:
        try:
            day = retention.cut(today, before)
        except Refused as refused:
            problems += refused.problems
        else:
            cuts += [] if day is None else [(retention.client_id, day)]
    if problems:
        raise Refused(*problems)
    return cuts
