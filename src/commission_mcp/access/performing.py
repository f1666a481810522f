"""The one place that every call passes, whatever is called: who calls, may they, how long, and the record of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from mcp.types import InputRequiredResult

from commission_mcp.access.facts import facts_of
from commission_mcp.app import App, CallReport, request_caller, timed_by
from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.audit import Entry, Phase
from commission_mcp.storage.call_limits import TooMany
from commission_mcp.storage.identifiers import mint
from commission_mcp.tracing import describe_call

T = TypeVar("T")

NAME_CHARS_MAX = 200

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
    """Do what is asked for, if the caller may, and put on record how it ended before anybody learns the result.

    Args:
        app: The running application.
        demand: What is asked for.
        work: Does it.

    Raises:
        Refused: why not: `E_ROLE_REQUIRED`, `E_TIMEOUT`, `E_AUDIT`, what admission or the work refuses.
    """
    call = _Call(app, demand)
    try:
        call.caller = request_caller(app)
        result = await call.within_time(work)
    except BaseException as error:
        await call.failed(error)
        raise
    await call.answered(result)
    return result


async def roles_to_show(app: App) -> frozenset[Role]:
    """The roles of whoever asks for a list.

    The database's word counts as soon as it is open: a host that starts the server is not kept waiting for that. Where
    it cannot be asked, the list shows what the caller claims; the call itself is another matter. So does that of a
    connection whose token is not good any more: its calls are refused in words, which nobody would read of no tools.
    """
    try:
        caller = request_caller(app)
    except Refused:
        return frozenset() if app.verified else app.settings.roles
    opened = app.opening.ready
    if opened is None:
        return caller.roles
    try:
        return (await opened.database.admit(caller)).caller.roles
    except Refused as refused:
        unanswered = refused.problems[0].code == Code.DATABASE_UNREACHABLE
        return caller.roles if unanswered else frozenset()


class _Call:
    """One call on its way through."""

    def __init__(self, app: App, demand: Demand) -> None:
        self._app = app
        self._demand = demand
        self._started_s = time.perf_counter()
        self._call_id = mint()
        self._further_facts: dict[str, int] = {}
        self.caller: Caller | None = None

    async def within_time(self, work: Callable[[], Awaitable[T]]) -> T:
        """Admit the caller, record what may change something, and do the work."""
        if self._demand.faults:
            raise Refused(*self._demand.faults)
        timeout_s = self._app.settings.call_timeout_s
        try:
            with anyio.fail_after(timeout_s) as scope, timed_by(scope):
                async with self._within_limits():
                    await self._admit()
                    if self._demand.writes:
                        await self._record(Phase.INTENT, "pending")
                    return await work()
        except TimeoutError:
            raise Refused(
                Problem(
                    Code.TIMEOUT,
                    f"`{self._demand.name[:NAME_CHARS_MAX]}` took longer than {timeout_s} s and was stopped.",
                    "Ask for less at a time.",
                )
            ) from None

    def _within_limits(self) -> AbstractAsyncContextManager[None]:
        limits = self._app.limits
        return nullcontext() if limits is None or self.caller is None else limits.within(self.caller)

    async def answered(self, result: object) -> None:
        """Record an answer; one that cannot be recorded is not given.

        Raises:
            Refused: with `E_AUDIT`.
        """
        outcome = "input_required" if isinstance(result, InputRequiredResult) else "ok"
        try:
            with anyio.CancelScope(shield=True):
                await self._record(Phase.OUTCOME, outcome, result)
        except Refused:
            if not self._demand.always:
                self._report(Code.AUDIT)
                raise
        self._report(outcome)

    async def failed(self, error: BaseException) -> None:
        """Record a refusal, a cancellation or a crash; the error itself goes on to whoever called."""
        outcome = _outcome(error)
        self._report(outcome)
        if isinstance(error, TooMany) and not self._stands_for_refusals():
            return
        try:
            with anyio.CancelScope(shield=True):
                await self._record(Phase.OUTCOME, outcome)
        except Refused:
            _log.error("a call is not on record", extra={"object": self._name, "outcome": outcome})

    def _stands_for_refusals(self) -> bool:
        limits = self._app.limits
        if limits is not None and self.caller is not None:
            self._further_facts["refusals"] = limits.refusals_to_record(self.caller)
        return self._further_facts.get("refusals", 1) > 0

    async def _admit(self) -> None:
        if self._demand.always or self.caller is None:
            return
        admission = await (await self._app.database()).admit_ahead(self.caller)
        if not self._demand.roles:
            # What domain/permissions.py states no role for is, to everybody, not there.
            message = f"There is no `{self._name}` here."
            raise Refused(
                Problem(Code.NOT_FOUND, message, "List the tools, resources or prompts to see what there is.")
            )
        admission.caller.require(*(role for role in Role if role in self._demand.roles))

    @property
    def _name(self) -> str:
        return self._demand.name[:NAME_CHARS_MAX]

    async def _record(self, phase: Phase, outcome: str, result: object = None) -> None:
        opened = self._app.opening.ready
        if self.caller is None or opened is None:
            return  # nobody whose trail it would be in, or no database that it could be in
        demand, caller = self._demand, self.caller
        entry = Entry(
            entry_id=mint(),
            call_id=self._call_id,
            client_id=caller.client_id,
            issuer=caller.issuer,
            subject=caller.subject,
            assurance=self._app.assurance,
            action=demand.action,
            object=self._name,
            phase=phase,
            outcome=outcome,
            facts=facts_of(opened, demand.arguments, result, {"elapsed_ms": self._elapsed_ms(), **self._further_facts}),
        )
        if outcome == Code.DATABASE_UNREACHABLE:
            opened.audit.record_later(entry)
        else:
            await opened.audit.record(entry)

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._started_s) * 1000, 1)

    def _report(self, outcome: str) -> None:
        of = "tool" if self._demand.action == "tools/call" else "object"
        elapsed_ms = self._elapsed_ms()
        slow = elapsed_ms >= self._app.settings.slow_call_ms
        _log.log(
            logging.WARNING if slow else logging.INFO,
            "slow call" if slow else "call",
            extra={
                "action": self._demand.action,
                of: self._name,
                "outcome": outcome,
                "elapsed_ms": elapsed_ms,
                "caller": "" if self.caller is None else f"{self.caller.client_id}/{self.caller.subject}",
            },
        )
        described = {"commission.outcome": outcome}
        if self.caller is not None:
            described["commission.client"] = self.caller.client_id
        describe_call(described)
        if self._app.observe is not None:
            client_id = "" if self.caller is None else self.caller.client_id
            self._app.observe(CallReport(self._demand.action, self._demand.name, outcome, client_id, elapsed_ms))


def _outcome(error: BaseException) -> str:
    if isinstance(error, Refused):
        return ",".join(dict.fromkeys(str(problem.code) for problem in error.problems))
    return "cancelled" if isinstance(error, anyio.get_cancelled_exc_class()) else "crash"
