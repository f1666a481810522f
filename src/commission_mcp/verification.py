"""Tokens as the settings want them: what each has to say, the keys it is checked with, and the one of a connection."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity import ClaimNames, SharedKey, TokenRules, TokenVerifier, open_remote_keys
from commission_mcp.settings import Settings

OWN_NAME = "commission-mcp"

_log = logging.getLogger("commission_mcp.identity")


class OwnToken:
    """The token of a connection that has one caller, such as stdio's; verified anew for every request.

    Args:
        verifier: What verifies it.
        token: The token of the settings.
        client_id: The client of the settings, where the token grants several.
    """

    def __init__(self, verifier: TokenVerifier, token: str, client_id: str | None) -> None:
        self._verifier = verifier
        self._token = token
        self._client_id = client_id

    async def check(self) -> None:
        """Say in the log, before anybody calls, that the token is not good."""
        try:
            await self.caller()
        except Refused as refused:
            reasons = " ".join(str(problem) for problem in refused.problems)
            _log.warning("the token of the settings is not accepted", extra={"reason": reasons})

    async def caller(self) -> Caller:
        """Who the token says, for the client that it grants.

        Raises:
            Refused: with `E_TOKEN` when it is not accepted, or not any more; `E_TOKEN_KEYS`, `E_CLIENT_NOT_GRANTED`,
                `E_CLIENT_AMBIGUOUS`.
        """
        try:
            return (await self._verifier.verify(self._token)).caller(self._client_id)
        except Refused as refused:
            raise Refused(*map(_of_this_connection, refused.problems)) from None


def _of_this_connection(problem: Problem) -> Problem:
    """A refusal of a token, with what helps where nobody can send another one."""
    fixes = {
        Code.TOKEN: ("Set COMMISSION_TOKEN to a token that is good, and start the server again.", "COMMISSION_TOKEN"),
        Code.CLIENT_AMBIGUOUS: ("Set COMMISSION_CLIENT_ID to one of them.", "COMMISSION_CLIENT_ID"),
        Code.CLIENT_NOT_GRANTED: (
            "Set COMMISSION_CLIENT_ID to a client that it grants, or COMMISSION_TOKEN to a token for this one.",
            "COMMISSION_CLIENT_ID",
        ),
    }
    fix, path = fixes.get(Code(problem.code), (problem.fix, problem.path))
    return Problem(problem.code, problem.message, fix, path)


def token_rules(settings: Settings) -> TokenRules:
    """What tokens have to say. With a key of one's own, issuer and audience have names of their own too.

    Raises:
        Refused: with `E_SETTING`, naming what is missing.
    """
    own = OWN_NAME if settings.token_key else None
    issuer = settings.token_issuer or own
    audience = settings.token_audience or settings.http_public_url or own
    if issuer is None or audience is None:
        named = (("ISSUER", "iss", issuer), ("AUDIENCE", "aud", audience))
        raise Refused(*(_missing(name, claim) for name, claim, value in named if value is None))
    names = ClaimNames(
        settings.token_clients_claim,
        settings.token_roles_claim,
        _renames(settings.token_client_ids),
        _renames(settings.token_role_names),
    )
    return TokenRules(issuer, audience, settings.token_leeway_s, names)


@asynccontextmanager
async def open_verifier(settings: Settings) -> AsyncGenerator[TokenVerifier]:
    """What verifies tokens, with the key or the issuer of the settings.

    Raises:
        Refused: with `E_SETTING` when they name neither, or both.
    """
    refuse_unverifiable(settings)
    rules = token_rules(settings)
    if settings.token_jwks_url is not None:
        async with open_remote_keys(settings.token_jwks_url) as keys:
            yield TokenVerifier(rules, keys)
    elif settings.token_key is not None:
        yield TokenVerifier(rules, SharedKey(settings.token_key.get_secret_value().encode()))


@asynccontextmanager
async def open_own_token(settings: Settings) -> AsyncGenerator[OwnToken | None]:
    """The token of a connection with one caller; None where the operator's word counts.

    Raises:
        Refused: with `E_SETTING` when there is a token and nothing to verify it with.
    """
    if settings.token is None:
        yield None
        return
    async with open_verifier(settings) as verifier:
        yield OwnToken(verifier, settings.token.get_secret_value().strip(), settings.client_id)


def refuse_unverifiable(settings: Settings) -> None:
    """Refuse settings that cannot verify a token.

    Raises:
        Refused: with `E_SETTING`, for everything that is missing or contradicts itself.
    """
    problems = list(_objections(settings))
    if problems:
        raise Refused(*problems)
    token_rules(settings)


def _objections(settings: Settings) -> Iterable[Problem]:
    if settings.token_key is None and settings.token_jwks_url is None:
        yield Problem(
            Code.SETTING,
            "The server does not know how to tell who calls.",
            "Set COMMISSION_TOKEN_JWKS_URL and COMMISSION_TOKEN_ISSUER for an identity provider, or "
            "COMMISSION_TOKEN_KEY for tokens from `commission-mcp token`. For yourself alone over HTTP on loopback: "
            "COMMISSION_HTTP_IDENTITY=operator.",
            "COMMISSION_HTTP_IDENTITY",
        )
    if settings.token_key is not None and settings.token_jwks_url is not None:
        yield Problem(
            Code.SETTING,
            "Tokens are verified with a key of your own or with an issuer's, not with both.",
            "Leave one of COMMISSION_TOKEN_KEY and COMMISSION_TOKEN_JWKS_URL out.",
            "COMMISSION_TOKEN_KEY",
        )


def _missing(name: str, claim: str) -> Problem:
    key = f"COMMISSION_TOKEN_{name}"
    message = f"Verifying tokens needs the {name.lower()} of tokens, their `{claim}`."
    return Problem(Code.SETTING, message, f"Set {key}.", key)


def _renames(entries: Iterable[str]) -> dict[str, str]:
    pairs = (entry.rpartition("=") for entry in entries)
    return {theirs: ours for theirs, _, ours in pairs}
