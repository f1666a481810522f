"""The operator's view of the outbox: whom a client's messages go to, how they stand, and trying again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.parsing.reader import Collected, Reader
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.outbox.destinations import FORMATS
from commission_mcp.storage.prepare import Administration


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that has not arrived."""

    client_id: str
    message_id: str
    event: str
    target: str
    created_at: datetime
    attempts: int
    given_up: bool
    last_failure: str | None


async def set_destinations(connection: Administration, client_id: str, entry: object) -> None:
    """Say where a client's messages go; an empty object stops them.

    Args:
        connection: An operations connection.
        client_id: The client.
        entry: `{url, format, token, ca, org_code, secret, webhook: {url, token, ca, secret}}`.

    Raises:
        Refused: with every problem of the entry, or `E_CLIENT_UNKNOWN`.
    """
    collected = Collected()
    reader = Reader(entry, "", collected)
    _check(reader, needed=False)
    if (webhook := reader.one("webhook")) is not None:
        _check(webhook, needed=True)
        webhook.finish()
    reader.finish()
    if collected.problems:
        raise Refused(*collected.problems)
    cursor = await connection.execute(
        "UPDATE cm.client_profile SET backend = %s::jsonb WHERE client_id = %s",
        [canonical_json(dict(cast("Mapping[str, object]", entry))), client_id],
    )
    if not cursor.rowcount:
        fix = "`commission-mcp client list` shows the clients."
        raise Refused(Problem(Code.CLIENT_UNKNOWN, f"There is no client {client_id!r}.", fix, "client_id"))


async def undelivered(connection: Administration, client_id: str | None) -> list[Undelivered]:
    """The messages that have not arrived, the oldest first, of one client or all."""
    cursor = await connection.execute(
        "SELECT client_id, message_id::text, kind, target, created_at, attempts, given_up_at IS NOT NULL, last_failure "
        "FROM cm.outbox WHERE delivered_at IS NULL AND (%s::text IS NULL OR client_id = %s) "
        "ORDER BY created_at LIMIT 1000",
        [client_id, client_id],
    )
    return [Undelivered(*row) for row in await cursor.fetchall()]


async def retry(connection: Administration, client_id: str | None) -> int:
    """Make every undelivered message due now, given up ones too, but not what is on its way; how many there are."""
    cursor = await connection.execute(
        "UPDATE cm.outbox SET given_up_at = NULL, next_attempt_at = NULL, leased_until = NULL, attempts = 0 "
        "WHERE delivered_at IS NULL AND (leased_until IS NULL OR leased_until <= now()) "
        "AND (%s::text IS NULL OR client_id = %s)",
        [client_id, client_id],
    )
    return cursor.rowcount


def _check(reader: Reader, *, needed: bool) -> None:
    url = reader.text("url", 2_000)
    if url is None and needed and not reader.has("url"):
        reader.missing("url", "Give the address, such as https://backend.example.com.")
    if url is not None and not url.startswith(("https://", "http://")):
        reader.refuse(Code.SETTING, "url", "This is no address.", "Give one that begins with https:// or http://.")
    style = reader.text("format")
    if style is not None and style not in FORMATS:
        reader.refuse(Code.UNKNOWN, "format", f"{style!r} is not known.", f"Allowed are: {', '.join(FORMATS)}.")
    for name, length in (("token", 8_000), ("ca", 100_000), ("org_code", 200), ("secret", 1_000)):
        reader.text(name, length)
