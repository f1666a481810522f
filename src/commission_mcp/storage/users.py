"""The users of a client: whom an issuer's subject stands for, and what that user may do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import psycopg

from commission_mcp.domain.caller import Role
from commission_mcp.errors import Code, Problem, Refused


@dataclass(frozen=True, slots=True)
class User:
    """A user of one client.

    Attributes:
        user_id: Its key within the client, which approvals and payees refer to.
        issuer: Who vouches for it: the `iss` of its tokens.
        subject: What the issuer calls it: the `sub` of its tokens.
        roles: What it may do; a token can claim less, never more.
        active: False when it may no longer act.
    """

    user_id: str
    issuer: str
    subject: str
    roles: frozenset[Role]
    active: bool = True


async def set_user(connection: psycopg.AsyncConnection, client_id: str, user: User) -> None:
    """Add a user, or change the one of this key; it counts from the next call on.

    Args:
        connection: An administration or operations connection.
        client_id: The client.
        user: The user.

    Raises:
        Refused: with `E_CLIENT_UNKNOWN` or `E_ARGUMENT`.
    """
    if not user.user_id.strip() or not user.subject.strip():
        raise Refused(Problem(Code.ARGUMENT, "A user needs a key and a subject.", "Give both.", "user_id"))
    try:
        await connection.execute(
            "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles, active) "
            "VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (client_id, user_id) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject, "
            "roles = excluded.roles, active = excluded.active",
            [client_id, user.user_id, user.issuer, user.subject, sorted(user.roles), user.active],
        )
    except psycopg.errors.ForeignKeyViolation:
        raise Refused(
            Problem(
                Code.CLIENT_UNKNOWN,
                f"There is no client {client_id!r}.",
                "`commission-mcp client list` shows the clients.",
                "client_id",
            )
        ) from None
    except psycopg.errors.UniqueViolation:
        raise Refused(
            Problem(
                Code.ARGUMENT,
                f"Another user of {client_id!r} has the subject {user.subject!r} of this issuer.",
                "Change that user; `commission-mcp user list` shows it.",
                "subject",
            )
        ) from None


async def list_users(connection: psycopg.AsyncConnection, client_ids: Collection[str] = ()) -> list[tuple[str, User]]:
    """Users with their clients, of these clients or of all, in order."""
    cursor = await connection.execute(
        "SELECT client_id, user_id, issuer, subject, roles, active FROM cm.app_user "
        "WHERE client_id = ANY (%(clients)s) OR %(clients)s = '{}' ORDER BY client_id, user_id",
        {"clients": list(client_ids)},
    )
    return [
        (str(client), User(user_id, issuer, subject, frozenset(map(Role, roles)), active))
        for client, user_id, issuer, subject, roles, active in await cursor.fetchall()
    ]
