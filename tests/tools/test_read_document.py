from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

LONG = "".join(f"## Chapter {i}\n\n" + f"Sentence {i} of the long document. " * 40 + "\n\n" for i in range(60))


async def read(client: Client, document: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("read_document", {"document": document, **arguments})
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


def codes(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem["code"], problem.get("path", "")) for problem in answer["problems"]}


async def ready(client: Client) -> None:
    await client.call_tool("rag_search", {"query": "anything"})


@pytest.mark.parametrize("document", ["document://client/q4-bonuses.md", "client-a/q4-bonuses.md", "q4-bonuses.md"])
async def test_a_document_is_read_by_uri_source_or_name(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], document: str
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        answer = await read(client, document)

    assert answer["uri"] == "document://client/q4-bonuses.md"
    assert answer["document"] == "client-a/q4-bonuses.md"
    assert "The Q4 performance bonus is 2 % of the yearly salary." in answer["text"]
    assert answer["sections"] == ["Bonuses", "Bonuses > Contact"]
    assert (answer["truncated"], answer["next_cursor"]) == (False, None)
    assert answer["masked"]
    assert "pay@" not in str(answer)


async def test_a_section_is_read_by_its_heading_or_words_of_it(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, roles="finance", **documents) as client:
        await ready(client)
        by_word = await read(client, "q4-bonuses.md", section="contact")
        nothing = await read(client, "q4-bonuses.md", section="no such heading")

    assert "pay@alpha.example" in by_word["text"]
    assert "salary" not in by_word["text"]
    assert codes(nothing) == {("E_NOT_FOUND", "section")}


async def test_a_long_document_is_read_in_parts_that_lose_nothing(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    (Path(str(documents["client_documents_directory"])) / "client-a" / "long.md").write_text(LONG, "utf-8")
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        parts: list[str] = []
        cursor: str | None = None
        while True:
            answer = await read(client, "long.md", cursor=cursor) if cursor else await read(client, "long.md")
            assert len(answer["text"]) <= 20_000
            parts.append(answer["text"])
            cursor = answer["next_cursor"]
            if cursor is None:
                break
        other = await read(client, "q4-bonuses.md", cursor=answer["next_cursor"] or "x" * 40)

    assert len(parts) > 3
    assert [f"Sentence {i} of" in " ".join(parts) for i in range(60)] == [True] * 60
    assert sum(" ".join(parts).count(f"Sentence {i} of") for i in range(60)) == 60 * 40
    assert codes(other) == {("E_CURSOR_INVALID", "cursor")}


async def test_a_cursor_ends_when_the_document_changes(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    path = Path(str(documents["client_documents_directory"])) / "client-a" / "long.md"
    path.write_text(LONG, "utf-8")
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        cursor = (await read(client, "long.md"))["next_cursor"]
        path.write_text("# Short\n\nNow it is short.", "utf-8")
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        answer = await read(client, "long.md", cursor=cursor)

    assert codes(answer) == {("E_CURSOR_STALE", "cursor")}


@pytest.mark.parametrize(
    "document",
    [
        "document://client/../client-b/secret-b.md",
        "../client-b/secret-b.md",
        "client-b/secret-b.md",
        "/etc/passwd",
        "document://client-b/secret-b.md",
        "document://shared/client-specific/client-b/secret-b.md",
        "shared/client-specific/client-b/secret-b.md",
        "document://client/%2e%2e/client-b/secret-b.md",
        "secret-b.md",
        "broken.pdf",
        "nothing.md",
        "",
    ],
)
async def test_what_is_not_the_callers_is_not_there(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], document: str
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        answer = await read(client, document)

    assert codes(answer) == {("E_NOT_FOUND", "document")}


@pytest.mark.parametrize(("pages", "code"), [("2-", "E_NOT_FOUND"), ("x", "E_NOT_FOUND")])
async def test_pages_of_what_has_none_are_not_there(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], pages: str, code: str
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)

        assert codes(await read(client, "q4-bonuses.md", pages=pages)) == {(code, "pages")}


async def test_pages_are_read_by_their_numbers(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    pymupdf: Any = import_module("pymupdf")  # slow to import, and for this test alone
    with pymupdf.open() as made:
        for number in range(1, 6):
            made.new_page().insert_text((72, 72), f"This is what page {number} says about rates.")
        made.save(Path(str(documents["client_documents_directory"])) / "client-a" / "pages.pdf")
    async with connect(postgres_18, **documents) as client:
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        some = await read(client, "pages.pdf", pages="2-3")
        one = [await read(client, "pages.pdf", pages=page) for page in ("2", 2)]
        beyond = await read(client, "pages.pdf", pages="6")
        wrong = await read(client, "pages.pdf", pages="two")

    assert some["pages"] == 5
    assert one[0]["text"] == one[1]["text"]
    assert [f"page {number} says" in some["text"] for number in range(1, 6)] == [False, True, True, False, False]
    assert "[page 2]" in some["text"]
    assert codes(beyond) == {("E_NOT_FOUND", "pages")}
    assert codes(wrong) == {("E_ARGUMENT", "pages")}


async def test_headings_are_masked_too_and_cannot_be_asked_for_by_what_they_hide(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    path = Path(documents["client_documents_directory"]) / "client-a" / "people.md"
    path.write_text("# People\n\n## Write to ann@alpha.example\n\nShe knows the rates.\n", "utf-8")
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        found = await client.call_tool("rag_search", {"query": "who knows the rates", "documents": ["people.md"]})
        whole = await read(client, "people.md")
        probed = await read(client, "people.md", section="ann@alpha.example")
        by_words = await read(client, "people.md", section="write to")

    said = repr(found) + repr(whole) + repr(by_words)
    assert "She knows the rates" in said
    assert "ann@" not in said
    assert codes(probed) == {("E_NOT_FOUND", "section")}
    assert "ann@" not in repr(probed)
