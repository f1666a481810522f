from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

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


async def test_a_host_that_listens_to_a_document_is_told_of_its_changes_and_of_no_other_s(
    connect: Connect, postgres_18: Installation, documents: dict[str, Any]
) -> None:
    uris = ["document://client/rates/emea.txt", "document://client/rates%2Fapac.txt"]
    async with connect(postgres_18, **documents) as client:
        for name in ("rates/emea.txt", "rates/apac.txt", "other.txt"):
            await add(client, name, "Old.")
        async with client.listen(resource_subscriptions=uris) as events:
            for name in ("other.txt", "rates/emea.txt", "rates/apac.txt"):
                await add(client, name, "New.")
            with anyio.fail_after(20):
                told = [await anext(events), await anext(events)]

    assert told == [ResourceUpdated(uri) for uri in uris]


async def test_a_host_of_the_handshake_era_is_told_of_changes_and_removal_until_it_unsubscribes(
    postgres_18: Installation, documents: dict[str, Any]
) -> None:
    told: list[str] = []
    news = anyio.Event()

    async def heard(message: object) -> None:
        nonlocal news
        if isinstance(message, ResourceUpdatedNotification | ResourceListChangedNotification):
            told.append(message.params.uri if isinstance(message, ResourceUpdatedNotification) else "list")
            news.set()
            news = anyio.Event()

    async def until(number: int, what: str) -> None:
        with anyio.fail_after(20):
            while told.count(what) < number:
                await news.wait()

    server = build_server(postgres_18.settings("client-a", **documents))
    watched = "document://client/watched.txt"
    async with Client(server, message_handler=heard, mode="legacy") as client:
        capabilities = client.server_capabilities.resources
        assert capabilities is not None
        assert capabilities.subscribe
        await add(client, "watched.txt", "Old.")
        await subscribe(client, watched)
        await add(client, "watched.txt", "New.")
        await until(1, watched)
        await client.call_tool("index_documents", {"action": "remove", "name": "watched.txt", "wait_s": 20})
        await until(2, watched)
        await unsubscribe(client, watched)
        lists = told.count("list")
        await add(client, "watched.txt", "Newer.")
        await until(lists + 1, "list")
        await client.list_tools()  # whatever was sent before its answer has arrived

    assert told.count(watched) == 2


@pytest.mark.parametrize(
    "uri",
    [
        "document://client/not-there.txt",
        "document://client/../client-b/b.txt",
        "schema://sales",
        "file:///etc/passwd",
    ],
)
async def test_only_documents_of_the_client_can_be_subscribed_to(
    postgres_18: Installation, documents: dict[str, Any], uri: str
) -> None:
    server = build_server(postgres_18.settings("client-a", **documents))
    async with Client(server, mode="legacy") as client:
        with pytest.raises(MCPError) as refused:
            await subscribe(client, uri)

    assert refused.value.error.code == INVALID_PARAMS


async def subscribe(client: Client, uri: str) -> None:
    # The client's own methods for these are marked as being of the past, which they are here to test.
    await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    await client.session.send_request(UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri)), EmptyResult)


async def add_a_document(client: Client) -> None:
    await add(client, "new.txt", "A new document.")


async def add(client: Client, name: str, text: str) -> None:
    content = base64.b64encode(text.encode()).decode()
    arguments = {"action": "add", "name": name, "content_base64": content, "wait_s": 20}
    result = await client.call_tool("index_documents", arguments)
    assert not result.is_error
