from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import (
    Client,
    LoginLimits,
    ProfileLists,
    add_client,
    administration,
    find_client,
    set_active,
    set_client,
)

if TYPE_CHECKING:
    from mcp.client import Client as McpClient

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def ask(client: McpClient, sql: str) -> dict[str, Any]:
    result = await client.call_tool("query", {"sql": sql})
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


async def test_disabling_works_at_once_and_enabling_undoes_it(connect: Connect, installation: Installation) -> None:
    async with administration(installation.address) as connection:
        await add_client(connection, Client("soon-gone", "Soon Gone"), installation.credentials, LoginLimits())
        async with connect(installation, "soon-gone") as client:
            assert (await ask(client, "SELECT name FROM clients"))["rows"] == [["Soon Gone"]]

            await set_active(connection, "soon-gone", active=False)
            refused = await ask(client, "SELECT name FROM clients")
            assert refused["problems"][0]["code"] == "E_CLIENT_DISABLED"

            await set_active(connection, "soon-gone", active=True)
            assert (await ask(client, "SELECT name FROM clients"))["rows"] == [["Soon Gone"]]


async def test_disabling_ends_a_running_query_and_closes_the_login(
    connect: Connect, installation: Installation
) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 9000) a, generate_series(1, 9000) b"
    answers: list[dict[str, Any]] = []
    login = installation.credentials.reader_login("busy", MaskingClass.MASKED)
    async with administration(installation.address) as connection:
        await add_client(connection, Client("busy", "Busy"), installation.credentials, LoginLimits())
        async with connect(installation, "busy") as client, anyio.create_task_group() as tasks:

            async def run() -> None:
                answers.append(await ask(client, slow))

            tasks.start_soon(run)
            with anyio.fail_after(60):
                await _until_active(connection, login, 1)
                await set_active(connection, "busy", active=False)
                await _until_active(connection, login, 0)

    assert answers[0]["problems"][0]["code"] in {"E_CLIENT_DISABLED", "E_DATABASE_UNREACHABLE"}
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(
            installation.address.conninfo_as(login, installation.credentials.password(login), "test")
        )


async def _until_active(connection: psycopg.AsyncConnection, login: str, backends: int) -> None:
    counting = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state = 'active'"
    while await (await connection.execute(counting, [login])).fetchone() != (backends,):
        await anyio.sleep(0.01)


async def test_a_wrong_client_is_refused_with_every_problem_and_leaves_nothing(installation: Installation) -> None:
    wrong = Client("wrong", " ", currency="XXY", time_zone="Mars/Olympus", region="Atlantis", tier="gold")
    async with administration(installation.address) as connection:
        with pytest.raises(Refused) as refused:
            await add_client(connection, wrong, installation.credentials, LoginLimits())
        left = await find_client(connection, "wrong")

    paths = {problem.path for problem in refused.value.problems}
    assert paths == {"name", "currency", "time_zone", "region", "tier"}
    assert {problem.code for problem in refused.value.problems} == {Code.ARGUMENT}
    assert left is None


async def test_setting_a_profile_keeps_what_is_not_named(installation: Installation) -> None:
    lists = ProfileLists(override_keys={"priority_1": (10, "1.2")}, templates={"standard": '{"plan_type": "Bonus"}'})
    async with administration(installation.address) as connection:
        added = await add_client(
            connection, Client("kept", "Kept", region="EMEA"), installation.credentials, LoginLimits()
        )
        await set_client(connection, added, lists)
        await set_client(connection, added, ProfileLists())
        row = await (
            await connection.execute("SELECT priority, multiplier FROM cm.override_key WHERE client_id = 'kept'")
        ).fetchone()

    assert added.currency == "EUR"
    assert row is not None
    assert (row[0], str(row[1])) == (10, "1.2")


async def test_an_impossible_list_entry_is_refused_and_nothing_is_written(installation: Installation) -> None:
    async with administration(installation.address) as connection:
        client = await find_client(connection, "client-a")
        assert client is not None
        for lists in (
            ProfileLists(override_keys={"BAD KEY": (1, "1")}),
            ProfileLists(override_keys={"ok": (1, "99")}),
            ProfileLists(override_keys={"ok": (1, "abc")}),
            ProfileLists(templates={"t": "not json"}),
            ProfileLists(templates={"t": "[1]"}),
        ):
            with pytest.raises(Refused) as refused:
                await set_client(connection, client, lists)
            assert refused.value.problems[0].code == Code.ARGUMENT
        written = await (
            await connection.execute("SELECT count(*) FROM cm.override_key WHERE client_id = 'client-a'")
        ).fetchone()

    assert written == (0,)


async def test_a_mask_rule_of_the_client_takes_effect_at_once(connect: Connect, installation: Installation) -> None:
    sql = "SELECT email, tax_id FROM payees ORDER BY payee_id LIMIT 1"
    rule = "INSERT INTO cm.mask_rule VALUES ('client-b', 'payees.email', 'masked', true)"
    async with administration(installation.address) as connection, connect(installation, "client-b") as client:
        before = await ask(client, sql)
        await connection.execute(rule)
        after = await ask(client, sql)
        described = await client.call_tool("schema", {"table": "payees"})
        await connection.execute("DELETE FROM cm.mask_rule WHERE client_id = 'client-b'")
        again = await ask(client, sql)

    assert before["rows"] == again["rows"] == [["***", "***"]]
    assert after["rows"] == [["p1@client-b.example.com", "***"]]
    content: dict[str, Any] = described.structured_content or {}
    masked = {column["name"] for column in content["views"][0]["columns"] if column["masked"]}
    assert masked == {"bank_account", "salary", "tax_id"}
