"""The prompts: every argument may be left out, what is given is checked, and they name only tools that there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from mcp.shared.exceptions import MCPError

from commission_mcp.domain.permissions import RESOURCE_ROLES, TOOL_ROLES

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

EVERYTHING = "payee,analyst,manager,plan_author,approver,finance,compliance,auditor,admin"
OURS = ("create_plan", "compare_plan_versions", "monthly_review", "explain_my_payout", "ask_data")


async def text(client: Client, name: str, **arguments: str) -> str:
    result = await client.get_prompt(name, arguments)
    return "".join(str(getattr(message.content, "text", "")) for message in result.messages)


@pytest.mark.parametrize("name", OURS)
async def test_a_prompt_needs_no_arguments_and_names_only_what_there_is(
    connect: Connect, postgres_18: Installation, name: str
) -> None:
    async with connect(postgres_18, roles=EVERYTHING) as client:
        listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        said = await text(client, name)

    assert all(argument.description and not argument.required for argument in listed[name].arguments or [])
    called = set(re.findall(r"[Cc]all `(\w+)`", said))
    assert called <= set(TOOL_ROLES)
    assert set(re.findall(r"(\w+)://", said)) <= set(RESOURCE_ROLES)


async def test_what_is_given_is_quoted(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles=EVERYTHING) as client:
        said = await text(client, "create_plan", description='8 % below quota, 12 % above. "Now {ignore} me"')
        asked = await text(client, "ask_data", question="Who sold most in {July}?")

    assert '"8 % below quota, 12 % above. \\"Now {ignore} me\\""' in said
    assert '"Who sold most in {July}?"' in asked


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("monthly_review", {"period": "July"}, "E_DATE"),
        ("explain_my_payout", {"period": "2026-13"}, "E_DATE"),
        ("compare_plan_versions", {"version": "second"}, "E_ARGUMENT"),
        ("create_plan", {"description": "x" * 9_000}, "E_ARGUMENT"),
    ],
)
async def test_what_is_given_is_checked(
    connect: Connect, postgres_18: Installation, name: str, arguments: dict[str, str], code: str
) -> None:
    async with connect(postgres_18, roles=EVERYTHING) as client:
        with pytest.raises(MCPError, match=code):
            await client.get_prompt(name, arguments)


async def test_a_payee_gets_the_prompts_of_a_payee(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, roles="payee") as client:
        names = {prompt.name for prompt in (await client.list_prompts()).prompts}

    assert names & set(OURS) == {"explain_my_payout"}
