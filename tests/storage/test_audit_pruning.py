"""Old entries of the audit trail go, and the rest stays provable: from a sealed checkpoint, and archives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

from commission_mcp.domain.retention import days_kept, latest_cut, least_days
from commission_mcp.errors import Refused
from commission_mcp.storage import Client, LoginLimits, add_client, administration, operations
from commission_mcp.storage.audit import (
    SEALING,
    Entry,
    Head,
    Phase,
    Pruned,
    Recorded,
    Verdict,
    Walk,
    checkpoints,
    heads,
    open_audit,
    prune,
    read_archive,
    verify,
)
from commission_mcp.storage.identifiers import mint

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).date()


@dataclass(frozen=True)
class Trail:
    """A client of a test's own with ten entries, one every hundred days, the newest of them of yesterday."""

    installation: Installation
    client_id: str

    @property
    def key(self) -> bytes:
        """What checkpoints are sealed with."""
        return self.installation.credentials.sealing_key(SEALING)

    async def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement as a superuser whom no trigger stops."""
        async with administration(self.installation.address) as connection:
            await connection.execute("SET session_replication_role = replica")
            text = statement.replace("{client}", self.client_id)
            cursor = await connection.execute(text.encode(), params or None)
            return await cursor.fetchall() if cursor.description else []

    async def prune(self, entries: int, folder: Path | None) -> Pruned | None:
        """Remove the first entries."""
        day = TODAY - (10 - entries) * 100 * DAY
        async with operations(self.installation.address) as connection:
            return await prune(connection, self.key, "ada", (self.client_id, day), folder)

    async def verdict(self, kept: Sequence[Head] = (), archives: Sequence[Walk] = ()) -> Verdict:
        """What `verify` says of it."""
        async with operations(self.installation.address) as connection:
            found = await verify(connection, self.key, kept, archives)
        return next(verdict for verdict in found if verdict.client_id == self.client_id)

    async def head(self) -> Head:
        """Its end."""
        async with operations(self.installation.address) as connection:
            return next(head for head in await heads(connection) if head.client_id == self.client_id)

    async def archive(self, file: Path, *kept: Head) -> Walk:
        """An archive of it, read."""
        async with operations(self.installation.address) as connection:
            cuts = await checkpoints(connection, self.client_id)
        begins = {(self.client_id, cut.seq): cut.sha256 for cut in cuts}
        known = {head.seq: head.sha256 for head in kept} | {cut.seq: cut.sha256.hex() for cut in cuts}
        return read_archive(file, begins, {self.client_id: known})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `commission-mcp audit`."""
        command = [sys.executable, "-m", "commission_mcp", "audit", *arguments]
        environment = {**os.environ, **self.installation.variables}
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)


def in_folder(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def aged(client_id: str, count: int = 10) -> list[Recorded]:
    """Entries as the server wrote them then."""
    entries: list[Recorded] = []
    for number in range(count):
        said = Entry(
            mint(), mint(), client_id, "issuer", "ada", "verified", "tools/call", "query", Phase.OUTCOME, "ok", "{}"
        )
        at = datetime.combine(TODAY, datetime.min.time(), UTC) - (count - number) * 100 * DAY + 99 * DAY
        unhashed = Recorded(number + 1, at, said, b"")
        previous = entries[-1].sha256 if entries else b""
        entries.append(replace(unhashed, sha256=unhashed.hash_after(previous)))
    return entries


async def store(installation: Installation, entries: Sequence[Recorded]) -> None:
    async with administration(installation.address) as connection:
        for each in entries:
            said = each.entry.as_stored()
            await connection.execute(
                "INSERT INTO cm.audit_entry VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [said["client_id"], each.seq, each.at, said["entry_id"], said["call_id"], said["issuer"]]
                + [said[name] for name in ("subject", "assurance", "action", "object", "phase", "outcome", "facts")]
                + [each.sha256],
            )
        last = entries[-1]
        await connection.execute(
            "INSERT INTO cm_priv.audit_head VALUES (%s, %s, %s)", [last.entry.client_id, last.seq, last.sha256]
        )


@pytest.fixture
async def trail(installation: Installation) -> AsyncGenerator[Trail]:
    made = Trail(installation, f"kept-{uuid.uuid4().hex[:12]}")
    async with administration(installation.address) as connection:
        client = Client(made.client_id, "Kept Inc", region="North America")
        await add_client(connection, client, installation.credentials, LoginLimits())
    await store(installation, aged(made.client_id))
    yield made
    await made.execute("DELETE FROM cm.audit_entry WHERE client_id = '{client}'")
    await made.execute("DELETE FROM cm_priv.audit_cut WHERE client_id = '{client}'")
    await made.execute("DELETE FROM cm_priv.audit_head WHERE client_id = '{client}'")


async def test_what_is_left_is_proven_from_the_checkpoint_and_what_went_from_its_archive(
    trail: Trail, tmp_path: Path
) -> None:
    before = await trail.head()
    early = Head(trail.client_id, 2, aged_hash(await trail.execute(HASH, 2)))
    done = await trail.prune(4, tmp_path)
    assert done is not None
    assert done.archive is not None
    unaided = await trail.verdict([before, early])
    walk = await trail.archive(done.archive.file, early)
    aided = await trail.verdict([before, early], [walk])

    assert (unaided.fault, unaided.entries, unaided.removed) == (None, 7, 4)  # six, and the one about the removal
    assert (unaided.proven_heads, unaided.open_heads) == (1, (2,))
    assert (walk.seq, walk.fault) == (4, None)
    assert (aided.proven_heads, aided.open_heads) == (2, ())
    assert done.archive.file.stat().st_mode & 0o777 == 0o600


async def test_the_removal_is_an_entry_of_the_chain(trail: Trail, tmp_path: Path) -> None:
    done = await trail.prune(4, tmp_path)
    assert done is not None
    assert done.archive is not None
    (row,) = await trail.execute(
        "SELECT subject, assurance, action, object, outcome, facts FROM cm.audit_entry "
        "WHERE client_id = '{client}' AND seq = 11"
    )

    assert row[:5] == ("operator:ada", "asserted", "command", "audit prune", "ok")
    assert json.loads(row[5]) == {
        "before": str(TODAY - 600 * DAY),
        "removed_from": 1,
        "removed_to": 4,
        "removed_to_sha256": done.checkpoint.sha256.hex(),
        "archive_sha256": done.archive.sha256,
    }


async def test_a_trail_is_pruned_again_and_all_archives_make_the_whole(trail: Trail, tmp_path: Path) -> None:
    first, none, second = (
        await trail.prune(3, tmp_path),
        await trail.prune(3, tmp_path),
        await trail.prune(8, tmp_path),
    )
    assert first is not None
    assert second is not None
    files = in_folder(tmp_path)
    walks = [await trail.archive(file) for file in files]
    verdict = await trail.verdict(archives=walks)

    assert none is None
    assert [file.name for file in files] == [f"{trail.client_id}.1-3.jsonl", f"{trail.client_id}.4-8.jsonl"]
    assert [(walk.seq, walk.fault) for walk in walks] == [(3, None), (8, None)]
    assert (verdict.fault, verdict.removed, verdict.entries) == (None, 8, 4)


async def test_everything_but_the_removal_itself_can_go(trail: Trail) -> None:
    done = await trail.prune(10, None)
    verdict = await trail.verdict()

    assert done is not None
    assert done.archive is None
    assert (verdict.fault, verdict.removed, verdict.entries) == (None, 10, 1)


HASH = "SELECT sha256 FROM cm.audit_entry WHERE client_id = '{client}' AND seq = %s"


def aged_hash(rows: list[tuple[Any, ...]]) -> str:
    return bytes(rows[0][0]).hex()


AFTERWARDS = {
    "a changed entry": ("UPDATE cm.audit_entry SET outcome = 'crash' WHERE {of} AND seq = 7", 7, "was changed"),
    "a missing range": ("DELETE FROM cm.audit_entry WHERE {of} AND seq IN (6, 7)", 6, "entries 6 to 7 are missing"),
    "the first one left": ("DELETE FROM cm.audit_entry WHERE {of} AND seq = 5", 5, "entry 5 is missing"),
    "a removed tail": ("DELETE FROM cm.audit_entry WHERE {of} AND seq > 8", 9, "entries 9 to 11 are missing"),
    "more removed than the checkpoint says": (
        "DELETE FROM cm.audit_entry WHERE {of} AND seq < 7",
        5,
        "entries 5 to 6 are missing",
    ),
    "a checkpoint of somebody else": (
        "UPDATE cm_priv.audit_cut SET seal = sha256('guess') WHERE {of}",
        4,
        "not sealed by this installation",
    ),
    "a checkpoint that was moved": (
        """DELETE FROM cm.audit_entry WHERE {of} AND seq < 7; UPDATE cm_priv.audit_cut c SET seq = 6, sha256 = a.sha256
        FROM cm.audit_entry a WHERE a.{of} AND a.seq = 7 AND c.{of}""",
        6,
        "not sealed by this installation",
    ),
    "no checkpoint": ("DELETE FROM cm_priv.audit_cut WHERE {of}", 1, "entries 1 to 4 are missing"),
    "an entry put back": (
        """INSERT INTO cm.audit_entry SELECT client_id, 2, at, gen_random_uuid(), call_id, issuer, subject, assurance,
        action, object, phase, outcome, facts, sha256 FROM cm.audit_entry WHERE {of} AND seq = 5""",
        5,
        "entry 2 was added by hand",
    ),
}


@pytest.mark.parametrize(("statement", "seq", "reason"), AFTERWARDS.values(), ids=AFTERWARDS.keys())
async def test_what_was_done_to_a_pruned_trail_is_named(trail: Trail, statement: str, seq: int, reason: str) -> None:
    await trail.prune(4, None)
    await trail.execute(statement.replace("{of}", "client_id = '{client}'"))
    fault = (await trail.verdict()).fault

    assert fault is not None
    assert (fault.seq, reason in fault.reason) == (seq, True), fault


async def test_a_removal_of_which_no_entry_tells_is_named(trail: Trail) -> None:
    """Who has the master secret too can seal a checkpoint, but not without a trace."""
    await trail.prune(4, None)
    await trail.execute(
        "DELETE FROM cm.audit_entry WHERE client_id = '{client}' AND seq = 11;"
        "UPDATE cm_priv.audit_head h SET seq = 10, sha256 = a.sha256 FROM cm.audit_entry a "
        "WHERE a.client_id = '{client}' AND a.seq = 10 AND h.client_id = '{client}'"
    )
    fault = (await trail.verdict()).fault

    assert fault is not None
    assert fault.reason == "entries up to here were removed, and no entry says so"


async def test_a_trail_that_is_not_whole_is_left_as_it_is(trail: Trail, tmp_path: Path) -> None:
    await trail.execute("UPDATE cm.audit_entry SET outcome = 'crash' WHERE client_id = '{client}' AND seq = 2")
    with pytest.raises(Refused, match="E_AUDIT_BROKEN"):
        await trail.prune(4, tmp_path)
    ((left,),) = await trail.execute("SELECT count(*) FROM cm.audit_entry WHERE client_id = '{client}'")

    assert left == 10
    assert in_folder(tmp_path) == []


async def test_an_archive_overwrites_nothing_and_without_it_nothing_goes(trail: Trail, tmp_path: Path) -> None:
    file = tmp_path / f"{trail.client_id}.1-4.jsonl"
    file.write_text("something else", "utf-8")
    with pytest.raises(Refused, match="E_AUDIT_FILE"):
        await trail.prune(4, tmp_path)
    with pytest.raises(Refused, match="E_AUDIT_FILE"):
        await trail.prune(4, file)  # no folder
    verdict = await trail.verdict()

    assert file.read_text("utf-8") == "something else"
    assert (verdict.entries, verdict.removed, in_folder(tmp_path)) == (10, 0, [file])


async def test_an_archive_that_an_ended_attempt_left_is_taken_as_it_is(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "commission_mcp.storage.audit.pruning._remove", ended
    )  # a program that ends between the archive and the removal
    with pytest.raises(KeyboardInterrupt):
        await trail.prune(4, tmp_path)
    monkeypatch.undo()
    (left,) = in_folder(tmp_path)
    done = await trail.prune(4, tmp_path)

    assert done is not None
    assert done.archive is not None
    assert done.archive.file == left
    assert (await trail.verdict()).removed == 4


async def ended(*_: object) -> None:
    raise KeyboardInterrupt


async def test_a_changed_archive_is_found(trail: Trail, tmp_path: Path) -> None:
    done = await trail.prune(4, tmp_path)
    assert done is not None
    assert done.archive is not None
    file = done.archive.file
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace('"ok"', '"crash"'), *lines[2:]]), "utf-8")
    walk = await trail.archive(file)
    file.write_text("".join(lines[1:]), "utf-8")

    assert walk.fault is not None
    assert (walk.fault.seq, walk.fault.reason) == (2, "the entry was changed")
    with pytest.raises(Refused, match="E_AUDIT_FILE"):
        await trail.archive(file)


async def test_writers_go_on_while_a_trail_is_pruned(trail: Trail, tmp_path: Path) -> None:
    installation = trail.installation
    async with open_audit(installation.address, installation.credentials) as audit, anyio.create_task_group() as tasks:

        async def write() -> None:
            for _ in range(30):
                of = (trail.client_id, "issuer", "ada", "verified", "tools/call", "query")
                await audit.record(Entry(mint(), mint(), *of, Phase.OUTCOME, "ok", "{}"))

        for _ in range(4):
            tasks.start_soon(write)
        for count in (2, 5, 9):
            assert await trail.prune(count, tmp_path) is not None
    verdict = await trail.verdict()

    assert (verdict.fault, verdict.removed, verdict.entries) == (None, 9, 1 + 3 + 120)


@pytest.mark.parametrize("role", ["cm_ops", "cm_audit", "cm_writer", "cm_gate", "cm_reader"])
async def test_no_role_that_works_removes_entries_by_itself(trail: Trail, role: str) -> None:
    async with administration(trail.installation.address) as connection:
        await connection.execute(f"SET ROLE {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM cm.audit_entry")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM cm_priv.audit_cut")
        if role != "cm_ops":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("SELECT cm_priv.audit_prune('a', 1, 1, '', now(), '')")


async def test_the_owner_of_the_tables_sees_no_entry_that_is_not_cut_off(trail: Trail) -> None:
    async with administration(trail.installation.address) as connection:
        await connection.execute("SET ROLE cm_owner")
        cursor = await connection.execute("DELETE FROM cm.audit_entry")
        removed = cursor.rowcount
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("UPDATE cm.audit_entry SET outcome = 'ok'")
    verdict = await trail.verdict()

    assert removed == 0
    assert (verdict.entries, verdict.fault) == (10, None)


@pytest.mark.parametrize(("first", "last", "of"), [(2, 4, 4), (1, 4, 3), (1, 99, 4)])
async def test_the_database_cuts_only_where_the_chain_can_go_on(trail: Trail, first: int, last: int, of: int) -> None:
    sha256 = bytes((await trail.execute(HASH, of))[0][0])
    async with operations(trail.installation.address) as connection:
        with pytest.raises((psycopg.errors.SerializationFailure, psycopg.errors.NoDataFound)):
            await connection.execute(
                "SELECT cm_priv.audit_prune(%s, %s, %s, %s, now(), %s)",
                [trail.client_id, first, last, sha256, b"s" * 32],
            )

    assert (await trail.verdict()).entries == 10


@pytest.mark.parametrize(
    ("level", "of_client", "of_all", "kept", "earliest"),
    [
        ("standard", None, None, None, 365),
        ("standard", 30, None, 365, 365),
        ("standard", 400, 9_999, 400, 400),
        ("premium", None, 30, 1_096, 1_096),
        ("enterprise", None, 3_000, 3_000, 3_000),
        ("of-their-own", None, None, None, 2_557),
    ],
)
def test_the_level_sets_the_least_and_what_was_chosen_may_be_more(
    level: str, of_client: int | None, of_all: int | None, kept: int | None, earliest: int
) -> None:
    today = date(2026, 11, 23)

    assert days_kept(level, of_client, of_all) == kept
    assert latest_cut(today, level, of_client, of_all) == today - earliest * DAY
    assert least_days(level) <= earliest


@pytest.fixture
async def trail_18(postgres_18: Installation) -> Trail:
    made = Trail(postgres_18, f"kept-{uuid.uuid4().hex[:12]}")
    async with administration(postgres_18.address) as connection:
        client = Client(made.client_id, "Kept Inc", region="North America", compliance_level="premium")
        await add_client(connection, client, postgres_18.credentials, LoginLimits())
    await store(postgres_18, aged(made.client_id, 15))
    return made


async def test_the_command_prunes_by_day_or_by_retention_and_refuses_what_must_be_kept(
    trail_18: Trail, tmp_path: Path
) -> None:
    of = ("--client", trail_18.client_id)
    unsaid = trail_18.run("prune", *of)
    too_late = trail_18.run("prune", *of, "--before", str(TODAY - 1_000 * DAY), "--discard")
    for_good = trail_18.run("prune", *of, "--discard")
    by_day = trail_18.run("prune", *of, "--before", str(TODAY - 1_300 * DAY), "--export", str(tmp_path))
    await trail_18.execute("UPDATE cm.client_profile SET audit_retention_days = 1 WHERE client_id = '{client}'")
    by_retention = trail_18.run("prune", *of, "--discard")
    archive = tmp_path / f"{trail_18.client_id}.1-2.jsonl"
    verified = trail_18.run("verify", "--archive", str(archive))
    outcomes = await trail_18.execute(
        "SELECT outcome FROM cm.audit_entry WHERE client_id = '{client}' AND object = 'audit prune' ORDER BY seq"
    )

    assert (unsaid.returncode, "E_ARGUMENT" in unsaid.stderr) == (2, True)
    assert (too_late.returncode, "E_AUDIT_RETENTION" in too_late.stderr) == (2, True)
    assert (for_good.returncode, for_good.stderr) == (0, "")
    assert "entries 1 to 2 removed" in by_day.stderr
    assert "entries 3 to 4 removed, no archive" in by_retention.stderr
    assert [row[0] for row in outcomes] == ["E_AUDIT_RETENTION", "ok", "ok"]
    assert verified.returncode == 0, verified.stdout
    assert f"entries up to 2 of {trail_18.client_id}, whole" in verified.stdout
    assert f"{trail_18.client_id}: 14 entries, whole, after 4 that were removed" in verified.stdout
