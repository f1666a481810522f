"""What models read: how much it is, and what they are told when a call is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

TOKENS_MAX = 6_000
GOLDEN = Path(__file__).parent / "tools" / "refusals.json"

# Counts a little more than real tokenizers: on this tool list 5,987 where cl100k_base counts 5,862, o200k_base 5,888
# and Claude's published one 5,878. So it needs no vocabulary of tens of megabytes.
TOKEN = re.compile(r"[A-Za-z]{1,8}|[0-9]{1,3}|[^\sA-Za-z0-9]{1,3}")

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("an argument that does not exist", "query", {"sql": "SELECT 1", "max_row": 5}),
    ("an argument outside its range", "query", {"sql": "SELECT 1", "max_rows": 0}),
    ("a write", "query", {"sql": "UPDATE sales SET gross = 0"}),
    ("two statements", "query", {"sql": "SELECT 1; SELECT 2"}),
    ("a slip in the grammar", "query", {"sql": "SELECT * FORM sales"}),
    ("a view that does not exist", "query", {"sql": "SELECT * FROM sale"}),
    ("a column that does not exist", "query", {"sql": "SELECT payee_nam FROM payees"}),
    ("a function that is not on the list", "query", {"sql": "SELECT pg_sleep(1)"}),
    ("a column that is not grouped", "query", {"sql": "SELECT payee_id, sum(amount) FROM payouts"}),
    ("fewer values than placeholders", "query", {"sql": "SELECT $1::int, $2::int", "params": [1]}),
    ("a value of the wrong type", "query", {"sql": "SELECT $1::int", "params": ["abc"]}),
    ("a division by zero", "query", {"sql": "SELECT 1 / 0"}),
    ("a cursor of something else", "query", {"sql": "SELECT 1", "cursor": "abc"}),
    ("words that are in no view", "schema", {"search": "zeppelin"}),
    ("a conversation that does not exist", "chat_history", {"session_id": "none"}),
    ("an append without content", "chat_history", {"action": "append", "role": "user"}),
    ("another client", "chat_history", {"client_id": "client-b"}),
    ("a plan without rules", "calculate_commission", {"plan": {}, "sales": []}),
    ("a role that lacks", "cache_clear", {"scope": "global"}),
]


async def test_all_that_a_model_reads_of_the_tools_is_within_its_budget(
    connect: Connect, postgres_18: Installation
) -> None:
    async with connect(postgres_18, roles=EVERY_ROLE) as client:
        tools = (await client.list_tools()).tools
    read = {
        tool.name: json.dumps(
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}, ensure_ascii=False
        )
        for tool in tools
    }
    counted = {name: len(TOKEN.findall(text)) for name, text in read.items()}

    assert sum(counted.values()) <= TOKENS_MAX, counted


EVERY_ROLE = "analyst,manager,plan_author,approver,finance,compliance,auditor,admin"


async def test_input_schemas_carry_no_titles_and_describe_every_argument(
    connect: Connect, postgres_18: Installation
) -> None:
    async with connect(postgres_18, roles=EVERY_ROLE) as client:
        tools = (await client.list_tools()).tools

    for tool in tools:
        assert '"title":' not in json.dumps(tool.input_schema), tool.name
        assert all("description" in schema for schema in tool.input_schema["properties"].values()), tool.name


async def test_refusals_read_as_they_were_approved(connect: Connect, postgres_18: Installation) -> None:
    """The texts are an interface to models: a change is seen and accepted, by deleting and rewriting the file."""
    told: dict[str, str] = {}
    async with connect(postgres_18) as client:
        for case, tool, arguments in CASES:
            result = await client.call_tool(tool, arguments)
            assert result.is_error, case
            told[case] = "\n".join(str(getattr(content, "text", "")) for content in result.content)
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
        pytest.fail(f"there were no approved texts; review and commit {GOLDEN.name}")

    assert told == json.loads(GOLDEN.read_text("utf-8"))
    assert [case for case, text in told.items() if "Fix:" not in text] == []
