"""The one place that every call passes, whatever is called: who calls, may they, how long, with which outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from commission_mcp.app import App, request_caller
from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Problem, Refused

T = TypeVar("T")

_NAME_CHARS_MAX = 200

_log = logging.getLogger("commission_mcp.calls")


@dataclass(frozen=True, slots=True)
class Demand:
    """What somebody asks for.

    Attributes:
        action: The protocol's method, such as ``tools/call``.
        name: The tool, prompt, or URI.
        roles: The roles that may ask for it; one of them is enough.
        writes: Whether it may change anything.
        arguments: The arguments of the call.
        faults: What is wrong with it whoever asks.
        always: Whether it is answered even when the database cannot say what the caller may do.
    """

    action: str
    name: str
    roles: frozenset[Role]
    writes: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    faults: tuple[Problem, ...] = ()
    always: bool = False


async def perform(app: App, demand: Demand, work: Callable[[], Awaitable[T]]) -> T:
    """Do what is asked for, if the caller may.

    Args:
        app: The running application.
        demand: What is asked for.
        work: Does it.

    Raises:
        Refused: why not: `E_ROLE_REQUIRED`, `E_TIMEOUT`, what admission refuses, or what the work itself does.
    """
    started_s = time.perf_counter()
    caller: Caller | None = None
    outcome = "crash"
    try:
        caller = request_caller(app)
        result = await _within_time(app, demand, caller, work)
    except Refused as refused:
        outcome = ",".join(problem.code for problem in refused.problems)
        raise
    except anyio.get_cancelled_exc_class():
        outcome = "cancelled"
        raise
    else:
        outcome = "ok"
        return result
    finally:
        _report(demand, caller, outcome, started_s)


async def roles_to_show(app: App) -> frozenset[Role]:
    """The roles of whoever asks for a list.

    The database's word counts as soon as it is open: a host that starts the server is not kept waiting for that. Where
    it cannot be asked, the list shows what the caller claims; the call itself is another matter.
    """
    try:
        caller = request_caller(app)
    except Refused:
        return frozenset() if app.verified else app.settings.roles
    opened = app.opening.opened
    if opened is None:
        return caller.roles
    try:
        return (await opened.database.admit(caller)).caller.roles
    except Refused as refused:
        unanswered = refused.problems[0].code == Code.DATABASE_UNREACHABLE
        return caller.roles if unanswered else frozenset()


async def _within_time(app: App, demand: Demand, caller: Caller, work: Callable[[], Awaitable[T]]) -> T:
    if demand.faults:
        raise Refused(*demand.faults)
    timeout_s = app.settings.call_timeout_s
    try:
        with anyio.fail_after(timeout_s):
            if not demand.always:
                admission = await (await app.database()).admit_ahead(caller)
                _require(admission.caller, demand)
            return await work()
    except TimeoutError:
        raise Refused(
            Problem(
                Code.TIMEOUT,
                f"`{demand.name[:_NAME_CHARS_MAX]}` took longer than {timeout_s} s and was stopped.",
                "Ask for less at a time.",
            )
        ) from None


def _require(caller: Caller, demand: Demand) -> None:
    if not demand.roles:
        message = f"Nobody may use `{demand.name[:_NAME_CHARS_MAX]}`: no role is stated for it."
        fix = "The developers state its roles in domain/permissions.py."
        raise Refused(Problem(Code.ROLE_REQUIRED, message, fix))
    caller.require(*(role for role in Role if role in demand.roles))


def _report(demand: Demand, caller: Caller | None, outcome: str, started_s: float) -> None:
    of = "tool" if demand.action == "tools/call" else "object"
    _log.info(
        "call",
        extra={
            "action": demand.action,
            of: demand.name[:_NAME_CHARS_MAX],
            "outcome": outcome,
            "elapsed_ms": round((time.perf_counter() - started_s) * 1000, 1),
            "caller": "" if caller is None else f"{caller.client_id}/{caller.subject}",
        },
    )
