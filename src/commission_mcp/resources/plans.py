"""`plan://{plan_id}`, its versions, `plan://wizard/choices` and `client://context`, as JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from commission_mcp.app import App, current_app, current_caller, request_caller
from commission_mcp.domain.caller import Caller
from commission_mcp.domain.permissions import resource_roles
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage import Writing
from commission_mcp.storage.plans import PlanVersion, list_plans, load_steps, load_version, load_versions
from commission_mcp.storage.plans.context import client_context, wizard_choices
from commission_mcp.storage.plans.telling import version_rows

PLAN_TEMPLATE = "plan://{plan_id}"
VERSION_TEMPLATE = "plan://{plan_id}/versions/{version}"
CHOICES_URI = "plan://wizard/choices"
CONTEXT_URI = "client://context"

_COMPLETIONS_MAX = 100
_VERSION_DIGITS_MAX = 9
_PLAN_ARGUMENTS = ("plan_id", "other_plan_id")


def add_to(server: MCPServer[Any], running: Callable[[], App]) -> None:
    """Register the resources.

    Args:
        server: The server.
        running: The running application, for what the SDK calls without a context.
    """

    @server.resource(
        CONTEXT_URI,
        name="client_context",
        title="Client",
        description="The client: region, currency, compliance, override keys, approval policy, templates.",
        mime_type="application/json",
    )
    async def context() -> str:
        app = running()
        async with _reading(app, request_caller(app), CONTEXT_URI) as reading:
            return _json(await client_context(reading))

    @server.resource(
        CHOICES_URI,
        name="wizard_choices",
        title="Choices of the plan wizard",
        description="What each field of `plan_wizard` may be given, with the client's own names.",
        mime_type="application/json",
    )
    async def choices() -> str:
        app = running()
        caller = request_caller(app)
        backend = await app.backend_lists.of(await app.database(), caller)
        async with _reading(app, caller, CHOICES_URI) as reading:
            return _json(await wizard_choices(reading, backend))

    @server.resource(
        PLAN_TEMPLATE,
        name="plan",
        title="Plan",
        description="A plan: the version that counts now with its rules, and all versions with their status.",
        mime_type="application/json",
    )
    async def plan(plan_id: str, ctx: Context[App]) -> str:
        async with _reading(await current_app(ctx), await current_caller(ctx), PLAN_TEMPLATE) as reading:
            versions = await load_versions(reading, plan_id)
            newest = await load_version(reading, plan_id, _first(versions))
            listed = [version_rows(version, await load_steps(reading, version)) for version in versions]
            return _json({**await _told(reading, newest), "versions": listed})

    @server.resource(
        VERSION_TEMPLATE,
        name="plan_version",
        title="Plan version",
        description="One version of a plan: its definition, hash and approvals.",
        mime_type="application/json",
    )
    async def version(plan_id: str, version: str, ctx: Context[App]) -> str:
        async with _reading(await current_app(ctx), await current_caller(ctx), PLAN_TEMPLATE) as reading:
            return _json(await _told(reading, await load_version(reading, plan_id, _number(version))))


async def complete(
    app: App,
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    """Complete keys of plans and numbers of versions, in URIs and in the arguments of prompts."""
    templates = (PLAN_TEMPLATE, VERSION_TEMPLATE)
    if isinstance(ref, ResourceTemplateReference) and ref.uri not in templates:
        return None
    if argument.name in _PLAN_ARGUMENTS:
        async with _reading(app, request_caller(app), PLAN_TEMPLATE) as reading:
            plans = await list_plans(reading)
        wanted = argument.value.lower()
        return _completion([key for key, name in plans.items() if key.startswith(wanted) or wanted in name.lower()])
    if argument.name == "version":
        plan_id = ((context.arguments if context else None) or {}).get("plan_id", "")
        async with _reading(app, request_caller(app), PLAN_TEMPLATE) as reading:
            versions = await load_versions(reading, plan_id)
        numbers = [str(version.version) for version in versions]
        return _completion([number for number in numbers if number.startswith(argument.value)])
    return None


@asynccontextmanager
async def _reading(app: App, caller: Caller, uri: str) -> AsyncGenerator[Writing]:
    """A reading transaction of a caller who may read what the URI stands for."""
    async with (await app.database()).writing(caller, read_only=True) as reading:
        reading.admission.caller.require(*resource_roles(uri))
        yield reading


async def _told(reading: Writing, version: PlanVersion) -> dict[str, Any]:
    steps = await load_steps(reading, version)
    return {**version_rows(version, steps), "description": version.description, "definition": version.definition}


def _first(versions: list[PlanVersion]) -> int | None:
    """The version that counts: the active one, else the newest."""
    active = next((version.version for version in versions if version.status == "active"), None)
    return active if active is not None or not versions else versions[0].version


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _VERSION_DIGITS_MAX:
        raise Refused(Problem(Code.ARGUMENT, "This is not the number of a version.", "Use 1, 2, ...", "version"))
    return int(text)


def _completion(values: list[str]) -> Completion:
    return Completion(values=values[:_COMPLETIONS_MAX], total=len(values), has_more=len(values) > _COMPLETIONS_MAX)


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
