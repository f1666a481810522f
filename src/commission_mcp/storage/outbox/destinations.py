"""Where a client's messages go: the client's own entry, or the operator's for the one client of a stdio server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from commission_mcp.domain.money import loads
from commission_mcp.storage.outbox.messages import DECIDED, SUBMITTED, Targets
from commission_mcp.storage.writing import Writing

FORMATS = ("native", "plan_creation_web_api")


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that messages are posted to.

    Attributes:
        url: The backend's base URL, or the webhook's own.
        token: The bearer token.
        authority: A certificate authority in PEM; the system's otherwise. TLS is always verified.
        format: native or plan_creation_web_api; a webhook is native.
        org_code: How the backend calls the client; the client's id otherwise.
        secret: What a message is signed with, if at all.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    authority: str | None = None
    format: str = "native"
    org_code: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def events(self) -> tuple[str, ...]:
        """What it is told of: the older dashboard's backend only takes new plans."""
        return (SUBMITTED,) if self.format == "plan_creation_web_api" else (SUBMITTED, DECIDED)


@dataclass(frozen=True, slots=True)
class Destinations:
    """A client's backend and webhook, as far as it has them."""

    backend: Destination | None = None
    webhook: Destination | None = None

    @property
    def targets(self) -> Targets:
        """What each of them is told of."""
        return Targets(
            () if self.backend is None else self.backend.events, () if self.webhook is None else self.webhook.events
        )

    def of(self, target: str) -> Destination | None:
        """The destination of a queued message."""
        return self.backend if target == "backend" else self.webhook


@dataclass(frozen=True, slots=True)
class Fallback:
    """The operator's backend, for the one client that the operator's settings name."""

    client_id: str | None = None
    backend: Destination | None = None

    def of(self, client_id: str) -> Destination | None:
        """The backend, if it is for this client."""
        return self.backend if self.client_id == client_id else None


async def load_destinations(writing: Writing, fallback: Fallback) -> Destinations:
    """Where the client's messages go."""
    row = await writing.row("SELECT backend::text FROM cm.client_profile WHERE client_id = %s", [writing.client_id])
    entry = loads("{}" if row is None else row[0])
    own: Mapping[str, object] = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else {}
    webhook = own.get("webhook")
    return Destinations(
        _destination(own) or fallback.of(writing.client_id),
        _destination(cast("Mapping[str, object]", webhook)) if isinstance(webhook, Mapping) else None,
    )


def _destination(entry: Mapping[str, object]) -> Destination | None:
    url = entry.get("url")
    if not isinstance(url, str) or not url:
        return None
    style = entry.get("format", "native")
    return Destination(
        url.rstrip("/"),
        _text(entry, "token"),
        _text(entry, "ca"),
        style if isinstance(style, str) and style in FORMATS else "native",
        _text(entry, "org_code"),
        _text(entry, "secret"),
    )


def _text(entry: Mapping[str, object], name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) and value else None
