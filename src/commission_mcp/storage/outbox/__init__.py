"""Messages to the client's backend and webhook: queued in the transaction that they tell of, delivered behind it."""

from commission_mcp.storage.outbox.destinations import Destination, Destinations, Fallback, load_destinations
from commission_mcp.storage.outbox.messages import Targets, enqueue

__all__ = ["Destination", "Destinations", "Fallback", "Targets", "enqueue", "load_destinations"]
