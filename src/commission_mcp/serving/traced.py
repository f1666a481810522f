"""Requests as spans: what the caller's own trace says goes on here."""

from __future__ import annotations

from opentelemetry import propagate, trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commission_mcp.tracing import SCOPE

_SERVER_ERROR = 500


class Traced:
    """An ASGI application that records each request of another one.

    Args:
        application: The other one.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._tracer = trace.get_tracer(SCOPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within a span, which is part of the trace that the headers name."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._tracer.start_as_current_span(
            "request",
            context=propagate.extract(headers),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": scope["method"]},
            record_exception=False,
        ) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= _SERVER_ERROR:
                        span.set_status(trace.StatusCode.ERROR)
                await send(message)

            await self._application(scope, receive, noting)
