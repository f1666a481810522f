"""The web application of one worker: the protocol's endpoint, probes, and who issues tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import orjson
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commission_mcp.app import open_app
from commission_mcp.domain.caller import Role
from commission_mcp.domain.permissions import known_names
from commission_mcp.errors import Refused
from commission_mcp.logs import configure_logs
from commission_mcp.server import CommissionServer, build_server
from commission_mcp.serving.addresses import Names
from commission_mcp.serving.draining import STOPPING
from commission_mcp.serving.endpoint import VERIFIER_STATE, Endpoint, RequestLimits
from commission_mcp.serving.identity import open_callers
from commission_mcp.serving.metrics import Metrics, metrics_page
from commission_mcp.serving.traced import Traced
from commission_mcp.settings import Settings
from commission_mcp.settings.telemetry import SpanDestination, span_destination
from commission_mcp.telemetry import exporting_spans
from commission_mcp.verification import token_rules

PATH = "/mcp"
_METADATA = "/.well-known/oauth-protected-resource"
_READY_S = 2.0


@dataclass(frozen=True, slots=True)
class HttpApplication:
    """Builds the application in the process that serves it; what travels to that process.

    Attributes:
        settings: The operator's settings.
        state_key: Seals what the server asks callers to bring back, the same in every worker.
        metrics_folder: Where several workers leave what they count.
    """

    settings: Settings
    state_key: bytes = field(repr=False)
    metrics_folder: Path | None = None

    def __call__(self) -> Starlette:
        """The application; it opens servers and keys when it starts."""
        configure_logs(self.settings.log_level)
        verified = self.settings.http_identity == "token"
        metrics = None if self.settings.metrics_token is None else Metrics(self.metrics_folder, known_names())
        observe = None if metrics is None else metrics.call
        server = build_server(self.settings, partial(open_app, verified=verified, observe=observe), self.state_key)
        return web_application(server, self.settings, metrics, span_destination())


def web_application(
    server: CommissionServer,
    settings: Settings,
    metrics: Metrics | None = None,
    spans: SpanDestination = SpanDestination.NONE,
) -> Starlette:
    """The routes around one server."""
    # Host and Origin are checked by `Endpoint`, for every path of the protocol and on every address.
    protocol = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=settings.http_body_bytes_max,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    limits = RequestLimits(settings.http_body_bytes_max, settings.http_receive_timeout_s)
    refused = None if metrics is None else metrics.refusal
    endpoint = Endpoint(protocol, Names.of(settings), limits, _metadata_url(settings), refused)
    application_of_path = endpoint if spans is SpanDestination.NONE else Traced(endpoint)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, object]]:
        with exporting_spans(spans):
            async with open_callers(settings) as verifier, server.session_manager.run():
                yield {VERIFIER_STATE: verifier}

    routes = [
        Route("/healthz", _healthy),
        Route("/readyz", partial(_ready, server)),
        Route(PATH, application_of_path),
    ]
    if metrics is not None and settings.metrics_token is not None:
        routes.append(Route("/metrics", partial(metrics_page, metrics, settings.metrics_token.get_secret_value())))
    if settings.http_identity == "token":
        metadata = partial(_metadata, _protected_resource(settings))
        routes += [Route(_METADATA, metadata), Route(f"{_METADATA}{PATH}", metadata)]
    application = Starlette(routes=routes, middleware=_cors(settings), lifespan=lifespan)
    # A redirection would repeat whatever Host the request named.
    application.router.redirect_slashes = False
    return application


def _cors(settings: Settings) -> list[Middleware]:
    """Answers to a browser's questions, where browsers may call at all."""
    if not settings.http_allowed_origins:
        return []
    origins = sorted(settings.http_allowed_origins)
    return [Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["POST"], allow_headers=["*"])]


async def _healthy(_: Request) -> Response:
    """The process answers."""
    return Response("ok\n", media_type="text/plain")


async def _ready(server: CommissionServer, request: Request) -> Response:
    """The database answers too, and the server is not about to stop."""
    if STOPPING in request.scope["state"]:
        return Response("stopping\n", 503, media_type="text/plain")
    try:
        with anyio.fail_after(_READY_S):
            await (await server.app.database()).ping()
    except (Refused, TimeoutError):
        return Response("the database does not answer\n", 503, media_type="text/plain")
    return Response("ready\n", media_type="text/plain")


async def _metadata(content: dict[str, object], _: Request) -> Response:
    """Protected resource metadata, RFC 9728."""
    headers = {"cache-control": "max-age=3600", "access-control-allow-origin": "*"}
    return Response(orjson.dumps(content), headers=headers, media_type="application/json")


def _protected_resource(settings: Settings) -> dict[str, object]:
    rules = token_rules(settings)
    issuers = [rules.issuer] if settings.token_jwks_url is not None else []
    return {
        "resource": settings.http_public_url or f"http://{settings.http_host}:{settings.http_port}{PATH}",
        "resource_name": "Commission MCP",
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        rules.names.roles: list(Role),
    }


def _metadata_url(settings: Settings) -> str | None:
    if settings.http_public_url is None:
        return None
    parts = urlsplit(settings.http_public_url)
    return f"{parts.scheme}://{parts.netloc}{_METADATA}{parts.path}"
