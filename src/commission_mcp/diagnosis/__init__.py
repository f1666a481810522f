"""What `doctor` checks: each check is a small function that gives findings, and a failed one says what to do.

A new check is one function and one line in `SERVER_CHECKS` or `LOCAL_CHECKS`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from types import MappingProxyType

from commission_mcp import __version__
from commission_mcp.app import Reached, reach
from commission_mcp.diagnosis import documents, hosting, servers
from commission_mcp.diagnosis.findings import Finding, Findings, refusals_as_findings
from commission_mcp.settings import Loaded, describe

__all__ = ["Finding", "diagnose"]

_PACKAGES = ("mcp", "psycopg", "pglast", "redis", "pandas", "pydantic")

SERVER_CHECKS: Mapping[str, Callable[[Loaded, Reached], Findings]] = MappingProxyType(
    {"postgresql": servers.postgresql, "client": servers.client, "redis": servers.redis}
)
"""What needs the servers; without a sound PostgreSQL the others of them are left out."""

LOCAL_CHECKS: Mapping[str, Callable[[Loaded], Findings]] = MappingProxyType(
    {
        "disk": documents.space,
        "model": documents.model,
        "index": documents.index,
        "ocr": documents.ocr,
        "stdio": hosting.stdio,
        "host entry": hosting.host_entry,
    }
)
"""What does not."""


async def diagnose(load: Callable[[], Loaded], only: Collection[str] = ()) -> list[Finding]:
    """Run every check that can be run; what depends on a failed one is left out.

    Args:
        load: Reads the settings.
        only: The checks to run, by their names in `SERVER_CHECKS` and `LOCAL_CHECKS`; all of them when empty.
    """
    return [finding async for finding in refusals_as_findings("settings", _all(load, only))]


async def _all(load: Callable[[], Loaded], only: Collection[str]) -> Findings:
    packages = ", ".join([*(f"{name} {version(name)}" for name in _PACKAGES), *documents.packages()])
    yield Finding.good("versions", f"commission-mcp {__version__}, Python {platform.python_version()}, {packages}")
    loaded = load()
    yield _settings(loaded)
    server_checks = {name: check for name, check in SERVER_CHECKS.items() if name in (only or SERVER_CHECKS)}
    if server_checks:
        async for finding in refusals_as_findings("servers", _servers(loaded, server_checks)):
            yield finding
    for name, check in LOCAL_CHECKS.items():
        if name in (only or LOCAL_CHECKS):
            async for finding in refusals_as_findings(name, check(loaded)):
                yield finding


async def _servers(loaded: Loaded, checks: Mapping[str, Callable[[Loaded, Reached], Findings]]) -> Findings:
    async with reach(loaded.settings) as reached:
        for name, check in checks.items():
            sound = True
            async for finding in refusals_as_findings(name, check(loaded, reached)):
                sound = sound and finding.ok
                yield finding
            if not sound and name == "postgresql":
                return


def _settings(loaded: Loaded) -> Finding:
    chosen = [row for row in describe(loaded) if row.source != "default"]
    shown = "; ".join(f"{row.name}={row.value} (from {row.source})" for row in chosen) or "all defaults"
    return Finding.good("settings", shown, " ".join(str(warning) for warning in loaded.warnings))
