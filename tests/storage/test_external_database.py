"""What an operator may meet with a database of his own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.storage import (
    Address,
    Credentials,
    DatabaseLimits,
    ReplicaAddresses,
    administration,
    open_database,
    prepare,
)
from commission_mcp.storage.prepare import check_version

if TYPE_CHECKING:
    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def refusal_of_opening(address: Address, credentials: Credentials) -> Code:
    with pytest.raises(Refused) as refused:
        async with open_database(address, credentials, DatabaseLimits(), ReplicaAddresses()):
            pass
    return refused.value.problems[0].code


def at(installation: Installation, **changes: str) -> Address:
    return Address(tuple((dict(installation.address.parameters) | changes).items()))


async def test_serving_needs_no_login_of_the_operators(connect: Connect, postgres_15: Installation) -> None:
    host = dict(postgres_15.address.parameters)["host"]
    variables = {**postgres_15.variables, "COMMISSION_POSTGRES_URL": f"postgresql:///postgres?host={host}"}
    async with connect(replace(postgres_15, variables=variables)) as client:
        result = await client.call_tool("query", {"sql": "SELECT count(*) FROM sales"})

    content: dict[str, Any] = result.structured_content or {}
    assert content["rows"] == [[400]]


async def test_a_wrong_master_secret_and_an_unprepared_database_are_named(postgres_15: Installation) -> None:
    async with administration(postgres_15.address) as connection:
        await connection.execute("CREATE DATABASE unprepared")
    try:
        unprepared = at(postgres_15, dbname="unprepared")
        assert await refusal_of_opening(unprepared, postgres_15.credentials) == Code.DATABASE_NOT_PREPARED
    finally:
        async with administration(postgres_15.address) as connection:
            await connection.execute("DROP DATABASE unprepared")
    # Debian's test server trusts its socket, so a wrong secret shows in the fingerprint and not at the login.
    other = Credentials("another secret of at least 32 characters")
    assert await refusal_of_opening(postgres_15.address, other) == Code.DATABASE_NOT_PREPARED


async def test_preparing_needs_a_superuser_and_says_so(postgres_15: Installation) -> None:
    async with administration(postgres_15.address) as connection:
        await connection.execute("CREATE ROLE plain LOGIN")
        await connection.execute("CREATE DATABASE of_plain OWNER plain")
    try:
        async with administration(at(postgres_15, user="plain", dbname="of_plain")) as connection:
            with pytest.raises(Refused) as refused:
                await prepare(connection, postgres_15.credentials)
    finally:
        async with administration(postgres_15.address) as connection:
            await connection.execute("DROP DATABASE of_plain")
            await connection.execute("DROP ROLE plain")

    assert refused.value.problems[0].code == Code.DATABASE_RIGHTS


async def test_a_database_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(Refused) as refused:
        async with administration(Address.parse("postgresql://u:hunter2@127.0.0.1:1/x")):
            pass

    assert refused.value.problems[0].code == Code.DATABASE_UNREACHABLE
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("version", [140012, 150017, 160013, 170009, 180003])
def test_servers_with_a_known_way_past_row_security_are_refused(version: int) -> None:
    with pytest.raises(Refused) as refused:
        check_version(version)

    assert refused.value.problems[0].code == Code.DATABASE_VERSION


@pytest.mark.parametrize("version", [150018, 160014, 170010, 180004, 190000])
def test_servers_without_it_are_accepted(version: int) -> None:
    check_version(version)


async def test_a_migration_that_was_changed_or_is_unknown_is_refused(postgres_18: Installation) -> None:
    changes: dict[Code, tuple[str, str]] = {
        Code.MIGRATION: (
            "UPDATE cm_priv.migration SET sha256 = 'x' || sha256 WHERE number = 1",
            "UPDATE cm_priv.migration SET sha256 = substr(sha256, 2) WHERE number = 1",
        ),
        Code.DATA_DIRECTORY_NEWER: (
            "INSERT INTO cm_priv.migration (number, name, sha256) VALUES (9999, 'later', 'x')",
            "DELETE FROM cm_priv.migration WHERE number = 9999",
        ),
    }
    async with administration(postgres_18.address) as connection:
        for code, (break_it, mend_it) in changes.items():
            await connection.execute(break_it.encode())
            await connection.execute("UPDATE cm_priv.installation SET fingerprint = 'x' || fingerprint")
            with pytest.raises(Refused) as refused:
                await prepare(connection, postgres_18.credentials)
            await connection.execute(mend_it.encode())
            await connection.execute("UPDATE cm_priv.installation SET fingerprint = substr(fingerprint, 2)")
            assert refused.value.problems[0].code == code
        assert not await prepare(connection, postgres_18.credentials)


async def test_preparing_again_does_not_bless_a_view_that_somebody_put_there(postgres_15: Installation) -> None:
    async with administration(postgres_15.address) as connection:
        await connection.execute("CREATE VIEW commission.leak AS SELECT * FROM cm.sale")
        await connection.execute("UPDATE cm_priv.installation SET fingerprint = 'older'")
        with pytest.raises(Refused) as refused:
            await prepare(connection, postgres_15.credentials)
        await connection.execute("DROP VIEW commission.leak")
        mended = await prepare(connection, postgres_15.credentials)

    assert refused.value.problems[0].code == Code.ISOLATION
    assert mended


async def test_many_processes_may_prepare_at_once(postgres_15: Installation) -> None:
    changed: list[bool] = []
    async with administration(postgres_15.address) as connection:
        await connection.execute("UPDATE cm_priv.installation SET fingerprint = 'older'")

    async def one() -> None:
        async with administration(postgres_15.address) as connection:
            changed.append(await prepare(connection, postgres_15.credentials))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(one)

    assert sorted(changed) == [False] * 5 + [True]


def test_an_address_shows_no_login() -> None:
    address = Address.parse("postgresql://someone:hunter2@db.example.com:5433/commission")

    assert address.place == "db.example.com:5433/commission"
    assert "hunter2" not in repr(address)
    with pytest.raises(Refused):
        Address.parse("not a conninfo")
