"""What a caller may do, asked of the database before every call, so that a change takes effect at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import orjson
import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.wire import Statement, ask
from commission_mcp.tracing import traced

# Prepared once on each connection; the names that its answer has are those of the function's columns.
PREPARE_ADMIT = "PREPARE admit (text, text, text) AS SELECT row_to_json(a)::text FROM cm_priv.admit($1, $2, $3) a"

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
        mask_rules: The client's own rules for each masking class, as in `visible`.
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
    mask_rules: Mapping[str, Mapping[str, bool]] = field(default_factory=dict[str, Mapping[str, bool]])

    def why_masked(self, column: str) -> str | None:
        """By what rule the caller does not see a column, and who does; None where it sees the values.

        Args:
            column: A column that can be masked, as ``view.column``.
        """
        shown = {masking: self._rule(masking, column) for masking in MaskingClass}
        own = shown[self.caller.masking]
        if own if own is not None else self.caller.masking is MaskingClass.CLEAR:
            return None
        sees = [masking for masking, rule in shown.items() if (masking is MaskingClass.CLEAR if rule is None else rule)]
        who = " and ".join(_READERS[masking] for masking in sees) or "no role sees it"
        return f"masked for you {'by default' if own is None else 'by a rule of your client'}; {who}"

    def _rule(self, masking: MaskingClass, column: str) -> bool | None:
        return self.mask_rules.get(masking, {}).get(column)


_READERS = {MaskingClass.MASKED: "roles without `finance` see it", MaskingClass.CLEAR: "the role `finance` sees it"}

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
        known = await self._ask(caller)
        if known["client_active"] is None:
            raise _unknown_client(caller)
        if not known["client_active"]:
            raise Refused(
                Problem(
                    Code.CLIENT_DISABLED,
                    f"The client {caller.client_id!r} is disabled.",
                    "Ask the operator of this server; `commission-mcp client set --enable` undoes it.",
                )
            )
        if not known["user_active"]:
            raise _unknown_user(caller)
        granted = replace(caller, roles=caller.roles & {Role(role) for role in known["roles"]})
        return Admission(
            caller=granted,
            user_id=known["user_id"],
            login=known["login_masked" if granted.masking is MaskingClass.MASKED else "login_clear"],
            epoch=known["epoch"],
            visible=known["visible"].get(granted.masking, {}),
            time_zone=known["time_zone"],
            versions=known["versions"],
            today=known["today"],
            history_ttl_s=known["history_ttl_s"],
            mask_rules=known["visible"],
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

    @traced("admission")
    async def _ask(self, caller: Caller) -> Mapping[str, Any]:
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

    async def _ask_once(self, caller: Caller) -> Mapping[str, Any]:
        asked = Statement(b"admit", _sendable(caller), prepared=True)
        async with self._pool.connection() as connection:
            result = await ask(connection, asked)
        if result.ntuples == 0:
            raise _unknown_client(caller)
        return orjson.loads(result.get_value(0, 0) or b"{}")


def _sendable(caller: Caller) -> list[bytes]:
    """The caller's names as they go out.

    Raises:
        Refused: when the database could not hold such a name, so that nobody has it.
    """
    names = (caller.client_id, caller.issuer, caller.subject)
    # On the wire U+0000 ends a text, which would make of it somebody else's name.
    if any("\0" in name for name in names):
        raise _unknown_user(caller)
    try:
        return [name.encode() for name in names]
    except UnicodeEncodeError:  # half of a surrogate pair
        raise _unknown_user(caller) from None


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
