"""Queued messages: written in the transaction that they tell of, claimed one by one, delivered or given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.money import loads
from commission_mcp.storage.sessions.identifiers import mint
from commission_mcp.storage.writing import Writing

SUBMITTED, DECIDED = "plan.submitted", "plan.decided"

LEASE = timedelta(seconds=60)  # longer than an attempt takes; after a crash the message is due again then
ATTEMPTS_MAX = 200  # with the waits below more than a week
_WAIT_MAX = timedelta(hours=1)
_WAIT_FIRST = timedelta(seconds=1)
_DOUBLINGS_MAX = 12


@dataclass(frozen=True, slots=True)
class Targets:
    """Which events each target of a client is told of."""

    backend: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A message that this process delivers now.

    Attributes:
        message_id: Its key, by which the receiver knows a repetition.
        attempts: How many attempts there were, this one included.
    """

    message_id: str
    event: str
    target: str
    payload: Mapping[str, object]
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How a client's messages stand."""

    waiting: int
    given_up: int
    oldest: datetime | None
    last_failure: str | None


async def enqueue(writing: Writing, event: str, news: Mapping[str, object], targets: Targets) -> None:
    """Queue the news of a plan version for every target that wants it.

    Args:
        writing: The transaction that changes the version.
        event: `plan.submitted` or `plan.decided`.
        news: What is told of the version.
        targets: Where the news goes.
    """
    payload = {"event": event, "client_id": writing.client_id, **news}
    for target, events in (("backend", targets.backend), ("webhook", targets.webhook)):
        if event in events:
            await writing.execute(
                "INSERT INTO cm.outbox (client_id, message_id, kind, target, payload) "
                "VALUES (%s, %s, %s, %s, %s::jsonb)",
                [writing.client_id, mint(), event, target, canonical_json(payload)],
            )


async def claim(writing: Writing) -> Message | None:
    """Take the next message of the client that is due; no other process gets it before the lease ends.

    A receiver gets one message at a time, in the order in which they were queued, however many processes deliver. What
    failed waits for its next attempt, and with it later news of the same plan; other plans do not wait for it.
    """
    await writing.row("SELECT pg_advisory_xact_lock(hashtextextended(%s, 9))", [writing.client_id])
    row = await writing.row(_CLAIM, {"lease": LEASE, "client": writing.client_id})
    if row is None:
        return None
    message_id, event, target, payload, attempts, created_at = row
    return Message(message_id, event, target, cast("Mapping[str, object]", loads(payload)), attempts, created_at)


async def note_delivered(writing: Writing, message: Message) -> None:
    """The message arrived; that is so whoever else delivers it by now."""
    await writing.execute(
        "UPDATE cm.outbox SET delivered_at = now(), next_attempt_at = NULL, leased_until = NULL, last_failure = NULL, "
        "given_up_at = NULL WHERE client_id = %s AND message_id = %s AND delivered_at IS NULL",
        [writing.client_id, message.message_id],
    )


async def note_failed(writing: Writing, message: Message, failure: str, *, for_good: bool) -> None:
    """The attempt failed; the next one waits longer, and after the last one the message is given up but kept.

    An attempt that was thought dead, and in whose place there is another one by now, has nothing to say any more.
    """
    give_up = for_good or message.attempts >= ATTEMPTS_MAX
    wait = min(_WAIT_MAX, _WAIT_FIRST * 2 ** min(_DOUBLINGS_MAX, message.attempts - 1))
    await writing.execute(
        "UPDATE cm.outbox SET last_failure = %s, next_attempt_at = CASE WHEN %s THEN NULL ELSE now() + %s END, "
        "leased_until = NULL, given_up_at = CASE WHEN %s THEN now() END "
        "WHERE client_id = %s AND message_id = %s AND attempts = %s AND delivered_at IS NULL",
        [failure, give_up, wait, give_up, writing.client_id, message.message_id, message.attempts],
    )


async def outbox_state(writing: Writing) -> OutboxState:
    """How the client's messages stand."""
    row = await writing.row(
        "SELECT count(*) FILTER (WHERE given_up_at IS NULL), count(*) FILTER (WHERE given_up_at IS NOT NULL), "
        "min(created_at) FILTER (WHERE given_up_at IS NULL), (array_agg(last_failure ORDER BY created_at) "
        "FILTER (WHERE last_failure IS NOT NULL))[1] FROM cm.outbox WHERE client_id = %s AND delivered_at IS NULL",
        [writing.client_id],
    )
    return OutboxState(0, 0, None, None) if row is None else OutboxState(*row)


_CLAIM = """UPDATE cm.outbox o
SET attempts = o.attempts + 1, next_attempt_at = now() + %(lease)s, leased_until = now() + %(lease)s
WHERE o.client_id = %(client)s AND o.message_id = (
  SELECT n.message_id FROM cm.outbox n
  WHERE n.client_id = %(client)s AND n.delivered_at IS NULL AND n.given_up_at IS NULL
    AND coalesce(n.next_attempt_at, n.created_at) <= now()
    AND NOT EXISTS (SELECT FROM cm.outbox e WHERE e.client_id = n.client_id AND e.target = n.target
      AND e.delivered_at IS NULL AND e.given_up_at IS NULL
      AND (e.leased_until > now() OR (e.payload->>'plan_id' = n.payload->>'plan_id'
        AND (e.created_at, e.message_id) < (n.created_at, n.message_id))))
  ORDER BY n.created_at, n.message_id LIMIT 1)
RETURNING o.message_id::text, o.kind, o.target, o.payload::text, o.attempts, o.created_at"""
