"""Numbers for Prometheus: calls by tool, outcome and client, how long they took, and what HTTP refused.

Several workers write them into files of one folder, and whichever is asked adds them up. Labels are names that this
program knows, codes, and client ids: nothing that a caller wrote.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Collection
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from commission_mcp.access import CallReport

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OTHER = "other"


class Metrics:
    """What one worker counts.

    Args:
        folder: Where all workers leave their numbers; None where there is one worker.
        known: The names of tools and prompts, and schemes of resources; whatever else is asked for is counted together.
    """

    def __init__(self, folder: Path | None, known: Collection[str]) -> None:
        if folder is not None:
            os.environ[_FOLDER_VARIABLE] = str(folder)  # noqa: TID251 - how the library is told, and only before its import
        from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415 - as said

        self._folder = folder
        self._known = frozenset(known)
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "commission_calls",
            "Calls by what was called, how they ended (ok, cancelled, crash or the first code), and client.",
            ("action", "object", "outcome", "client"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "commission_call_seconds",
            "How long calls took, the record of them included.",
            ("action", "object"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._refusals = Counter(
            "commission_http_refusals",
            "Requests refused before the protocol read them.",
            ("status", "code"),
            registry=self._registry,
        )

    def call(self, report: CallReport) -> None:
        """Count a call."""
        name = report.name if report.action in {"tools/call", "prompts/get"} else report.name.partition("://")[0]
        known = name if name in self._known else _OTHER
        self._calls.labels(report.action, known, report.outcome.partition(",")[0], report.client_id).inc()
        self._seconds.labels(report.action, known).observe(report.elapsed_ms / 1000)

    def refusal(self, status: int, code: str) -> None:
        """Count a request that did not get as far as the protocol."""
        self._refusals.labels(str(status), code).inc()

    def text(self) -> bytes:
        """All numbers of all workers, in the format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - loaded with the first metrics
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - as above

        registry = self._registry
        if self._folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(self._folder))
        return generate_latest(registry)


async def metrics_page(metrics: Metrics, token: str, request: Request) -> Response:
    """The numbers, for whoever has the token: client ids are among them."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(given.encode(), token.encode()):
        return Response("a token is needed\n", 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
    return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
