"""Who callers over HTTP are, as the settings say; and what keeps a server from starting without knowing it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity import ClaimNames, SharedKey, TokenRules, TokenVerifier, open_remote_keys
from commission_mcp.settings import Settings

OWN_NAME = "commission-mcp"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def token_rules(settings: Settings) -> TokenRules:
    """What tokens have to say. With a key of one's own, issuer and audience have names of their own too.

    Raises:
        Refused: with `E_SETTING`, naming what is missing.
    """
    own = OWN_NAME if settings.token_key else None
    issuer = settings.token_issuer or own
    audience = settings.token_audience or settings.http_public_url or own
    problems = [
        _missing(key, what)
        for key, what, value in (
            ("COMMISSION_TOKEN_ISSUER", "the issuer of tokens", issuer),
            ("COMMISSION_TOKEN_AUDIENCE", "the audience of tokens", audience),
        )
        if value is None
    ]
    if issuer is None or audience is None:
        raise Refused(*problems)
    names = ClaimNames(
        settings.token_clients_claim,
        settings.token_roles_claim,
        _renames(settings.token_client_ids),
        _renames(settings.token_role_names),
    )
    return TokenRules(issuer, audience, settings.token_leeway_s, names)


@asynccontextmanager
async def open_verifier(settings: Settings) -> AsyncGenerator[TokenVerifier | None]:
    """What verifies tokens; None where everybody is the operator."""
    if settings.http_identity == "operator":
        yield None
    elif settings.token_key is not None:
        yield TokenVerifier(token_rules(settings), SharedKey(settings.token_key.get_secret_value().encode()))
    elif settings.token_jwks_url is not None:
        async with open_remote_keys(settings.token_jwks_url) as keys:
            yield TokenVerifier(token_rules(settings), keys)
    else:
        raise Refused(_no_identity())


def refuse_unsafe(settings: Settings) -> None:
    """Refuse to serve over HTTP without knowing who calls, or by which names.

    Raises:
        Refused: with `E_SETTING`, for everything that is missing or contradicts itself.
    """
    problems = list(_objections(settings))
    if problems:
        raise Refused(*problems)
    if settings.http_identity == "token":
        token_rules(settings)


def _objections(settings: Settings) -> Iterable[Problem]:
    on_loopback = settings.http_host in LOOPBACK
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
    if settings.token_key is None and settings.token_jwks_url is None:
        yield _no_identity()
    if settings.token_key is not None and settings.token_jwks_url is not None:
        yield Problem(
            Code.SETTING,
            "Tokens are verified with a key of your own or with an issuer's, not with both.",
            "Leave one of COMMISSION_TOKEN_KEY and COMMISSION_TOKEN_JWKS_URL out.",
            "COMMISSION_TOKEN_KEY",
        )
    if not on_loopback and settings.http_public_url is None:
        yield _missing("COMMISSION_HTTP_PUBLIC_URL", "the address that callers use, such as https://host/mcp")


def _no_identity() -> Problem:
    return Problem(
        Code.SETTING,
        "The server does not know how to tell who calls.",
        "Set COMMISSION_TOKEN_JWKS_URL and COMMISSION_TOKEN_ISSUER for an identity provider, or COMMISSION_TOKEN_KEY "
        "for tokens from `commission-mcp token`. For yourself alone on loopback: COMMISSION_HTTP_IDENTITY=operator.",
        "COMMISSION_HTTP_IDENTITY",
    )


def _missing(key: str, what: str) -> Problem:
    return Problem(Code.SETTING, f"Serving over HTTP needs {what}.", f"Set {key}.", key)


def _renames(entries: Iterable[str]) -> dict[str, str]:
    pairs = (entry.rpartition("=") for entry in entries)
    return {theirs: ours for theirs, _, ours in pairs}
