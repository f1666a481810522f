"""The checks of PostgreSQL and Redis."""

from __future__ import annotations

from commission_mcp.app import Reached, operator, prepare_embedded
from commission_mcp.diagnosis.findings import Finding, Findings, refusals_as_findings
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import Loaded
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
from commission_mcp.verification import open_own_token


async def postgresql(loaded: Loaded, reached: Reached) -> Findings:
    """Its version, and whether roles, rights, policies, views and functions are as installed."""
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


async def client(loaded: Loaded, reached: Reached) -> Findings:
    """The client of a stdio server, and the proof that its login reads nothing else."""
    if loaded.settings.token is None and loaded.settings.client_id is None:
        note = "A stdio server needs one: set COMMISSION_CLIENT_ID; `commission-mcp client list` shows the clients."
        yield Finding.good("client", "none chosen", note)
        return
    async with open_database(reached.address, reached.credentials, DatabaseLimits(), ReplicaAddresses()) as database:
        async with open_own_token(loaded.settings) as token:
            caller = operator(loaded.settings) if token is None else await token.caller()
        admission = await database.admit(caller)
    roles = ", ".join(sorted(admission.caller.roles)) or "none"
    who = caller.client_id if token is None else f"{caller.client_id}, {caller.subject} by COMMISSION_TOKEN"
    yield Finding.good("client", f"{who}, roles: {roles}")
    await prove_denied_reads(reached.address, reached.credentials, admission)
    yield Finding.good("isolation: proof", "its login reads its own rows only; the tables themselves are denied")


async def redis(_loaded: Loaded, reached: Reached) -> Findings:
    """Both servers: that they answer, and that conversations are not evicted."""
    for name, url in (("history", reached.history_url), ("cache", reached.cache_url)):
        async for finding in refusals_as_findings(f"redis: {name}", _redis_server(name, url)):
            yield finding


async def _redis_server(name: str, url: str) -> Findings:
    state = await redis_state(url)
    if name == "history" and state.evicts:
        message = f"Conversations may be dropped before their time: its policy is {state.policy}."
        fix = "Set `maxmemory-policy noeviction`, and COMMISSION_REDIS_CACHE_URL to another server for the cache."
        raise Refused(Problem(Code.REDIS_FULL, message, fix, "COMMISSION_REDIS_URL"))
    if state.refuses_writes is not None:
        raise Refused(state.refuses_writes)
    yield Finding.good(f"redis: {name}", f"version {state.version}, {state.memory} used, {state.policy}")
