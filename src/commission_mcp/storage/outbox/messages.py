"""Queueing: a message is a row, written in the transaction that it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.storage.sessions.identifiers import mint
from commission_mcp.storage.writing import Writing


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a client's messages go; what is not configured gets none."""

    backend: bool = False
    webhook: bool = False


async def enqueue(writing: Writing, event: str, news: Mapping[str, object], targets: Targets) -> None:
    """Queue the news of a plan version for every configured target.

    Args:
        writing: The transaction that changes the version.
        event: `plan.submitted` or `plan.decided`.
        news: What is told of the version.
        targets: Where the news goes.
    """
    payload = {"event": event, "client_id": writing.client_id, **news}
    for target, wanted in (("backend", targets.backend), ("webhook", targets.webhook)):
        if wanted:
            await writing.execute(
                "INSERT INTO cm.outbox (client_id, message_id, kind, target, payload) "
                "VALUES (%s, %s, %s, %s, %s::jsonb)",
                [writing.client_id, mint(), event, target, canonical_json(payload)],
            )
