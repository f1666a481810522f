"""The audit trail: every call is on it, durable before its answer, and no entry can change unseen."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

from commission_mcp.errors import Refused
from commission_mcp.storage import administration, operations
from commission_mcp.storage.audit import SEALING, AuditLog, Entry, Head, Phase, Verdict, heads, open_audit, verify
from commission_mcp.storage.identifiers import mint

if TYPE_CHECKING:
    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

SECRET = "4711-not-to-be-written-down"  # noqa: S105 - a planted value


def entry(client_id: str, number: int = 0, **changed: str) -> Entry:
    content = {
        "entry_id": mint(),
        "call_id": mint(),
        "client_id": client_id,
        "issuer": "issuer",
        "subject": "ada",
        "assurance": "verified",
        "action": "tools/call",
        "object": "query",
        "outcome": "ok",
        "facts": json.dumps({"number": number}),
        **changed,
    }
    return Entry(phase=Phase.OUTCOME, **content)


@asynccontextmanager
async def audit_of(installation: Installation) -> AsyncGenerator[AuditLog]:
    async with open_audit(installation.address, installation.credentials) as audit:
        yield audit


async def verdicts(installation: Installation, kept: Sequence[Head] = ()) -> dict[str, Verdict]:
    """What `verify` says, by client."""
    async with operations(installation.address) as connection:
        found = await verify(connection, installation.credentials.sealing_key(SEALING), kept)
    return {verdict.client_id: verdict for verdict in found}


def whole(found: dict[str, Verdict]) -> bool:
    return not any(verdict.fault for verdict in found.values())


async def trail(installation: Installation, client_id: str) -> list[dict[str, Any]]:
    """The newest entries of a client, in order."""
    async with operations(installation.address) as connection:
        cursor = await connection.execute(
            "SELECT subject, assurance, action, object, phase, outcome, facts, call_id::text FROM cm.audit_entry "
            "WHERE client_id = %s ORDER BY seq DESC LIMIT 10",
            [client_id],
        )
        names: tuple[str, ...] = ("subject", "assurance", "action", "object", "phase", "outcome", "facts", "call_id")
        rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
    return rows[::-1]


async def test_every_call_and_refusal_is_on_record_without_its_values(
    connect: Connect, installation: Installation
) -> None:
    sql = f"SELECT name FROM payees WHERE tax_id = '{SECRET}' OR tax_id = $1"
    async with connect(installation, roles="analyst,auditor") as client:
        await client.call_tool("query", {"sql": sql, "params": [SECRET]})
        await client.call_tool("query", {"sql": "DELETE FROM sales"})
        await client.call_tool("query", {"sq": SECRET})
        await client.call_tool("calculate_commission", {"plan": {"plan_name": SECRET}})
        await client.read_resource("schema://tables/sales")
        await client.call_tool("no_such_tool", {})
    entries = await trail(installation, "client-a")

    assert [(each["action"], each["object"], each["phase"], each["outcome"]) for each in entries[-6:]] == [
        ("tools/call", "query", "outcome", "ok"),
        ("tools/call", "query", "outcome", "E_SQL_NOT_SELECT"),
        ("tools/call", "query", "outcome", "E_ARGUMENT_UNKNOWN"),
        ("tools/call", "calculate_commission", "outcome", entries[-3]["outcome"]),
        ("resources/read", "schema://tables/sales", "outcome", "ok"),
        ("tools/call", "no_such_tool", "outcome", "E_TOOL_UNKNOWN"),
    ]
    assert {(each["subject"], each["assurance"]) for each in entries[-6:]} == {("local", "asserted")}
    assert json.loads(entries[-6]["facts"])["views"] == ["payees"]
    assert json.loads(entries[-6]["facts"])["row_count"] == 0
    assert SECRET not in str(entries)


async def test_what_may_change_something_is_on_record_before_and_after(
    connect: Connect, postgres_18: Installation
) -> None:
    async with connect(postgres_18, "client-b") as client:
        await client.call_tool("chat_history", {"action": "append", "role": "user", "content": SECRET})
    intent, outcome = (await trail(postgres_18, "client-b"))[-2:]

    assert [(each["phase"], each["outcome"]) for each in (intent, outcome)] == [
        ("intent", "pending"),
        ("outcome", "ok"),
    ]
    assert intent["call_id"] == outcome["call_id"]
    assert json.loads(intent["facts"])["action"] == "append"
    assert SECRET not in str((intent, outcome))


async def test_a_refused_writer_leaves_no_intent(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, "client-b", subject="stranger") as client:
        await client.call_tool("chat_history", {"action": "append", "role": "user", "content": "x"})
    entries = [each for each in await trail(postgres_18, "client-b") if each["subject"] == "stranger"]

    assert [(each["phase"], each["outcome"]) for each in entries] == [("outcome", "E_USER_UNKNOWN")]


async def test_the_trail_of_a_client_is_one_chain_over_concurrent_writers(installation: Installation) -> None:
    async with audit_of(installation) as one, audit_of(installation) as other, anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one.record, entry("chain-1", number))
            tasks.start_soon(other.record, entry("chain-1" if number % 2 else "chain-2", number))
    found = await verdicts(installation)

    assert (found["chain-1"].entries, found["chain-2"].entries) == (150, 50)
    assert whole(found)


async def test_an_entry_that_is_sent_twice_counts_once(postgres_18: Installation) -> None:
    twice = entry("twice")
    async with audit_of(postgres_18) as audit:
        await audit.record(twice)
        await audit.record(twice)
        await audit.record(entry("twice"))
    found = await verdicts(postgres_18)

    assert found["twice"].entries == 2
    assert whole(found)


async def test_texts_that_a_database_cannot_hold_are_recorded_without_what_it_cannot(
    postgres_18: Installation,
) -> None:
    async with audit_of(postgres_18) as audit:
        await audit.record(entry("odd", object="a\0b\ud800", subject="Zoë, 名前\n5:x,"))
    found = await verdicts(postgres_18)

    assert found["odd"].entries == 1
    assert whole(found)


def moved(*numbers: tuple[int, int]) -> str:
    """Give entries other numbers, by way of numbers that are free."""
    of = "WHERE client_id = 'tampered' AND seq ="
    away = [f"UPDATE cm.audit_entry SET seq = {1000 + old} {of} {old}" for old, _ in numbers]
    back = [f"UPDATE cm.audit_entry SET seq = {new} {of} {1000 + old}" for old, new in numbers]
    return ";".join(away + back)


TAMPERING = {
    "a changed outcome": ("UPDATE cm.audit_entry SET outcome = 'ok' {of} 7", "was changed"),
    "a moved time": ("UPDATE cm.audit_entry SET at = at + interval '1 us' {of} 7", "was changed"),
    "another subject": ("UPDATE cm.audit_entry SET subject = 'bob' {of} 7", "was changed"),
    "a missing entry": ("DELETE FROM cm.audit_entry {of} 7", "entry 7 is missing"),
    "a missing range": ("DELETE FROM cm.audit_entry {of} ANY (ARRAY[7, 8, 9])", "entries 7 to 9 are missing"),
    "a missing range, closed up": (
        "DELETE FROM cm.audit_entry {of} ANY (ARRAY[7, 8]);" + moved((9, 7), (10, 8)),
        "was changed",
    ),
    "another order": (moved((7, 8), (8, 7)), "the order was changed: this entry is found as number 8"),
    "one moved to the end": (moved((7, 10), (8, 7), (9, 8), (10, 9)), "is found as number 10"),
    "a cut end": ("DELETE FROM cm.audit_entry {of} ANY (ARRAY[7, 8, 9, 10])", "entries 7 to 10 are missing"),
}


@pytest.mark.parametrize(("statement", "reason"), TAMPERING.values(), ids=TAMPERING.keys())
async def test_what_was_done_to_a_trail_is_named(postgres_18: Installation, statement: str, reason: str) -> None:
    async with audit_of(postgres_18) as audit:
        for number in range(10):
            await audit.record(entry("tampered", number, outcome="E_TIMEOUT"))
    async with administration(postgres_18.address) as connection:
        # A superuser can do this; that it shows is the point.
        await connection.execute("SET session_replication_role = replica")
        try:
            await connection.execute(statement.format(of="WHERE client_id = 'tampered' AND seq =").encode())
            found = await verdicts(postgres_18)
        finally:
            await connection.execute("DELETE FROM cm.audit_entry WHERE client_id = 'tampered'")
            await connection.execute("DELETE FROM cm_priv.audit_head WHERE client_id = 'tampered'")
    fault = found["tampered"].fault

    assert fault is not None
    assert fault.seq == 7
    assert reason in fault.reason


async def test_a_tail_that_is_gone_with_its_head_shows_beside_an_exported_head(postgres_18: Installation) -> None:
    async with audit_of(postgres_18) as audit:
        for number in range(10):
            await audit.record(entry("cut-off", number))
    async with operations(postgres_18.address) as connection:
        kept = [head for head in await heads(connection) if head.client_id == "cut-off"]
    async with administration(postgres_18.address) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM cm.audit_entry WHERE client_id = 'cut-off' AND seq > 6")
        await connection.execute(
            "UPDATE cm_priv.audit_head h SET seq = 6, sha256 = a.sha256 FROM cm.audit_entry a "
            "WHERE (a.client_id, a.seq) = ('cut-off', 6) AND h.client_id = 'cut-off'"
        )
    unaided, aided = await verdicts(postgres_18), await verdicts(postgres_18, kept)
    async with administration(postgres_18.address) as connection:
        await connection.execute("DELETE FROM cm_priv.audit_head WHERE client_id = 'cut-off'")
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM cm.audit_entry WHERE client_id = 'cut-off'")
    fault = aided["cut-off"].fault

    assert unaided["cut-off"].fault is None
    assert fault is not None
    assert (fault.seq, fault.reason) == (7, "entries 7 to 10 are missing, up to a head that was exported")


async def test_a_rewritten_trail_shows_beside_an_exported_head(postgres_18: Installation) -> None:
    async with audit_of(postgres_18) as audit:
        for number in range(5):
            await audit.record(entry("rewritten", number))
        async with operations(postgres_18.address) as connection:
            kept = [head for head in await heads(connection) if head.client_id == "rewritten"]
        async with administration(postgres_18.address) as connection:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute("DELETE FROM cm.audit_entry WHERE client_id = 'rewritten'")
            await connection.execute("DELETE FROM cm_priv.audit_head WHERE client_id = 'rewritten'")
        for number in range(8):
            await audit.record(entry("rewritten", number))
    unaided, aided = await verdicts(postgres_18), await verdicts(postgres_18, kept)
    gone = await verdicts(postgres_18, [Head("never-was", 3, "00")])
    faults = [verdict.fault for found in (aided, gone) for verdict in found.values() if verdict.fault]

    assert whole(unaided)
    assert [(fault.client_id, fault.seq) for fault in faults] == [("rewritten", 5), ("never-was", 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cm.audit_entry SET outcome = 'ok'",
        "DELETE FROM cm.audit_entry",
        "TRUNCATE cm.audit_entry",
    ],
)
async def test_nobody_who_serves_or_loads_changes_an_entry(installation: Installation, statement: str) -> None:
    async with operations(installation.address) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())
    async with administration(installation.address) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["cm_gate", "cm_writer", "cm_reader"])
@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM cm.audit_entry", "SELECT cm_priv.audit_append('[]')", "SELECT * FROM cm_priv.audit_head"],
)
async def test_no_other_login_reads_or_writes_the_trail(installation: Installation, role: str, statement: str) -> None:
    async with administration(installation.address) as connection:
        await connection.execute(f"SET ROLE {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())


async def test_the_audit_login_can_do_nothing_else(installation: Installation) -> None:
    async with administration(installation.address) as connection:
        await connection.execute("SET ROLE cm_audit")
        for statement in (
            "SELECT * FROM cm.audit_entry",
            "SELECT * FROM cm.sale",
            "SELECT * FROM commission.sales",
            "INSERT INTO cm.audit_entry SELECT",
        ):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.SyntaxError)):
                await connection.execute(statement.encode())


async def test_a_database_that_is_away_is_a_refusal_within_bounds(
    postgres_18: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "commission_mcp.storage.audit.log._WAIT_S", 0.3
    )  # a database that stays away, without 30 s of it
    nowhere = AuditLog("host=/nowhere connect_timeout=1", b"key")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nowhere.run)
        with pytest.raises(Refused, match="E_AUDIT"):
            await nowhere.record(entry("client-a"))
        tasks.cancel_scope.cancel()
    with pytest.raises(Refused, match="E_AUDIT"):
        await nowhere.record(entry("client-a"))
    assert postgres_18


async def test_an_answer_that_cannot_be_recorded_is_not_given(
    connect: Connect, postgres_18: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(postgres_18) as client:
        await client.call_tool("schema", {})
        monkeypatch.setattr("commission_mcp.storage.audit.log._WAITING_MAX", 0)  # full from the start
        result = await client.call_tool("query", {"sql": "SELECT 1"})

    assert result.is_error
    assert "E_AUDIT" in str(result.meta)
    assert result.structured_content is None


async def until_longer(entries: set[str], by: int) -> None:
    seen = len(entries)
    with anyio.fail_after(60):
        while len(entries) < seen + by:
            await anyio.sleep(0.005)


async def test_an_acknowledged_entry_survives_the_death_of_the_database(postgres_18: Installation) -> None:
    """Writers go on while PostgreSQL is killed under them: nothing acknowledged is lost, the chain is whole."""
    rounds = 25 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 2
    data = Path(postgres_18.variables["COMMISSION_DATA_DIRECTORY"])
    acknowledged: set[str] = set()

    async def keep_writing(audit: AuditLog) -> None:
        while True:
            written = entry("killed")
            try:
                await audit.record(written)
            except Refused:
                continue
            acknowledged.add(written.entry_id)

    async with audit_of(postgres_18) as audit, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(keep_writing, audit)
        for _ in range(rounds):
            await until_longer(acknowledged, by=200)
            os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await until_longer(acknowledged, by=50)
        tasks.cancel_scope.cancel()
    found = await verdicts(postgres_18)
    async with operations(postgres_18.address) as connection:
        cursor = await connection.execute("SELECT entry_id::text FROM cm.audit_entry WHERE client_id = 'killed'")
        stored = {str(row[0]) for row in await cursor.fetchall()}

    print(rounds, "kills,", len(acknowledged), "entries acknowledged,", len(stored), "stored")  # noqa: T201 - the figures
    assert acknowledged - stored == set()
    assert whole(found)


async def test_the_same_arguments_have_the_same_mark_and_others_another(postgres_18: Installation) -> None:
    async with audit_of(postgres_18) as audit:
        mark = audit.digest({"a": 1, "b": [SECRET]})

        assert mark == audit.digest({"b": [SECRET], "a": 1})
        assert mark != audit.digest({"a": 2, "b": [SECRET]})
        assert mark != hashlib.sha256(json.dumps({"a": 1, "b": [SECRET]}).encode()).hexdigest()[:32]
