"""Messages to the client's backend and webhook: queued in the transaction that they tell of, delivered behind it."""

from commission_mcp.storage.outbox.deliverer import Deliverer
from commission_mcp.storage.outbox.destinations import Destination, Destinations, Fallback, load_destinations
from commission_mcp.storage.outbox.lists import BackendLists
from commission_mcp.storage.outbox.messages import Targets, enqueue, outbox_state
from commission_mcp.storage.outbox.operating import Undelivered, retry, set_destinations, undelivered

__all__ = [
    "BackendLists",
    "Deliverer",
    "Destination",
    "Destinations",
    "Fallback",
    "Targets",
    "Undelivered",
    "enqueue",
    "load_destinations",
    "outbox_state",
    "retry",
    "set_destinations",
    "undelivered",
]
