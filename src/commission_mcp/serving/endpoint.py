"""The protocol's endpoint: what a request has to pass before the protocol reads it.

In this order, the cheapest first: host, origin, method, token, client, body. No body is read before the token was
accepted, and nothing is kept between requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity import TokenVerifier
from commission_mcp.server import CALLER_SCOPE
from commission_mcp.serving import refusals
from commission_mcp.serving.addresses import Names
from commission_mcp.serving.incoming import Incoming
from commission_mcp.serving.refusals import HttpRefusal, refusal, unauthenticated
from commission_mcp.tracing import step

VERIFIER_STATE = "verifier"
_PARAMETERS_MAX = 20

_log = logging.getLogger("commission_mcp.http")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may take.

    Attributes:
        body_bytes_max: The length of a body.
        transfer_s: How long a body may take to arrive, and each part of an answer to leave.
    """

    body_bytes_max: int
    transfer_s: float


class Endpoint:
    """An ASGI application in front of the protocol's own.

    Args:
        protocol: The protocol's application; it finds the caller in the scope.
        names: Under which names it is called.
        limits: What a request may take.
        metadata_url: Where callers learn who issues tokens.
        refused: Learns status and code of what is refused.
    """

    def __init__(
        self,
        protocol: ASGIApp,
        names: Names,
        limits: RequestLimits,
        metadata_url: str | None,
        refused: Callable[[int, str], None] | None = None,
    ) -> None:
        self._protocol = protocol
        self._names = names
        self._limits = limits
        self._metadata_url = metadata_url
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        incoming = Incoming(headers, receive, self._limits.body_bytes_max)
        try:
            self._check_addresses(headers)
            _check_method(scope)
            verifier: TokenVerifier | None = scope["state"][VERIFIER_STATE]
            scope[CALLER_SCOPE] = await self._caller(verifier, scope, headers) if verifier is not None else None
            with step("body"):
                body = await incoming.read(self._limits.transfer_s)
        except HttpRefusal as refused:
            if self._refused is not None:
                self._refused(refused.status, str(refused.refused.problems[0].code))
            await _refuse(refused, incoming, send)
            return
        try:
            await self._protocol(scope, incoming.replaying(body), self._bounded(send))
        except TimeoutError:
            _log.info("gave up a reader that does not read")

    def _check_addresses(self, headers: Headers) -> None:
        host, origin = headers.getlist("host"), headers.getlist("origin")
        if len(host) != 1 or not self._names.serves_host(host[0]):
            raise refusal(
                refusals.MISDIRECTED,
                "This server is not called by that name.",
                "Use its public address. The operator lists further names in COMMISSION_HTTP_ALLOWED_HOSTS.",
            )
        if not all(map(self._names.serves_origin, origin)):
            raise refusal(
                refusals.FORBIDDEN,
                "Browsers at that origin may not call this server.",
                "The operator lists origins in COMMISSION_HTTP_ALLOWED_ORIGINS.",
            )

    async def _caller(self, verifier: TokenVerifier, scope: Scope, headers: Headers) -> Caller:
        asked = _client_asked(scope)
        token = self._token(headers)
        try:
            with step("token"):
                grant = await verifier.verify(token)
        except Refused as refused:
            if refused.problems[0].code == Code.TOKEN_KEYS:
                raise HttpRefusal(refusals.UNAVAILABLE, refused, {"Retry-After": "30"}) from None
            raise unauthenticated(refused, self._metadata_url, presented=True) from None
        try:
            return grant.caller(asked)
        except Refused as refused:
            raise HttpRefusal(refusals.FORBIDDEN, refused) from None

    def _token(self, headers: Headers) -> str:
        given = headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            problem = Problem(Code.TOKEN, "A bearer token is needed.", "Send `Authorization: Bearer ...` once.")
            raise unauthenticated(Refused(problem), self._metadata_url, presented=bool(given))
        return token.strip()

    def _bounded(self, send: Send) -> Send:
        async def bounded(message: Message) -> None:
            with anyio.fail_after(self._limits.transfer_s):
                await send(message)

        return bounded


async def _refuse(refused: HttpRefusal, incoming: Incoming, send: Send) -> None:
    codes = [str(problem.code) for problem in refused.refused.problems]
    _log.info("refused", extra={"status": refused.status, "codes": codes})
    response = refused.response()
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    await incoming.pass_over()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _check_method(scope: Scope) -> None:
    if scope["method"] != "POST":
        refused = refusal(
            refusals.METHOD, "There are no sessions and no standing streams here.", "Send requests by POST."
        )
        refused.headers = {"Allow": "POST"}
        raise refused


def _client_asked(scope: Scope) -> str | None:
    """The client that the URL names."""
    try:
        parameters = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=_PARAMETERS_MAX, errors="strict")
    except ValueError:
        raise refusal(
            refusals.BAD_REQUEST, "The URL's parameters cannot be read.", "Write /mcp?client_id=..."
        ) from None
    asked = parameters.get("client_id", [])
    if len(asked) > 1:
        raise refusal(refusals.BAD_REQUEST, "The URL names several clients.", "Name one: /mcp?client_id=...")
    return asked[0] if asked else None
