"""The rules by which a client's personal columns are masked or shown, and what every column has without one."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.catalog import read_catalog


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A client's own rule: whether readers of a class see a column, such as ``payees.email``, as it is."""

    client_id: str
    column: str
    masking: MaskingClass
    visible: bool


async def set_mask_rule(connection: psycopg.AsyncConnection, rule: MaskRule) -> None:
    """Set a rule in place of the one of its column and class; it counts from the next call on.

    Args:
        connection: An operations connection.
        rule: The rule.

    Raises:
        Refused: with `E_UNKNOWN` when nothing of this name is ever masked, or `E_CLIENT_UNKNOWN`.
    """
    await _require_maskable(connection, rule.column)
    try:
        await connection.execute(
            "INSERT INTO cm.mask_rule (client_id, column_name, masking_class, visible) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (client_id, column_name, masking_class) DO UPDATE SET visible = excluded.visible",
            [rule.client_id, rule.column, str(rule.masking), rule.visible],
        )
    except psycopg.errors.ForeignKeyViolation:
        fix = "`commission-mcp client list` shows the clients."
        raise Refused(
            Problem(Code.CLIENT_UNKNOWN, f"There is no client {rule.client_id!r}.", fix, "client_id")
        ) from None


async def clear_mask_rule(
    connection: psycopg.AsyncConnection, client_id: str, column: str, masking: MaskingClass
) -> bool:
    """Drop a rule, so that the default counts from the next call on; whether there was one.

    Args:
        connection: An operations connection.
        client_id: The client.
        column: The column, as ``view.column``.
        masking: Whose rule.
    """
    cursor = await connection.execute(
        "DELETE FROM cm.mask_rule WHERE (client_id, column_name, masking_class) = (%s, %s, %s)",
        [client_id, column, str(masking)],
    )
    return cursor.rowcount > 0


async def mask_rules(connection: psycopg.AsyncConnection, client_id: str) -> list[MaskRule]:
    """The rules of a client, in order.

    Args:
        connection: An operations connection.
        client_id: The client.
    """
    cursor = await connection.execute(
        "SELECT client_id, column_name, masking_class, visible FROM cm.mask_rule WHERE client_id = %s ORDER BY 2, 3",
        [client_id],
    )
    return [
        MaskRule(client, column, MaskingClass(masking), visible)
        for client, column, masking, visible in await cursor.fetchall()
    ]


async def maskable_columns(connection: psycopg.AsyncConnection) -> list[str]:
    """Everything that can be masked, as ``view.column``."""
    catalog = await read_catalog(connection)
    return sorted(
        f"{view.name}.{column.name}" for view in catalog.views.values() for column in view.columns if column.maskable
    )


async def _require_maskable(connection: psycopg.AsyncConnection, column: str) -> None:
    known = await maskable_columns(connection)
    if column not in known:
        fix = f"The columns that can be: {', '.join(known)}."
        raise Refused(Problem(Code.UNKNOWN, f"{column[:80]!r} is never masked.", fix, "COLUMN"))
