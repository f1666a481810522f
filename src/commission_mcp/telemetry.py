"""Sends spans where the OpenTelemetry variables say, without anything that a caller wrote."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mcp_types.methods import SPEC_CLIENT_METHODS

from commission_mcp import __version__
from commission_mcp.domain.permissions import known_names
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings.telemetry import SpanDestination
from commission_mcp.tracing import SCOPE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.util.types import AttributeValue

_OTHER = "other"
_WORD = re.compile(r"[a-z_]{1,20}")
_CODES = re.compile(r"[\w.,-]{1,120}")
_FLUSH_MS = 5_000


def require_telemetry(destination: SpanDestination) -> None:
    """Refuse to start without the packages that send spans, where spans are wanted.

    Raises:
        Refused: with `E_SETTING`.
    """
    if destination is not SpanDestination.NONE and not _installed():
        raise Refused(
            Problem(
                Code.SETTING,
                "Sending traces needs packages that are not installed.",
                "Install commission-mcp[otel], or set OTEL_TRACES_EXPORTER=none.",
                "OTEL_TRACES_EXPORTER",
            )
        )


@contextmanager
def exporting_spans(destination: SpanDestination) -> Generator[None]:
    """Record and send spans of this process until the block ends; the last are sent before it does.

    The specification's variables say more: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,
    `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_*`. A process does this once.
    """
    if destination is SpanDestination.NONE:
        yield
        return
    from opentelemetry import trace  # noqa: PLC0415 - for whoever wants traces
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    own = {"service.name": SCOPE, "service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    provider = TracerProvider(resource=Resource.create({**own, **OTELResourceDetector().detect().attributes}))
    provider.add_span_processor(BatchSpanProcessor(_scrubbing(_exporter(destination))))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.force_flush(_FLUSH_MS)
        provider.shutdown()


def _installed() -> bool:
    return find_spec("opentelemetry.sdk") is not None and find_spec("opentelemetry.exporter") is not None


def _exporter(destination: SpanDestination) -> SpanExporter:
    if destination is SpanDestination.CONSOLE:
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 - for whoever wants it

        # Over stdio, stdout is the protocol's.
        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

    return OTLPSpanExporter()


def _scrubbing(exporter: SpanExporter) -> SpanExporter:
    """An exporter that sends spans on without what callers wrote."""
    from opentelemetry.sdk.trace.export import SpanExporter as Base  # noqa: PLC0415 - loaded with the SDK

    class Scrubbing(Base):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([scrubbed(span) for span in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = _FLUSH_MS) -> bool:
            return exporter.force_flush(timeout_millis)

    return Scrubbing()


def scrubbed(span: ReadableSpan) -> ReadableSpan:
    """The span with what this program knows to be harmless, and nothing else.

    The protocol's SDK puts names as callers wrote them into spans, and the texts of errors.
    """
    from opentelemetry.sdk.trace import ReadableSpan as Span  # noqa: PLC0415 - loaded with the SDK
    from opentelemetry.trace import Status  # noqa: PLC0415 - as above

    attributes = _allowed(span.attributes or {})
    ours = span.instrumentation_scope is not None and span.instrumentation_scope.name == SCOPE
    return Span(
        name=span.name if ours else _name(attributes),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _name(attributes: Mapping[str, AttributeValue]) -> str:
    target = attributes.get("gen_ai.tool.name") or attributes.get("gen_ai.prompt.name")
    return " ".join(str(part) for part in (attributes.get("mcp.method.name", _OTHER), target) if part)


def _allowed(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {name: _RULES[name](value) for name, value in attributes.items() if name in _RULES}


def _event(event: Event) -> Event:
    from opentelemetry.sdk.trace import Event as Made  # noqa: PLC0415 - loaded with the SDK

    kept = {name: value for name, value in (event.attributes or {}).items() if name == "exception.type"}
    return Made("exception" if event.name == "exception" else _OTHER, kept, event.timestamp)


def _known(value: AttributeValue) -> AttributeValue:
    return value if value in known_names() else _OTHER


def _matching(pattern: re.Pattern[str]) -> Callable[[AttributeValue], AttributeValue]:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else _OTHER


def _same(value: AttributeValue) -> AttributeValue:
    return value


_RULES: Mapping[str, Callable[[Any], AttributeValue]] = MappingProxyType(
    {
        "mcp.method.name": lambda value: value if value in SPEC_CLIENT_METHODS else _OTHER,
        "mcp.protocol.version": _matching(re.compile(r"\d{4}-\d\d-\d\d")),
        "gen_ai.operation.name": _matching(_WORD),
        "gen_ai.tool.name": _known,
        "gen_ai.prompt.name": _known,
        "error.type": _matching(_CODES),
        "rpc.response.status_code": _matching(_CODES),
        "http.request.method": _matching(re.compile(r"[A-Z]{1,10}")),
        "http.response.status_code": _same,
        "commission.client": _same,
        "commission.outcome": _matching(_CODES),
        "commission.cache": _matching(_WORD),
    }
)
