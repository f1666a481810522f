"""What a caller may do, asked of the database before every call, so that a change takes effect at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.errors import Code, Problem, Refused

Pool: TypeAlias = AsyncConnectionPool[psycopg.AsyncConnection[TupleRow]]


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller as the database knows it now.

    Attributes:
        caller: The caller, with the roles that it claims and the database grants.
        user_id: The caller's key in `cm.app_user`, which whatever it writes is signed with.
        login: The database login that its reads go through.
        epoch: Counts the changes of permissions; part of every key of a cached answer.
        visible: Columns, such as ``payees.email``, for which the client has a rule for this masking class.
        time_zone: The client's time zone, for business dates.
        versions: For each kind of the client's data a mark that is another one after every change.
        today: The date, in UTC, as the database has it.
        history_ttl_s: How long the client's conversations outlive their last message; None: as the settings say.
    """

    caller: Caller
    user_id: str
    login: str
    epoch: int
    visible: Mapping[str, bool]
    time_zone: str
    versions: Mapping[str, str]
    today: str
    history_ttl_s: int | None = None


# An answer of the gate, on its way to the part of the same request that asks for it again.
_ahead: ContextVar[tuple[Caller, Admission] | None] = ContextVar("admitted_ahead", default=None)


class Gate:
    """Asks the database about callers, over a small pool of its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def admit_ahead(self, caller: Caller) -> Admission:
        """As `admit`; the next `admit` of this caller in this request gets the same answer without asking again.

        Raises:
            Refused: as `admit`.
        """
        _ahead.set(None)
        admission = await self.admit(caller)
        _ahead.set((caller, admission))
        return admission

    async def admit(self, caller: Caller) -> Admission:
        """Check that client and user are active, and narrow the caller's roles to those the database grants.

        Raises:
            Refused: with `E_CLIENT_UNKNOWN`, `E_CLIENT_DISABLED`, `E_USER_UNKNOWN` or `E_DATABASE_UNREACHABLE`.
        """
        ahead = _ahead.get()
        if ahead is not None and ahead[0] == caller:
            _ahead.set(None)
            return ahead[1]
        row = await self._ask(caller)
        client_active, user_active, user_id, roles, epoch, masked, clear, rules, time_zone, versions, today, ttl_s = row
        if client_active is None:
            raise _unknown_client(caller)
        if not client_active:
            raise Refused(
                Problem(
                    Code.CLIENT_DISABLED,
                    f"The client {caller.client_id!r} is disabled.",
                    "Ask the operator of this server; `commission-mcp client set --enable` undoes it.",
                )
            )
        if not user_active:
            raise _unknown_user(caller)
        granted = replace(caller, roles=caller.roles & {Role(role) for role in roles})
        logins = {MaskingClass.MASKED: masked, MaskingClass.CLEAR: clear}
        visible = rules.get(granted.masking, {})
        return Admission(
            granted, user_id, logins[granted.masking], epoch, visible, time_zone, versions, today.isoformat(), ttl_s
        )

    async def ping(self) -> None:
        """Ask nothing of it, to see whether it answers.

        Raises:
            Refused: with `E_DATABASE_UNREACHABLE`.
        """
        try:
            async with self._pool.connection() as connection:
                await connection.execute("SELECT 1")
        except psycopg.OperationalError:  # of which the pool's time-out is one
            raise unavailable() from None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[psycopg.AsyncConnection[TupleRow]]:
        """A connection as `cm_gate`, for looking at the catalogs."""
        async with self._pool.connection() as connection:
            yield connection

    async def clients_with_messages(self) -> list[str]:
        """The active clients that have a message to be delivered now."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("SELECT * FROM cm_priv.outbox_waiting()")
            return [str(row[0]) for row in await cursor.fetchall()]

    async def _ask(self, caller: Caller) -> tuple[Any, ...]:
        try:
            return await self._ask_once(caller)
        except PoolTimeout:
            raise unavailable() from None
        except psycopg.OperationalError:
            pass
        try:
            # Connections that lay idle through a restart of the server are dead: drop them all, then ask again.
            await self._pool.check()
            return await self._ask_once(caller)
        except psycopg.OperationalError:
            raise unavailable() from None

    async def _ask_once(self, caller: Caller) -> tuple[Any, ...]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT * FROM cm_priv.admit(%s, %s, %s)", [caller.client_id, caller.issuer, caller.subject]
            )
            row = await cursor.fetchone()
        if row is None:
            raise _unknown_client(caller)
        return row


def unavailable() -> Refused:
    """The refusal of what needs a database that has stopped answering."""
    return Refused(Problem(Code.DATABASE_UNREACHABLE, "The database does not answer.", "Try again in a moment."))


def _unknown_client(caller: Caller) -> Refused:
    return Refused(
        Problem(
            Code.CLIENT_UNKNOWN,
            f"There is no client {caller.client_id!r}.",
            "The operator lists the clients with `commission-mcp client list` and adds one with `client add`.",
            "client_id",
        )
    )


def _unknown_user(caller: Caller) -> Refused:
    return Refused(
        Problem(
            Code.USER_UNKNOWN,
            f"{caller.subject!r} (issuer {caller.issuer!r}) is not an active user of {caller.client_id!r}.",
            "An administrator of the client adds the user.",
        )
    )
