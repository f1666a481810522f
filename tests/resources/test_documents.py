from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ReadResourceResult, ResourceTemplateReference

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

TEMPLATES = {"document://client/{path}", "document://shared/{path}"}


async def ready(client: Client) -> None:
    await client.call_tool("rag_search", {"query": "anything"})


def texts(result: ReadResourceResult) -> str:
    return "\n".join(str(getattr(content, "text", "")) for content in result.contents)


async def test_documents_are_listed_one_by_one_and_as_templates(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        resources = (await client.list_resources()).resources
        templates = {template.uri_template for template in (await client.list_resource_templates()).resource_templates}

    listed = {str(resource.uri): resource for resource in resources if str(resource.uri).startswith("document://")}
    assert set(listed) == {
        "document://client/q4-bonuses.md",
        "document://client/rates/north.csv",
        "document://shared/policy.md",
    }
    assert listed["document://client/rates/north.csv"].mime_type == "text/csv"
    assert listed["document://client/q4-bonuses.md"].name == "client-a/q4-bonuses.md"
    assert templates >= TEMPLATES


@pytest.mark.parametrize("uri", ["document://client/rates/north.csv", "document://client/rates%2Fnorth.csv"])
async def test_a_document_in_a_folder_is_read_however_its_slash_is_written(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], uri: str
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        result = await client.read_resource(uri)

    assert "Rate: 7 %" in texts(result)
    assert result.contents[0].mime_type == "text/csv"


async def test_paths_complete_from_their_beginning_or_words_of_them(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        found = {
            (uri, typed): (await client.complete(ResourceTemplateReference(uri=uri), {"name": "path", "value": typed}))
            for uri in TEMPLATES
            for typed in ("", "NORTH", "zzz")
        }

    values = {key: completed.completion.values for key, completed in found.items()}
    assert values[("document://client/{path}", "")] == ["q4-bonuses.md", "rates/north.csv"]
    assert values[("document://client/{path}", "NORTH")] == ["rates/north.csv"]
    assert values[("document://client/{path}", "zzz")] == []
    assert values[("document://shared/{path}", "")] == ["policy.md"]


async def test_the_file_itself_is_for_those_who_see_personal_data(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    """What is hidden in a file's text is in its bytes, so others get the text alone."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 - for this test alone

    picture = Image.new("RGB", (900, 120), "white")
    ImageDraw.Draw(picture).text((20, 40), "Ask pay@alpha.example about rates", fill="black", font_size=40)
    path = Path(documents["client_documents_directory"]) / "client-a" / "scan.png"
    picture.save(path)
    contents: dict[str, ReadResourceResult] = {}
    for roles in ("analyst,plan_author", "finance,plan_author"):
        async with connect(postgres_18, roles=roles, **documents) as client:
            await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
            contents[roles] = await client.read_resource("document://client/scan.png")

    masked, clear = contents.values()
    assert [content.mime_type for content in masked.contents] == ["text/plain"]
    assert "rates" in texts(masked)
    assert "pay@alpha" not in texts(masked)
    assert [content.mime_type for content in clear.contents] == ["text/plain", "image/png"]
    assert base64.b64decode(getattr(clear.contents[1], "blob", "")) == path.read_bytes()


@pytest.mark.parametrize(
    "uri",
    [
        "document://client/../client-b/secret-b.md",
        "document://client/%2e%2e/client-b/secret-b.md",
        "document://client/..%2fclient-b%2fsecret-b.md",
        "document://client-b/secret-b.md",
        "document://client/secret-b.md",
        "document://shared/client-specific/client-b/secret-b.md",
        "document://client//etc/passwd",
        "document://client/",
        "document://client/.hidden",
        "document://client/linked.md",
        "document://client/broken.pdf",
        "document://",
    ],
)
async def test_what_is_not_the_callers_is_not_there(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any], uri: str
) -> None:
    clients = Path(documents["client_documents_directory"])
    (clients / "client-a" / "linked.md").symlink_to(clients / "client-b" / "secret-b.md")
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)

    assert "E_NOT_FOUND" in str(refused.value)


async def test_a_long_document_says_how_it_goes_on(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    (Path(documents["client_documents_directory"]) / "client-a" / "long.txt").write_text("A sentence. " * 5_000)
    async with connect(postgres_18, **documents) as client:
        await ready(client)
        text = texts(await client.read_resource("document://client/long.txt"))

    assert len(text) <= 20_000
    assert "read_document" in text
