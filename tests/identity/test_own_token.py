"""A token over stdio: who calls is verified as over HTTP, on every request."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from commission_mcp.domain.caller import Role
from commission_mcp.errors import Refused
from commission_mcp.identity import SharedKey, mint_token
from commission_mcp.settings import Settings
from commission_mcp.storage import administration, operations
from commission_mcp.storage.users import User, set_user
from commission_mcp.verification import open_own_token, token_rules

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

KEY = "a key for the tokens of the test installation, long enough"
ASK = ("query", {"sql": "SELECT client_id FROM clients"})


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in (result.meta or {}).get("commission-mcp/problems", [])}


def problem(result: CallToolResult) -> dict[str, Any]:
    return (result.meta or {})["commission-mcp/problems"][0]


@pytest.fixture
async def people(postgres_18: Installation) -> AsyncGenerator[Installation]:
    """`client-a` with a user that tokens name."""
    async with administration(postgres_18.address) as connection:
        roles = frozenset({Role.ANALYST, Role.AUDITOR})
        await set_user(connection, "client-a", User("grace", "commission-mcp", "grace", roles))
        yield postgres_18
        await set_user(connection, "client-a", User("grace", "commission-mcp", "grace", roles))


def token(
    installation: Installation,
    *,
    subject: str = "grace",
    clients: Collection[str] = ("client-a",),
    roles: Collection[Role] = (Role.ANALYST,),
    lifetime_s: int = 600,
    key: str = KEY,
) -> dict[str, Any]:
    """Settings with a token."""
    rules = token_rules(installation.settings(None, token_key=KEY))
    minted = mint_token(
        rules,
        SharedKey(key.encode()),
        subject=subject,
        clients=clients,
        roles=roles,
        issued_at=int(time.time()),
        lifetime_s=lifetime_s,
    )
    return {"token": minted, "token_key": KEY, "token_leeway_s": 0}


async def assurances(installation: Installation, subject: str) -> set[tuple[str, str]]:
    async with operations(installation.address) as connection:
        cursor = await connection.execute(
            "SELECT DISTINCT issuer, assurance FROM cm.audit_entry WHERE client_id = 'client-a' AND subject = %s",
            [subject],
        )
        return {(str(issuer), str(assurance)) for issuer, assurance in await cursor.fetchall()}


async def test_a_token_names_the_caller_and_the_trail_says_verified(connect: Connect, people: Installation) -> None:
    async with connect(people, None, **token(people)) as client:
        result = await client.call_tool(*ASK)

    assert (result.structured_content or {})["rows"] == [["client-a"]]
    assert await assurances(people, "grace") == {("commission-mcp", "verified")}


async def test_without_a_token_the_trail_says_asserted(connect: Connect, people: Installation) -> None:
    async with connect(people, "client-a", token_key=KEY) as client:
        await client.call_tool(*ASK)

    assert ("local", "asserted") in await assurances(people, "local")
    assert ("local", "verified") not in await assurances(people, "local")


async def test_the_roles_are_the_tokens_whatever_the_settings_say(connect: Connect, people: Installation) -> None:
    async with connect(people, None, roles="admin,finance", **token(people)) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("audit_log", {})

    assert "query" in listed
    assert "audit_log" not in listed
    assert codes(refused) == {"E_ROLE_REQUIRED"}


async def test_the_settings_choose_among_the_clients_of_a_token(connect: Connect, people: Installation) -> None:
    several = token(people, clients=["client-a", "client-b"])
    async with connect(people, None, **several) as client:
        unsaid = problem(await client.call_tool(*ASK))
    async with connect(people, "client-c", **several) as client:
        foreign = problem(await client.call_tool(*ASK))
    async with connect(people, "client-a", **several) as client:
        content: dict[str, Any] = (await client.call_tool(*ASK)).structured_content or {}

    assert (unsaid["code"], unsaid["path"]) == ("E_CLIENT_AMBIGUOUS", "COMMISSION_CLIENT_ID")
    assert (foreign["code"], foreign["path"]) == ("E_CLIENT_NOT_GRANTED", "COMMISSION_CLIENT_ID")
    assert content["rows"] == [["client-a"]]


@pytest.mark.parametrize("changed", [{"lifetime_s": -5}, {"key": "a key of somebody else, of a length that will do"}])
async def test_a_token_that_is_not_good_is_refused_in_words(
    connect: Connect, people: Installation, changed: dict[str, Any]
) -> None:
    async with connect(people, "client-a", **token(people, **changed)) as client:
        listed = (await client.list_tools()).tools
        refused = await client.call_tool(*ASK)
        with pytest.raises(MCPError, match="E_TOKEN"):
            await client.list_resources()
        with pytest.raises(MCPError, match="E_TOKEN"):
            await client.get_prompt("ask_data", {"question": "how many sales?"})

    assert listed, "what is not listed is not called, and nobody would learn why"
    assert problem(refused)["code"] == "E_TOKEN"
    assert problem(refused)["path"] == "COMMISSION_TOKEN"


async def test_a_token_that_ends_during_the_session_is_refused_from_then_on(
    connect: Connect, people: Installation
) -> None:
    async with connect(people, "client-a", **token(people, lifetime_s=3)) as client:
        before = await client.call_tool(*ASK)
        with anyio.fail_after(30):
            while not codes(after := await client.call_tool(*ASK)):
                await anyio.sleep(0.05)

    assert not before.is_error
    assert codes(after) == {"E_TOKEN"}
    assert "expired" in problem(after)["message"]


async def test_a_stranger_with_a_good_token_is_refused(connect: Connect, people: Installation) -> None:
    async with connect(people, "client-a", **token(people, subject="stranger")) as client:
        assert codes(await client.call_tool(*ASK)) == {"E_USER_UNKNOWN"}


async def test_a_token_without_a_key_to_verify_it_is_a_fault_of_the_settings(people: Installation) -> None:
    settings: Settings = people.settings("client-a", token="a.b.c")
    with pytest.raises(Refused, match="E_SETTING"):
        async with open_own_token(settings):
            pass
