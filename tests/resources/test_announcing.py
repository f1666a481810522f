from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.client import Client
from mcp.types import ResourceListChangedNotification

from commission_mcp.server import build_server

if TYPE_CHECKING:
    from conftest import Connect, Installation

pytestmark = pytest.mark.anyio


async def test_a_host_that_listens_is_told_of_new_documents(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    async with connect(postgres_18, **documents) as client:
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        async with client.listen(resources_list_changed=True) as events:
            await add_a_document(client)
            with anyio.fail_after(20):
                async for event in events:
                    assert type(event).__name__ == "ResourcesListChanged"
                    break


async def test_a_host_of_the_handshake_era_is_notified(postgres_18: Installation, documents: dict[str, Any]) -> None:
    told = anyio.Event()

    async def heard(message: object) -> None:
        if isinstance(message, ResourceListChangedNotification):
            told.set()

    server = build_server(postgres_18.settings("client-a", **documents))
    async with Client(server, message_handler=heard, mode="legacy") as client:
        capabilities = client.server_capabilities.resources
        assert capabilities is not None
        assert capabilities.list_changed
        await client.call_tool("index_documents", {"action": "start", "wait_s": 20})
        await add_a_document(client)
        with anyio.fail_after(20):
            await told.wait()


async def add_a_document(client: Client) -> None:
    arguments = {"action": "add", "name": "new.txt", "content_base64": "QSBuZXcgZG9jdW1lbnQu", "wait_s": 20}
    result = await client.call_tool("index_documents", arguments)
    assert not result.is_error
