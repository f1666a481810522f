"""Telling the host that documents have changed, where it listens; over stdio and in memory.

Hosts of the protocol's handshake era are sent notifications: that the list has changed, and of each document that they
subscribed to. Later ones get the same as events on the stream that they opened. Over HTTP there is no stream to one
caller alone, and nothing is announced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ResourceUpdated
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from commission_mcp.app import App, request_caller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.resources import documents
from commission_mcp.search.holdings import Collection

SUBSCRIBED_MAX = 1_000
"""How many documents a host of the handshake era may have subscribed to at a time."""


class Announcer:
    """Announces changes to the one host of a server that serves one client.

    Attributes:
        bus: Where hosts of the later era subscribe.
    """

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._session: ServerSession | None = None
        self._subscribed: dict[str, None] = {}

    async def notice(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Remember who is connected; a middleware."""
        if ctx.session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._session = ctx.session
        return await call_next(ctx)

    async def subscribe(self, app: App, uri: str) -> None:
        """Tell the host of the handshake era of every change of this document from now on.

        Raises:
            Refused: with `E_NOT_FOUND` when it is no document of the caller's, with `E_LIMIT` for too many.
        """
        await documents.find(app, uri)
        if uri not in self._subscribed and len(self._subscribed) >= SUBSCRIBED_MAX:
            raise Refused(
                Problem(
                    Code.LIMIT,
                    f"At most {SUBSCRIBED_MAX:,} documents can be subscribed to at a time.",
                    "Unsubscribe from some, or watch for `notifications/resources/list_changed`.",
                )
            )
        self._subscribed[uri] = None

    def unsubscribe(self, uri: str) -> None:
        """Tell no more of this document; nothing happens where nobody subscribed to it."""
        self._subscribed.pop(uri, None)

    async def run(self, app: App, may_read: Callable[[], Awaitable[bool]]) -> None:
        """Announce, until cancelled; begins when somebody has first asked for documents.

        Args:
            app: The running application.
            may_read: Whether the host may read documents now; otherwise it is told of none.
        """
        self._subscribed.clear()
        library = await app.opening_library.once_opened()
        changed = anyio.Event()
        waiting: dict[str, None] = {}

        def heard(collection: Collection, names: frozenset[str]) -> None:
            if collection.client_id in {None, request_caller(app).client_id}:
                waiting.update(dict.fromkeys(collection.uri(name) for name in sorted(names)))
                changed.set()

        stop = library.listen(heard)
        try:
            while True:
                await changed.wait()
                changed = anyio.Event()
                uris = list(waiting)
                waiting.clear()
                if await may_read():
                    await self._announce(uris)
        finally:
            stop()

    async def _announce(self, uris: Iterable[str]) -> None:
        """Announce that the list has changed, and each of these documents to whoever subscribed to it."""
        await self.bus.publish(ResourcesListChanged())
        plain = {unquote(uri) for uri in uris}
        for uri in uris:
            for written in dict.fromkeys((uri, _with_written_slashes(uri), unquote(uri))):
                await self.bus.publish(ResourceUpdated(written))
        if self._session is not None:
            await self._session.send_resource_list_changed()
            for uri in [subscribed for subscribed in self._subscribed if unquote(subscribed) in plain]:
                await self._session.send_resource_updated(uri)


def _with_written_slashes(uri: str) -> str:
    """An address whose path's slashes are escaped, as hosts write them that fill in the template."""
    scheme, _, path = uri.partition("://")
    root, _, name = path.partition("/")
    return f"{scheme}://{root}/{name.replace('/', '%2F')}"
