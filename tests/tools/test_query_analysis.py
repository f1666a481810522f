"""What analysts write is answered, and what they get wrong is explained: by code, place and a fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "mistakes.json"


def _lines(name: str) -> list[str]:
    return (FOLDER / name).read_text("utf-8").splitlines()[1:]


async def _problems(client: Client, sql: str) -> list[dict[str, Any]]:
    params = ["5"] if "$1" in sql else []
    result = await client.call_tool("query", {"sql": sql, "params": params, "max_rows": 5})
    return (result.meta or {}).get("commission-mcp/problems", []) if result.is_error else []


async def test_what_analysts_write_is_answered(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client:
        told = {sql: await _problems(client, sql) for sql in _lines("analysis.sql")}

    assert len(told) > 150
    assert {sql: problems for sql, problems in told.items() if problems} == {}


async def test_mistakes_are_explained_as_they_were_approved(connect: Connect, postgres_18: Installation) -> None:
    """The texts are an interface to models: a change is seen and accepted, by deleting and rewriting the file."""
    async with connect(postgres_18) as client:
        told = {sql: [_shown(problem) for problem in await _problems(client, sql)] for sql in _lines("mistakes.sql")}
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
        pytest.fail(f"there were no approved texts; review and commit {GOLDEN.name}")

    assert len(told) > 100
    assert told == json.loads(GOLDEN.read_text("utf-8"))
    assert [sql for sql, problems in told.items() if not problems] == []


async def test_mistakes_have_the_same_codes_and_places_on_the_oldest_postgresql(
    connect: Connect, postgres_15: Installation
) -> None:
    approved = json.loads(GOLDEN.read_text("utf-8"))
    async with connect(postgres_15) as client:
        told = {sql: [_shown(problem) for problem in await _problems(client, sql)] for sql in approved}

    assert {sql: _head(texts) for sql, texts in told.items()} == {sql: _head(texts) for sql, texts in approved.items()}


def _shown(problem: dict[str, Any]) -> str:
    return f"{problem['code']} at {problem.get('position')}: {problem['message']} Fix: {problem['fix']}"


def _head(texts: list[str]) -> list[str]:
    return [text.partition(":")[0] for text in texts]
