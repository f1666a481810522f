"""What an operator does at the command line, on the trail of the client whose data it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import orjson
import psycopg

from commission_mcp.errors import Refused
from commission_mcp.storage.audit.chain import COMMAND
from commission_mcp.storage.audit.entry import Entry, Phase
from commission_mcp.storage.audit.log import AuditLog
from commission_mcp.storage.identifiers import mint

_ISSUER = "local"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an operator does.

    Attributes:
        operator: Who the operating system says that it is.
        command: The command, such as ``client set``.
        client_ids: Whose data it is about.
        facts: What the record says about it; a command may add to it while it works.
    """

    operator: str
    command: str
    client_ids: Sequence[str]
    facts: dict[str, object] = field(default_factory=dict[str, object])

    def entries(self, outcome: str, phase: Phase = Phase.OUTCOME, call_id: str | None = None) -> list[Entry]:
        """The entries about it, one for each client."""
        shared = call_id or mint()
        return [
            Entry(
                entry_id=mint(),
                call_id=shared,
                client_id=client_id,
                issuer=_ISSUER,
                subject=f"operator:{self.operator}",
                assurance="asserted",
                action=COMMAND,
                object=self.command,
                phase=phase,
                outcome=outcome,
                facts=orjson.dumps(self.facts, default=str).decode(),
            )
            for client_id in self.client_ids
        ]


async def append(connection: psycopg.AsyncConnection, entries: Sequence[Entry]) -> None:
    """Add entries in the transaction of the connection.

    Args:
        connection: An operations or administration connection.
        entries: The entries.
    """
    text = orjson.dumps([entry.as_stored() for entry in entries]).decode()
    await connection.execute("SELECT cm_priv.audit_append(%s::jsonb)", [text])


@asynccontextmanager
async def on_record(connection: psycopg.AsyncConnection, act: Act) -> AsyncGenerator[dict[str, object]]:
    """Do something in one transaction with its entry: either both are there or neither. A refusal has an entry too.

    Args:
        connection: An operations or administration connection.
        act: What is done; the facts that the block adds are recorded.
    """
    try:
        async with connection.transaction():
            yield act.facts
            await append(connection, act.entries("ok"))
    except Refused as refused:
        await record_refusal(connection, act, refused)
        raise


@asynccontextmanager
async def acting(audit: AuditLog, act: Act) -> AsyncGenerator[dict[str, object]]:
    """Do something that has transactions of its own: an entry before it, and one after it that says how it ended.

    Args:
        audit: The open trail.
        act: What is done; the facts that the block adds are in the second entry.

    Raises:
        Refused: with `E_AUDIT` when it cannot be put on record; before, nothing is done then.
    """
    call_id, outcome = mint(), "crash"
    for entry in act.entries("pending", Phase.INTENT, call_id):
        await audit.record(entry)
    try:
        yield act.facts
        outcome = "ok"
    except Refused as refused:
        outcome = _codes(refused)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            for entry in act.entries(outcome, call_id=call_id):
                await audit.record(entry)


async def record_refusal(connection: psycopg.AsyncConnection, act: Act, refused: Refused) -> None:
    """Put on record that something was refused, on the trails of the clients that there are."""
    known = await _known(connection, act.client_ids)
    await append(connection, Act(act.operator, act.command, known, act.facts).entries(_codes(refused)))


async def record_of_all(connection: psycopg.AsyncConnection, act: Act) -> None:
    """Put something on record that is about the data of every client.

    Args:
        connection: An operations connection, also of a database that an older program prepared.
        act: What is done, of no client in particular.
    """
    cursor = await connection.execute("SELECT client_id FROM cm.client ORDER BY 1")
    clients = [str(row[0]) for row in await cursor.fetchall()]
    await append(connection, Act(act.operator, act.command, clients, act.facts).entries("ok"))


def _codes(refused: Refused) -> str:
    return ",".join(dict.fromkeys(str(problem.code) for problem in refused.problems))


async def _known(connection: psycopg.AsyncConnection, client_ids: Sequence[str]) -> list[str]:
    """Those that are clients: nobody else has a trail."""
    cursor = await connection.execute(
        "SELECT client_id FROM cm.client WHERE client_id = ANY (%s) ORDER BY 1", [list(client_ids)]
    )
    return [str(row[0]) for row in await cursor.fetchall()]
