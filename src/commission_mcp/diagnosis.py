"""What `doctor` checks: each check is one finding, and a failed one says what to do."""

from __future__ import annotations

import platform
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from importlib.metadata import version
from tempfile import TemporaryFile
from time import perf_counter

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from commission_mcp import __version__
from commission_mcp.app import Reached, operator, prepare_embedded, reach
from commission_mcp.errors import Problem, Refused
from commission_mcp.settings import Loaded, describe
from commission_mcp.storage import (
    DatabaseLimits,
    ReplicaAddresses,
    as_problem,
    databases_beside,
    find_breaches,
    gate_connection,
    open_database,
    prove_denied_reads,
)
from commission_mcp.storage.redis_servers import redis_state

_PACKAGES = ("mcp", "psycopg", "pglast", "redis", "pandas", "pydantic")


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    ok: bool
    detail: str
    fix: str = ""

    @classmethod
    def good(cls, check: str, detail: str, note: str = "") -> Finding:
        """A check that passed, perhaps with something to know."""
        return cls(check, ok=True, detail=detail, fix=note)

    @classmethod
    def bad(cls, check: str, problem: Problem) -> Finding:
        """A check that failed."""
        place = f" ({problem.path})" if problem.path else ""
        return cls(check, ok=False, detail=f"{problem.code}{place}: {problem.message}", fix=problem.fix)


Findings = AsyncGenerator[Finding]


async def diagnose(load: Callable[[], Loaded]) -> list[Finding]:
    """Run every check that can be run; what depends on a failed one is left out.

    Args:
        load: Reads the settings.
    """
    return [finding async for finding in _refusals_as_findings("settings", _all(load))]


async def _all(load: Callable[[], Loaded]) -> Findings:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Finding.good("versions", f"commission-mcp {__version__}, Python {platform.python_version()}, {packages}")
    loaded = load()
    yield _settings(loaded)
    async for finding in _refusals_as_findings("servers", _servers(loaded)):
        yield finding


async def _servers(loaded: Loaded) -> Findings:
    async with reach(loaded.settings) as reached:
        checks = (("postgresql", _postgresql), ("client", _client), ("redis", _redis), ("stdio", _stdio))
        for name, check in checks:
            sound = True
            async for finding in _refusals_as_findings(name, check(loaded, reached)):
                sound = sound and finding.ok
                yield finding
            if not sound and name == "postgresql":
                return


async def _refusals_as_findings(check: str, findings: Findings) -> Findings:
    try:
        async for finding in findings:
            yield finding
    except Refused as refused:
        for problem in refused.problems:
            yield Finding.bad(check, problem)


def _settings(loaded: Loaded) -> Finding:
    chosen = [row for row in describe(loaded) if row.source != "default"]
    shown = "; ".join(f"{row.name}={row.value} (from {row.source})" for row in chosen) or "all defaults"
    return Finding.good("settings", shown, " ".join(str(warning) for warning in loaded.warnings))


async def _postgresql(loaded: Loaded, reached: Reached) -> Findings:
    await prepare_embedded(loaded.settings, reached)
    async with gate_connection(reached.address, reached.credentials) as connection:
        number = connection.info.server_version
        kind = "external" if loaded.settings.postgres_url else "embedded"
        yield Finding.good("postgresql", f"{kind}, version {number // 10000}.{number % 10000}")
        breaches = await find_breaches(connection)
        beside = await databases_beside(connection)
    for breach in breaches:
        yield Finding.bad(f"isolation: {breach.check.name}", as_problem(breach))
    if not breaches:
        yield Finding.good("isolation", "roles, rights, policies, views and functions are as installed")
    if beside:
        note = "; ".join(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in beside)
        yield Finding.good("other databases", f"every login of the cluster may connect to {', '.join(beside)}", note)


async def _client(loaded: Loaded, reached: Reached) -> Findings:
    if loaded.settings.client_id is None:
        note = "A stdio server needs one: set COMMISSION_CLIENT_ID; `commission-mcp client list` shows the clients."
        yield Finding.good("client", "none chosen", note)
        return
    async with open_database(reached.address, reached.credentials, DatabaseLimits(), ReplicaAddresses()) as database:
        admission = await database.admit(operator(loaded.settings))
    roles = ", ".join(sorted(admission.caller.roles)) or "none"
    yield Finding.good("client", f"{admission.caller.client_id}, roles: {roles}")
    await prove_denied_reads(reached.address, reached.credentials, admission)
    yield Finding.good("isolation: proof", "its login reads its own rows only; the tables themselves are denied")


async def _redis(_loaded: Loaded, reached: Reached) -> Findings:
    for name, url in (("history", reached.history_url), ("cache", reached.cache_url)):
        state = await redis_state(url)
        yield Finding.good(f"redis: {name}", f"version {state.version}, {state.memory} used, {state.policy}")


async def _stdio(loaded: Loaded, _reached: Reached) -> Findings:
    """Start a server as a host would, over stdin and stdout."""
    arguments = ["-m", "commission_mcp", "serve", "--data-directory", str(loaded.settings.data_directory)]
    server = StdioServerParameters(command=sys.executable, args=arguments)
    started_s = perf_counter()
    with TemporaryFile("w+", encoding="utf-8") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            tools = await client.list_tools()
    elapsed_ms = (perf_counter() - started_s) * 1000
    yield Finding.good("stdio", f"a server started and listed {len(tools.tools)} tools in {elapsed_ms:.0f} ms")
