"""Where spans go, by the environment variables of the OpenTelemetry specification."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum

from commission_mcp.errors import Code, Problem, Refused

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


class SpanDestination(StrEnum):
    """Where spans go."""

    NONE = "none"
    OTLP = "otlp"
    CONSOLE = "console"


def span_destination(environment: Mapping[str, str] | None = None) -> SpanDestination:
    """What `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER` and the OTLP end points ask for.

    Unlike the specification, nothing is sent where none of them is set.

    Args:
        environment: What to read instead of the environment of the process.

    Raises:
        Refused: with `E_SETTING`, when they ask for what is not offered.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251 - names that are OpenTelemetry's, not ours
    asked = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return SpanDestination.NONE
    if not asked:
        asked = SpanDestination.OTLP if any(variables.get(name) for name in _ENDPOINTS) else SpanDestination.NONE
    if asked not in list(SpanDestination):
        raise _not_offered("OTEL_TRACES_EXPORTER", "otlp, console or none")
    protocols = [name for name in _PROTOCOLS if variables.get(name)]
    if asked == SpanDestination.OTLP and protocols and variables[protocols[0]].strip().lower() != _PROTOCOL:
        raise _not_offered(protocols[0], _PROTOCOL)
    return SpanDestination(asked)


def _not_offered(name: str, offered: str) -> Refused:
    return Refused(Problem(Code.SETTING, f"{name} asks for what is not offered.", f"Set {name} to {offered}.", name))
