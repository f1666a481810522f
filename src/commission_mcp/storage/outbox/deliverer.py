"""The deliverer: runs beside the server, hands over what is due, and never lets a failure out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import psycopg

from commission_mcp.errors import Refused
from commission_mcp.storage.database import Database
from commission_mcp.storage.outbox.destinations import Fallback, load_destinations
from commission_mcp.storage.outbox.messages import Message, claim, note_delivered, note_failed
from commission_mcp.storage.outbox.posting import ATTEMPT_S, Failed, post

_CLIENTS_AT_ONCE = 4

_log = logging.getLogger("commission_mcp.outbox")


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Delivers the messages of all clients.

    Attributes:
        database: The database, as soon as it is open.
        fallback: The operator's own backend.
        poll_s: How often it looks for messages.
        attempt_s: How long one attempt may take; less than a lease.
    """

    database: Callable[[], Database | None]
    fallback: Fallback
    poll_s: float
    attempt_s: float = ATTEMPT_S

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await anyio.sleep(self.poll_s)
            database = self.database()
            if database is None:
                continue
            try:
                await self.deliver_due(database)
            except* (Refused, psycopg.Error):  # the database is away; its messages are not
                _log.warning("outbox", extra={"outcome": "database"})
            except* Exception:  # noqa: BLE001 - a message that nobody foresaw must not stop the server
                _log.exception("outbox", extra={"outcome": "crash"})

    async def deliver_due(self, database: Database) -> None:
        """Hand over everything that is due now, each client's messages one after the other."""
        limit = anyio.CapacityLimiter(_CLIENTS_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for client_id in await database.clients_with_messages():
                tasks.start_soon(self._deliver_all, database, client_id, limit)

    async def _deliver_all(self, database: Database, client_id: str, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            while await self._deliver_one(database, client_id):
                pass

    async def _deliver_one(self, database: Database, client_id: str) -> bool:
        """Hand over one message; whether there may be another. No connection is held while the receiver thinks."""
        async with database.delivering(client_id) as writing:
            message = await claim(writing)
            destinations = await load_destinations(writing, self.fallback)
        if message is None:
            return False
        destination = destinations.of(message.target)
        failed: Failed | None = Failed("no address is configured any more")
        if destination is not None:
            failed = await post(destination, message, self.attempt_s)
        async with database.delivering(client_id) as writing:
            if failed is None:
                await note_delivered(writing, message)
            else:
                await note_failed(writing, message, failed.reason, for_good=failed.for_good)
        _log.info("outbox", extra=_entry(client_id, message, failed))
        return True


def _entry(client_id: str, message: Message, failed: Failed | None) -> dict[str, object]:
    return {
        "client": client_id,
        "message_id": message.message_id,
        "target": message.target,
        "event": message.event,
        "attempt": message.attempts,
        "outcome": "delivered" if failed is None else failed.reason,
    }
