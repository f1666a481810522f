"""A server whose audit trail keeps nothing: only to see what the trail costs."""

from __future__ import annotations

from commission_mcp.server import CommissionServer
from commission_mcp.storage.audit import Entry


def keep_no_record(server: CommissionServer) -> None:
    """Let a running server answer without an entry.

    Raises:
        RuntimeError: when it is not running, or has not opened its database yet.
    """
    opened = server.app.opening.ready
    if opened is None:
        raise RuntimeError("the database is not open")
    opened.audit.record = _nothing


async def _nothing(entry: Entry) -> None:
    """Record nothing."""
    del entry
