"""Nothing of one client's documents is shown to another, by whatever way: search, reading, lists, completion, jobs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio

# Every text, name and value of client-b's documents; none may ever come back to client-a.
OF_B = ("secret-b", "broken-b", "Beta is 50", "client-b", "x@b.example")
ADDRESSES = (
    "secret-b.md",
    "client-b/secret-b.md",
    "document://client-b/secret-b.md",
    "document://client/secret-b.md",
    "document://client/../client-b/secret-b.md",
    "document://shared/client-specific/client-b/secret-b.md",
    "document://shared/../documents/client-specific/client-b/secret-b.md",
    "../client-b/secret-b.md",
    "document://client/%2E%2E%2Fclient-b%2Fsecret-b.md",
    "linked/secret-b.md",
    "document://client/linked/secret-b.md",
)


@pytest.fixture
def hostile(documents: dict[str, Any]) -> dict[str, Any]:
    """Client-a has put links to client-b's folder and file among its own documents."""
    clients = Path(documents["client_documents_directory"])
    (clients / "client-a" / "linked").symlink_to(clients / "client-b")
    (clients / "client-a" / "linked.md").symlink_to(clients / "client-b" / "secret-b.md")
    (clients.parent / "all-of-them").symlink_to(clients)
    return documents


async def everything(client: Client) -> list[str]:
    """What every way to documents answers, whatever is asked for."""
    said: list[str] = []
    for tool, arguments in _CALLS:
        said.append(repr(await client.call_tool(tool, dict(arguments))))
    said += [repr(await client.list_resources()), repr(await client.list_resource_templates())]
    for uri in ("document://client/{path}", "document://shared/{path}"):
        for typed in ("", "s", "secret", "../", "client-"):
            reference = ResourceTemplateReference(uri=uri)
            said.append(repr(await client.complete(reference, {"name": "path", "value": typed})))
    for address in ADDRESSES:
        if address.startswith("document://"):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(address)
            assert "E_NOT_FOUND" in str(refused.value), address
    return said


_CALLS: list[tuple[str, dict[str, Any]]] = [
    *(("index_documents", {"action": action, "wait_s": 20}) for action in ("start", "status", "failures")),
    *(
        ("rag_search", {"query": query, "limit": 20})
        for query in ("Q4 performance bonus of Beta is 50 %", "x@b.example")
    ),
    *(("rag_search", {"query": "bonus", "documents": [pattern]}) for pattern in ("*", "*secret*", "**/*", "../*")),
    *(("read_document", {"document": address}) for address in ADDRESSES),
    *(("index_documents", {"action": "remove", "name": address, "wait_s": 20}) for address in ADDRESSES),
]


def leaks(said: list[str]) -> list[str]:
    """What of client-b's was said; what the caller itself asked for is repeated in refusals, and is no leak."""
    asked = sorted({repr(address)[1:-1] for address in ADDRESSES}, key=len, reverse=True)
    found: list[str] = []
    for answer in said:
        rest = answer
        for address in asked:
            rest = rest.replace(address, "")
        found += [f"{secret}: {rest[:300]}" for secret in OF_B if secret in rest]
    return found


@pytest.mark.parametrize("roles", ["analyst,plan_author", "finance,compliance,admin"])
async def test_a_client_is_never_shown_another_clients_documents(
    connect: Connect, postgres_18: Installation, hostile: dict[str, Any], roles: str
) -> None:
    """Client-b's documents are indexed and in use by the same processes' files when client-a asks."""
    secret = Path(hostile["client_documents_directory"]) / "client-b" / "secret-b.md"
    before = secret.read_bytes()
    async with connect(postgres_18, "client-b", **hostile) as other, connect(postgres_18, **hostile) as client:
        await other.call_tool("index_documents", {"action": "start", "wait_s": 20})
        own = repr(await other.call_tool("rag_search", {"query": "Q4 performance bonus"}))
        assert "Beta is 50" in own
        said = await everything(client)
    async with connect(postgres_18, roles=roles, **hostile) as client:
        said += await everything(client)

    assert leaks(said) == []
    assert secret.read_bytes() == before


async def test_an_index_of_one_client_serves_no_other(
    connect: Connect, postgres_18: Installation, hostile: dict[str, Any]
) -> None:
    """The operator moved client-b's folder of documents: nothing of it stays with whoever is called so now."""
    clients = Path(hostile["client_documents_directory"])
    async with connect(postgres_18, "client-b", **hostile) as other:
        await other.call_tool("index_documents", {"action": "start", "wait_s": 20})
        shutil.rmtree(clients / "client-b")
        await other.call_tool("index_documents", {"action": "start", "wait_s": 20})
        answer = repr(await other.call_tool("rag_search", {"query": "Q4 performance bonus"}))

    assert "Beta is 50" not in answer
    assert not any(b"Beta is 50" in content for content in contents(Path(hostile["index_directory"])))


def contents(folder: Path) -> list[bytes]:
    """What every file below a folder holds."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
