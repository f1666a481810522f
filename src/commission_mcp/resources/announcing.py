"""Telling the host that the list of documents has changed, where it listens; over stdio and in memory.

Hosts of the protocol's handshake era are sent a notification, later ones an event on the stream that they opened. Over
HTTP there is no stream to one caller alone, and nothing is announced.
"""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from commission_mcp.app import App
from commission_mcp.search.holdings import Collection


class Announcer:
    """Announces changes to the one host of a server that serves one client.

    Attributes:
        bus: Where hosts of the later era subscribe.
    """

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._session: ServerSession | None = None

    async def notice(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Remember who is connected; a middleware."""
        if ctx.session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._session = ctx.session
        return await call_next(ctx)

    async def run(self, app: App) -> None:
        """Announce, until cancelled; begins when somebody has first asked for documents."""
        library = await app.opening_library.once_opened()
        changed = anyio.Event()

        def heard(collection: Collection) -> None:
            del collection  # a host asks for the list anew, whatever has changed
            changed.set()

        stop = library.listen(heard)
        try:
            while True:
                await changed.wait()
                changed = anyio.Event()
                await self.bus.publish(ResourcesListChanged())
                if self._session is not None:
                    await self._session.send_resource_list_changed()
        finally:
            stop()
