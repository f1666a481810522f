"""Writing happens as one client, whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Database,
    DatabaseLimits,
    ReplicaAddresses,
    open_database,
)

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio

ALICE = Caller("client-a", LOCAL_ISSUER, "local", frozenset({Role.PLAN_AUTHOR}))
NAMES = "SELECT client_id, name FROM cm.uom ORDER BY 1"


@asynccontextmanager
async def opened(installation: Installation) -> AsyncGenerator[Database]:
    async with open_database(
        installation.address, installation.credentials, DatabaseLimits(), ReplicaAddresses()
    ) as database:
        yield database


async def halve(database: Database, then: LiteralString) -> None:
    async with database.writing(ALICE) as mine:
        await mine.execute("UPDATE cm.uom SET name = 'Half'")
        await mine.execute(then)


async def test_only_the_callers_own_rows_are_there(installation: Installation) -> None:
    async with opened(installation) as database, database.writing(ALICE, read_only=True) as mine:
        assert {row[0] for row in await mine.rows("SELECT client_id FROM cm.sale")} == {"client-a"}
        assert mine.admission.user_id == "local"
        assert await mine.execute("SELECT FROM cm.client WHERE client_id = 'client-b'") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO cm.uom VALUES ('client-b', 'BOX', 'Box')",
        "UPDATE cm.uom SET client_id = 'client-b' WHERE uom = 'EA'",
        "UPDATE cm.client SET active = false",
        "UPDATE cm.data_version SET version = 1",
        "DELETE FROM cm.calc_run",
        "TRUNCATE cm.plan_draft",
        "SELECT * FROM cm_priv.login",
        "SET ROLE cm_ops",
    ],
)
async def test_what_is_not_its_own_cannot_be_written(installation: Installation, statement: str) -> None:
    async with opened(installation) as database:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.writing(ALICE) as mine:
                await mine.connection.execute(statement.encode())


async def test_rows_of_others_are_not_touched(installation: Installation) -> None:
    async with opened(installation) as database, database.writing(ALICE) as mine:
        assert await mine.execute("UPDATE cm.uom SET name = 'Each'") == 1


async def test_a_failure_leaves_nothing(installation: Installation) -> None:
    async with opened(installation) as database:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await halve(database, then="SELECT 1 / 0")
        async with database.writing(ALICE, read_only=True) as mine:
            assert await mine.row(NAMES) == ("client-a", "Each")


async def test_a_reading_transaction_cannot_write(installation: Installation) -> None:
    async with opened(installation) as database:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with database.writing(ALICE, read_only=True) as mine:
                await mine.execute("UPDATE cm.uom SET name = 'Half'")


@pytest.mark.parametrize("name", ["alice\0of nobody", "alice\ud800"])
async def test_a_name_that_the_database_cannot_hold_is_nobodys(installation: Installation, name: str) -> None:
    """On the wire a NUL ends a text: what follows it must not be what tells two users apart."""
    async with opened(installation) as database:
        for caller in (replace(ALICE, subject=name), replace(ALICE, client_id=f"client-a{name[5:]}")):
            with pytest.raises(Refused) as refused:
                await database.admit(caller)
            assert [problem.code for problem in refused.value.problems] == [Code.USER_UNKNOWN]


async def test_an_unknown_user_does_not_come_in(installation: Installation) -> None:
    stranger = Caller("client-a", LOCAL_ISSUER, "stranger", frozenset(Role))
    async with opened(installation) as database:
        with pytest.raises(Refused) as refused:
            async with database.writing(stranger):
                raise AssertionError
    assert [problem.code for problem in refused.value.problems] == [Code.USER_UNKNOWN]


async def test_the_client_is_forgotten_when_the_transaction_ends(installation: Installation) -> None:
    async with opened(installation) as database:
        async with database.writing(ALICE) as mine:
            connection = mine.connection
        async with connection.transaction():
            cursor = await connection.execute("SELECT count(*) FROM cm.sale")
            assert await cursor.fetchone() == (0,)


async def test_a_lost_server_is_a_refusal(postgres_18: Installation) -> None:
    async with opened(postgres_18) as database:
        with pytest.raises(Refused) as refused:
            await halve(database, then="SELECT pg_terminate_backend(pg_backend_pid())")
    assert [problem.code for problem in refused.value.problems] == [Code.DATABASE_UNREACHABLE]
