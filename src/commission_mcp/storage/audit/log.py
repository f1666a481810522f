"""Writing the audit trail: entries of concurrent calls are committed together, and each waits until it is on disk."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import anyio
import orjson
import psycopg
from psycopg.rows import TupleRow

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.address import Address
from commission_mcp.storage.audit.entry import Entry, Filters, Phase, Recorded
from commission_mcp.storage.credentials import AUDIT, Credentials
from commission_mcp.storage.wire import Statement, ask
from commission_mcp.tracing import traced

COLUMNS = (
    "seq, at, entry_id::text, call_id::text, client_id, issuer, subject, assurance, action, object, phase, outcome, "
    "facts, sha256"
)
_BATCH_MAX = 200
_WAITING_MAX = 20_000
_WAIT_S = 5.0
_TRY_FOR_S = 30.0
_PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0)
_STATEMENT_MS = 4_000

_log = logging.getLogger("commission_mcp.audit")


@dataclass(eq=False, slots=True)
class _Waiting:
    """An entry and who waits for it."""

    entry: Entry
    written: anyio.Event = field(default_factory=anyio.Event)
    lost: bool = False


class AuditLog:
    """The trail of all clients; see `open_audit`."""

    def __init__(self, conninfo: str, key: bytes) -> None:
        self._conninfo = conninfo
        self._key = key
        self._waiting: list[_Waiting] = []
        self._in_hand: list[_Waiting] = []
        self._wanted = anyio.Event()
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._closed = False

    @traced("audit")
    async def record(self, entry: Entry) -> None:
        """Write an entry; it is on disk when this returns.

        Raises:
            Refused: with `E_AUDIT` when that cannot be said; the entry may be there or not.
        """
        waiting = self._enqueue(entry)
        with anyio.move_on_after(_WAIT_S):
            await waiting.written.wait()
        if waiting.lost or not waiting.written.is_set():
            raise unrecorded()

    def record_later(self, entry: Entry) -> None:
        """Write an entry as soon as that is possible, for a call that is refused because the database is away.

        Raises:
            Refused: with `E_AUDIT` when too many are waiting.
        """
        self._enqueue(entry)

    def _enqueue(self, entry: Entry) -> _Waiting:
        if self._closed or len(self._waiting) >= _WAITING_MAX:
            raise unrecorded()
        waiting = _Waiting(entry)
        self._waiting.append(waiting)
        self._wanted.set()
        return waiting

    def digest(self, arguments: Mapping[str, Any]) -> str:
        """A mark of a call's arguments: the same for the same ones, not to be guessed without the server's secret."""
        text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]

    async def read(self, client_id: str, filters: Filters, before_seq: int | None, entries_max: int) -> list[Recorded]:
        """The newest entries of a client that fit, before a number.

        Raises:
            Refused: with `E_DATABASE_UNREACHABLE`.
        """
        asked = [
            client_id,
            before_seq,
            filters.since,
            filters.until,
            filters.subject,
            filters.object,
            filters.outcome,
            entries_max,
        ]
        statement = f"SELECT {COLUMNS} FROM cm_priv.audit_read(%s, %s::int8, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - a constant
        try:
            async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                rows = await (await connection.execute(statement.encode(), asked)).fetchall()
        except psycopg.OperationalError:
            problem = Problem(Code.DATABASE_UNREACHABLE, "The database does not answer.", "Try again in a moment.")
            raise Refused(problem) from None
        return [recorded(row) for row in rows]

    async def run(self) -> None:
        """Write what is waiting, until cancelled."""
        try:
            while True:
                if not self._waiting:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                self._in_hand, self._waiting = self._waiting[:_BATCH_MAX], self._waiting[_BATCH_MAX:]
                written = await self._write([waiting.entry for waiting in self._in_hand])
                self._settle(self._in_hand, lost=not written)
        finally:
            self._closed = True
            self._settle([*self._in_hand, *self._waiting], lost=True)
            await self._disconnect()

    def _settle(self, settled: list[_Waiting], *, lost: bool) -> None:
        for waiting in settled:
            waiting.lost = waiting.lost or lost
            waiting.written.set()
        self._in_hand = []

    async def _write(self, entries: list[Entry]) -> bool:
        text = orjson.dumps([entry.as_stored() for entry in entries])
        pauses_s = chain(_PAUSES_S, repeat(_PAUSES_S[-1]))
        give_up_s = anyio.current_time() + _TRY_FOR_S
        while anyio.current_time() < give_up_s:
            if pause_s := next(pauses_s):
                await anyio.sleep(pause_s)
            try:
                await ask(await self._connected(), Statement(b"append", [text], prepared=True))
            except psycopg.Error as error:
                # Whether it was committed is unknown; entries have ids, so that a second attempt does no harm.
                _log.warning("entries are not written yet", extra={"sqlstate": error.sqlstate, "entries": len(entries)})
                await self._disconnect()
            else:
                return True
        _log.error("entries of the audit trail are lost", extra={"entries": len(entries)})
        return False

    async def _connected(self) -> psycopg.AsyncConnection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
            await self._connection.execute("PREPARE append (jsonb) AS SELECT cm_priv.audit_append($1)")
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with anyio.CancelScope(shield=True), suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None


@asynccontextmanager
async def open_audit(address: Address, credentials: Credentials) -> AsyncGenerator[AuditLog]:
    """The audit trail of a prepared database; it connects when the first entry comes."""
    # Whatever the server's default is, an entry counts when it is on disk.
    options = f"-c synchronous_commit=on -c statement_timeout={_STATEMENT_MS}"
    conninfo = address.conninfo_as(AUDIT, credentials.password(AUDIT), "commission-mcp audit", options=options)
    audit = AuditLog(conninfo, credentials.sealing_key("audit arguments"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(audit.run)
        try:
            yield audit
        finally:
            tasks.cancel_scope.cancel()


def unrecorded() -> Refused:
    """The refusal of what could not be put on record."""
    return Refused(
        Problem(
            Code.AUDIT,
            "The call could not be put on record, so it is not answered.",
            "Try again in a moment. The operator checks the database with `commission-mcp doctor`.",
        )
    )


def recorded(row: TupleRow) -> Recorded:
    """An entry from a row of the columns above."""
    (
        seq,
        at,
        entry_id,
        call_id,
        client_id,
        issuer,
        subject,
        assurance,
        action,
        object_,
        phase,
        outcome,
        facts,
        sha256,
    ) = row
    entry = Entry(
        entry_id, call_id, client_id, issuer, subject, assurance, action, object_, Phase(phase), outcome, facts
    )
    return Recorded(seq, at, entry, bytes(sha256))
