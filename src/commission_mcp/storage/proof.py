"""A proof of the isolation by trying: a client's own login is denied what it must not read."""

from __future__ import annotations

import psycopg

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.address import Address
from commission_mcp.storage.credentials import Credentials
from commission_mcp.storage.gate import Admission

_DENIED = (
    "SELECT 1 FROM cm.sale LIMIT 1",
    "SELECT 1 FROM cm_priv.login LIMIT 1",
    "SELECT rolname FROM pg_catalog.pg_roles LIMIT 1",
    "SELECT pg_catalog.set_config('search_path', 'cm', false)",
    "SET ROLE cm_ops",
    "CREATE TEMP TABLE proof (one int)",
)
_FOREIGN = "SELECT count(*) FROM commission.clients WHERE client_id <> %s"


async def prove_denied_reads(address: Address, credentials: Credentials, admission: Admission) -> None:
    """Try, as the client's own login, what it must not do.

    Raises:
        Refused: with `E_ISOLATION`, naming what went through.
    """
    login = admission.login
    conninfo = address.conninfo_as(login, credentials.password(login), "commission-mcp doctor")
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        passed = [statement for statement in _DENIED if not await _is_denied(connection, statement)]
        row = await (await connection.execute(_FOREIGN, [admission.caller.client_id])).fetchone()
    if row is None or row[0] != 0:
        passed.append("rows of another client")
    if passed:
        raise Refused(
            Problem(
                Code.ISOLATION,
                f"A client's login may do what it must not: {'; '.join(passed)}.",
                "Stop serving; undo the change that allowed it, then run `commission-mcp setup`.",
            )
        )


async def _is_denied(connection: psycopg.AsyncConnection, statement: str) -> bool:
    try:
        await connection.execute(statement.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return True
    return False
