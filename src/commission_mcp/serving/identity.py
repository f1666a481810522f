"""Who callers over HTTP are; and what keeps a server from starting without knowing it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity import TokenVerifier
from commission_mcp.settings import Settings
from commission_mcp.verification import open_verifier, refuse_unverifiable

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@asynccontextmanager
async def open_callers(settings: Settings) -> AsyncGenerator[TokenVerifier | None]:
    """What verifies the tokens of callers; None where everybody is the operator."""
    if settings.http_identity == "operator":
        yield None
        return
    async with open_verifier(settings) as verifier:
        yield verifier


def refuse_unsafe(settings: Settings) -> None:
    """Refuse to serve over HTTP without knowing who calls, or by which names.

    Raises:
        Refused: with `E_SETTING`, for everything that is missing or contradicts itself.
    """
    problems = list(_objections(settings))
    if problems:
        raise Refused(*problems)


def _objections(settings: Settings) -> Iterable[Problem]:
    on_loopback = settings.http_host in LOOPBACK
    if settings.token is not None:
        yield Problem(
            Code.SETTING,
            "Over HTTP every request brings a token of its own; COMMISSION_TOKEN is for stdio.",
            "Leave COMMISSION_TOKEN out.",
            "COMMISSION_TOKEN",
        )
    if settings.http_identity == "operator":
        if not on_loopback:
            yield Problem(
                Code.SETTING,
                "Without tokens the server listens on loopback only.",
                "Set COMMISSION_HTTP_HOST=127.0.0.1, or COMMISSION_HTTP_IDENTITY=token with a key or an issuer.",
                "COMMISSION_HTTP_IDENTITY",
            )
        if settings.client_id is None:
            yield _missing("COMMISSION_CLIENT_ID", "the client to serve")
        return
    try:
        refuse_unverifiable(settings)
    except Refused as refused:
        yield from refused.problems
    if not on_loopback and settings.http_public_url is None:
        yield _missing("COMMISSION_HTTP_PUBLIC_URL", "the address that callers use, such as https://host/mcp")


def _missing(key: str, what: str) -> Problem:
    return Problem(Code.SETTING, f"Serving over HTTP needs {what}.", f"Set {key}.", key)
