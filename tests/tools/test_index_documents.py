from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def call(client: Client, action: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("index_documents", {"action": action, "wait_s": 20, **arguments})
    return result.structured_content or {"problems": (result.meta or {}).get("commission-mcp/problems", [])}


def codes(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem["code"], problem.get("path", "")) for problem in answer["problems"]}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def test_an_indexing_reads_everything_and_says_what_became_of_it(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with connect(postgres_18, **documents) as client:
        arguments = {"action": "start", "wait_s": 20}
        result = await client.call_tool("index_documents", arguments, progress_callback=told)
        failures = await call(client, "failures")

    answer: dict[str, Any] = result.structured_content or {}
    own, shared = answer["collections"]
    assert (own["collection"], own["documents"], own["failures"], own["phase"]) == ("client", 2, 1, "done")
    assert (shared["collection"], shared["documents"], shared["failures"]) == ("shared", 1, 0)
    assert own["job_id"]
    assert [row[0] for row in answer["rows"]] == [
        "client-a/q4-bonuses.md",
        "client-a/rates/north.csv",
        "shared/policy.md",
    ]
    assert [(row[0], row[1]) for row in failures["rows"]] == [("client-a/broken.pdf", "E_DOCUMENT_TYPE")]
    assert heard


async def test_an_added_document_is_found_and_a_removed_one_is_not(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        added = await call(client, "add", name="new/spiff.md", content_base64=encoded(b"# Spiff\n\nUnheard-of spiff."))
        found = await client.call_tool("rag_search", {"query": "unheard spiff", "limit": 1})
        removed = await call(client, "remove", name="new/spiff.md")
        lost = await client.call_tool("rag_search", {"query": "unheard spiff", "limit": 1})
        again = await call(client, "remove", name="new/spiff.md")

    assert "client-a/new/spiff.md" in [row[0] for row in added["rows"]]
    assert (found.structured_content or {})["sources"] == ["client-a/new/spiff.md"]
    assert "client-a/new/spiff.md" not in [row[0] for row in removed["rows"]]
    left: dict[str, Any] = lost.structured_content or {}
    assert "spiff" not in str(left["results"])
    assert codes(again) == {("E_NOT_FOUND", "document")}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("../client-b/x.md", b"# X", "E_DOCUMENT_NAME"),
        ("/etc/x.md", b"# X", "E_DOCUMENT_NAME"),
        ("a/../../x.md", b"# X", "E_DOCUMENT_NAME"),
        (".hidden.md", b"# X", "E_DOCUMENT_NAME"),
        ("q4-bonuses.md/x.md", b"# X", "E_DOCUMENT_NAME"),
        ("x.exe", b"MZ", "E_DOCUMENT_TYPE"),
        ("x.pdf", b"no pdf", "E_DOCUMENT_TYPE"),
        ("x.md", b"x" * ((3 << 20) + 1), "E_DOCUMENT_TOO_LARGE"),
        ("x\n.md", b"# X", "E_DOCUMENT_NAME"),
    ],
)
async def test_what_cannot_be_a_document_is_refused_and_leaves_nothing(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], name: str, content: bytes, code: str
) -> None:
    root = Path(str(documents["documents_directory"])).parent
    before = {path for path in root.rglob("*") if "index" not in path.parts}
    async with connect(postgres_18, **documents) as client:
        answer = await call(client, "add", name=name, content_base64=encoded(content))

    assert {problem["code"] for problem in answer["problems"]} == {code}
    assert {path for path in root.rglob("*") if "index" not in path.parts} == before


async def test_a_file_that_turns_out_unreadable_is_listed_with_the_reason(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        await call(client, "add", name="cut.pdf", content_base64=encoded(b"%PDF-1.7\nnothing more"))
        failures = await call(client, "failures")

    listed = {row[0]: row[1] for row in failures["rows"]}
    assert listed["client-a/cut.pdf"] in {"E_DOCUMENT_DAMAGED", "E_DOCUMENT_EMPTY"}


async def test_arguments_that_an_action_lacks_or_does_not_take_are_named(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        assert codes(await call(client, "add")) == {("E_ARGUMENT", "name"), ("E_ARGUMENT", "content_base64")}
        assert codes(await call(client, "start", name="x")) == {("E_ARGUMENT", "name")}
        assert codes(await call(client, "add", name="x.md", content_base64="?")) == {("E_ARGUMENT", "content_base64")}


async def test_only_plan_authors_change_documents(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, roles="analyst,finance", **documents) as client:
        answer = await call(client, "add", name="x.md", content_base64=encoded(b"# X"))

    assert {code for code, _ in codes(answer)} == {"E_ROLE_REQUIRED"}


async def test_rows_come_in_pages(connect: Connect, postgres_18: Installation, documents: dict[str, Any]) -> None:
    folder = Path(str(documents["client_documents_directory"])) / "client-a"
    for number in range(400):
        (folder / f"document-number-{number:03}-with-a-long-name.txt").write_text(f"Text {number}.")
    async with connect(postgres_18, **documents) as client:
        await call(client, "start")
        names: list[str] = []
        offset: int | None = 0
        while offset is not None:
            answer = await call(client, "status", offset=offset)
            names += [row[0] for row in answer["rows"]]
            offset = answer["next_offset"]

    assert len(names) == len(set(names)) == 403
