from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp.shared.exceptions import MCPError

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def rendered(client: Client, **arguments: str) -> str:
    result = await client.get_prompt("ask_documents", arguments)
    return str(getattr(result.messages[0].content, "text", ""))


async def test_the_question_and_the_rules_of_citing_are_in_it(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        text = await rendered(client, question="When is the Q4 bonus paid?", documents="a.pdf, rates/*")

    assert "When is the Q4 bonus paid?" in text
    assert "`a.pdf`, `rates/*`" in text
    assert "cite" in text.lower()


async def test_without_a_question_it_says_what_is_missing(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18) as client:
        with pytest.raises(MCPError) as refused:
            await rendered(client)

    assert "E_ARGUMENT (question)" in str(refused.value)
