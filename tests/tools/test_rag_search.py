from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
import xlwt  # pyright: ignore[reportMissingTypeStubs] - it carries no types

from commission_mcp.documents.demo import copy_demo_documents

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

QUESTION = "Find information about Q4 performance bonuses"


async def search(client: Client, query: str = QUESTION, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("rag_search", {"query": query, **arguments})
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


def codes(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem["code"], problem.get("path", "")) for problem in answer["problems"]}


async def test_the_dashboards_question_is_answered_from_the_clients_own_documents(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], model_directory: Path
) -> None:
    settings: dict[str, Any] = {**documents, "model_directory": model_directory}
    async with connect(postgres_18, **settings) as client:
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        answer = await search(client)

    first = answer["results"][0]
    assert answer["mode"] == "hybrid"
    assert [note for note in answer["notes"] if "masked for you" not in note] == []
    assert answer["sources"][0] == first["document"] == "client-a/q4-bonuses.md"
    assert first["uri"] == "document://client/q4-bonuses.md"
    assert first["location"] == "Bonuses"
    assert "2 % of the yearly salary" in first["text"]


async def test_without_a_model_words_are_searched_and_the_answer_says_why(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    """The very first question waits until the documents are read."""
    async with connect(postgres_18, **documents) as client:
        answer = await search(client)

    assert answer["mode"] == "lexical"
    assert answer["sources"][0] == "client-a/q4-bonuses.md"
    assert any("model" in note for note in answer["notes"])


async def test_documents_for_all_and_tables_are_found_with_their_places(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        shared = await search(client, "customer cancels clawback")
        table = await search(client, "rate of tier plus")

    assert shared["results"][0]["uri"] == "document://shared/policy.md"
    assert shared["sources"][0] == "shared/policy.md"
    assert table["results"][0]["document"] == "client-a/rates/north.csv"
    assert "Rate: 7 %" in table["results"][0]["text"]
    assert "rows" in table["results"][0]["location"]


async def test_an_old_workbook_is_found_with_its_figures_as_they_are_seen(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        added = {"action": "add", "name": "rates-2009.xls", "content_base64": old_workbook(), "wait_s": 20}
        await client.call_tool("index_documents", added)
        answer = await search(client, "overseas rate", file_types=["xls"])

    assert answer["sources"] == ["client-a/rates-2009.xls"]
    assert "Territory: Overseas | Rate: 7.5%" in answer["results"][0]["text"]
    assert answer["results"][0]["location"].startswith("sheet Rates")


def old_workbook() -> str:
    """A small one of Excel 97, as base64."""
    book: Any = xlwt.Workbook()
    sheet, percent, target = book.add_sheet("Rates"), xlwt.XFStyle(), io.BytesIO()
    percent.num_format_str = "0.0%"
    for row, (territory, rate) in enumerate((("Territory", "Rate"), ("Overseas", 0.075), ("Home", 0.05))):
        sheet.write(row, 0, territory)
        sheet.write(row, 1, rate, percent)
    book.save(target)
    return base64.b64encode(target.getvalue()).decode()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"file_types": ["csv"]}, {"client-a/rates/north.csv"}),
        ({"documents": ["rates/*"]}, {"client-a/rates/north.csv"}),
        ({"documents": ["document://client/rates/north.csv"]}, {"client-a/rates/north.csv"}),
        ({"documents": ["client-a/q4-bonuses.md"]}, {"client-a/q4-bonuses.md"}),
        ({"documents": ["shared/policy.md"]}, {"shared/policy.md"}),
    ],
)
async def test_filters_leave_only_what_they_say(
    connect: Connect,
    postgres_18: Installation,
    documents: dict[str, Any],
    filters: dict[str, object],
    expected: set[str],
) -> None:
    async with connect(postgres_18, **documents) as client:
        answer = await search(client, "rate bonus clawback tier", limit=20, **filters)

    assert set(answer["sources"]) == expected


async def test_filters_that_nothing_passes_are_refused_by_name(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        await search(client)

        assert codes(await search(client, documents=["nothing.pdf"])) == {("E_NOT_FOUND", "documents")}
        assert codes(await search(client, documents=["client-b/secret-b.md"])) == {("E_NOT_FOUND", "documents")}
        assert codes(await search(client, documents=["document://client-b/secret-b.md"])) == {
            ("E_NOT_FOUND", "document")
        }
        assert codes(await search(client, tags=["no such tag"])) == {("E_NOT_FOUND", "tags")}


@pytest.mark.parametrize(("roles", "shown"), [("analyst", 0), ("payee", 0), ("finance", 1)])
async def test_personal_data_is_shown_to_those_who_may_see_it(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], roles: str, shown: int
) -> None:
    async with connect(postgres_18, roles=roles, **documents) as client:
        answer = await search(client, "whom to ask about the bonus")

    assert str(answer).count("pay@alpha.example") == shown


async def test_the_text_block_alone_is_enough_and_fences_what_documents_say(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        result = await client.call_tool("rag_search", {"query": QUESTION})

    text = str(getattr(result.content[0], "text", ""))
    fence = text.split("Between the ")[1].split(" marks", maxsplit=1)[0]
    assert "2 % of the yearly salary" in text.split(f"<{fence}>")[1].split(f"</{fence}>", maxsplit=1)[0]
    assert "client-a/q4-bonuses.md" in text


async def test_a_client_without_documents_is_told_so(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], tmp_path: Path
) -> None:
    nothing: dict[str, Any] = {
        "documents_directory": tmp_path / "none",
        "client_documents_directory": tmp_path / "none" / "clients",
    }
    async with connect(postgres_18, **(documents | nothing)) as client:
        answer = await search(client)

    assert (answer["results"], answer["sources"]) == ([], [])
    assert answer["notes"]


async def test_the_demos_documents_answer_the_dashboards_question(
    connect: Connect, postgres_18: Installation, tmp_path: Path
) -> None:
    copy_demo_documents(tmp_path / "documents")
    settings: dict[str, Any] = {
        "documents_directory": tmp_path / "documents",
        "client_documents_directory": tmp_path / "documents" / "client-specific",
        "index_directory": tmp_path / "index",
        "model_fetch": False,
        "documents_watch_s": 0,
    }
    (tmp_path / "documents" / "client-specific" / "client-abc").rename(
        tmp_path / "documents" / "client-specific" / "client-a"
    )
    async with connect(postgres_18, **settings) as client:
        indexed = await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        answer = await search(client)

    content: dict[str, Any] = indexed.structured_content or {}
    assert [state["failures"] for state in content["collections"]] == [0, 0]
    assert {"client-a/q4-bonuses.pdf", "client-a/performance-metrics.xlsx"} <= set(answer["sources"])
