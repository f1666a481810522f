from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Refused
from commission_mcp.storage import operations
from commission_mcp.storage.example_queries import EXAMPLES, OVERVIEW_EXAMPLES
from commission_mcp.storage.masks import MaskRule, clear_mask_rule, set_mask_rule

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def look(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("schema", arguments)
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


async def test_every_view_and_column_has_a_meaning(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client:
        views = (await look(client))["views"]
        detailed = [(await look(client, table=view["name"]))["views"][0] for view in views]

    assert len(views) >= 25
    assert [view["name"] for view in detailed if not view["meaning"] or not view["key"]] == []
    unexplained = [f"{v['name']}.{c['name']}" for v in detailed for c in v["columns"] if not c["meaning"]]
    assert unexplained == []
    assert {view["columns"][0]["name"] for view in detailed} == {"client_id"}


async def test_a_view_names_its_key_references_and_masks(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client:
        credits_view = (await look(client, table="credits"))["views"][0]
        payees = (await look(client, table="commission.payees"))["views"][0]

    references = {column["name"]: column["references"] for column in credits_view["columns"]}
    assert credits_view["key"] == ["sale_id", "payee_id", "credit_role"]
    assert (references["sale_id"], references["payee_id"]) == ("sales.sale_id", "payees.payee_id")
    masked = {column["name"] for column in payees["columns"] if column["masked"]}
    assert masked == {"email", "bank_account", "salary", "tax_id"}


async def test_a_masked_column_says_by_which_rule_and_who_sees_it(connect: Connect, installation: Installation) -> None:
    rules = [
        MaskRule("client-b", "payees.salary", MaskingClass.CLEAR, visible=False),
        MaskRule("client-b", "payees.tax_id", MaskingClass.MASKED, visible=False),
        MaskRule("client-b", "payees.email", MaskingClass.MASKED, visible=True),
    ]
    async with operations(installation.address) as connection:
        for rule in rules:
            await set_mask_rule(connection, rule)
        try:
            async with connect(installation, "client-b") as client:
                masks = {column["name"]: column["mask"] for column in await columns(client)}
                text = str(await client.call_tool("schema", {"table": "payees"}))
            async with connect(installation, "client-b", roles="finance") as client:
                of_finance = {column["name"]: column["mask"] for column in await columns(client) if column["masked"]}
        finally:
            for rule in rules:
                await clear_mask_rule(connection, rule.client_id, rule.column, rule.masking)

    assert masks["name"] is None
    assert masks["email"] is None
    assert masks["bank_account"] == "masked for you by default; the role `finance` sees it"
    assert masks["salary"] == "masked for you by default; no role sees it"
    assert masks["tax_id"] == "masked for you by a rule of your client; the role `finance` sees it"
    assert of_finance == {"salary": "masked for you by a rule of your client; no role sees it"}
    assert masks["tax_id"] in text


async def columns(client: Client) -> list[dict[str, Any]]:
    return (await look(client, table="payees"))["views"][0]["columns"]


async def test_only_what_can_be_masked_has_a_rule(installation: Installation) -> None:
    async with operations(installation.address) as connection:
        with pytest.raises(Refused, match="E_UNKNOWN"):
            await set_mask_rule(connection, MaskRule("client-b", "payees.name", MaskingClass.MASKED, visible=False))
        with pytest.raises(Refused, match="E_CLIENT_UNKNOWN"):
            await set_mask_rule(connection, MaskRule("nobody", "payees.email", MaskingClass.MASKED, visible=False))


async def test_finance_sees_no_masks(connect: Connect, installation: Installation) -> None:
    async with connect(installation, roles="finance") as client:
        payees = (await look(client, table="payees"))["views"][0]

    assert [column["name"] for column in payees["columns"] if column["masked"]] == []


async def test_searching_finds_views_by_their_words(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client:
        found = {view["name"] for view in (await look(client, search="refund"))["views"]}

    assert "sales" in found
    assert "uoms" not in found


async def test_an_unknown_view_is_refused_with_the_nearest(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client:
        unknown = await look(client, table="payes")
        nothing = await look(client, search="xylophone")

    assert unknown["problems"][0]["code"] == "E_SQL_RELATION"
    assert "payees" in unknown["problems"][0]["fix"]
    assert nothing["problems"][0]["code"] == "E_NOT_FOUND"


@pytest.mark.parametrize("sql", [*OVERVIEW_EXAMPLES, *(sql for examples in EXAMPLES.values() for sql in examples)])
async def test_every_example_query_runs(connect: Connect, postgres_18: Installation, sql: str) -> None:
    params = {"$1::date": ["2025-01-01", "2025-07-01"], "client_id = $1": ["client-a"]}
    given = [value for mark, values in params.items() if mark in sql for value in values]
    async with connect(postgres_18) as client:
        result = await client.call_tool("query", {"sql": sql, "params": given})

    assert not result.is_error, result.content
