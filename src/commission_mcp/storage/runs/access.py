"""Whose figures a caller may see: everybody's, the own team's, or only the own."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from commission_mcp.domain.caller import Role
from commission_mcp.domain.periods import Period
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.writing import Writing

SEE_ALL = frozenset({Role.ANALYST, Role.FINANCE, Role.ADMIN})
_TEAM = """WITH RECURSIVE team AS (
  SELECT p.payee_id FROM cm.payee p WHERE p.client_id = %(client)s AND p.user_id = %(user)s
  UNION
  SELECT r.payee_id FROM cm.reports_to r JOIN team t ON t.payee_id = r.manager_id
  WHERE r.client_id = %(client)s AND r.valid && daterange(%(first)s, %(after)s))
SELECT payee_id FROM team"""
_OWN = "SELECT payee_id FROM cm.payee WHERE client_id = %s AND user_id = %s"


async def visible_payees(writing: Writing, span: Period, see_all: Collection[Role] = SEE_ALL) -> frozenset[str] | None:
    """The payees whose figures of a period the caller may see; None for all of them.

    A manager sees all who report to him on a day of the period, at any distance, and himself.

    Args:
        writing: The caller's transaction.
        span: The days of the period.
        see_all: The roles that see everybody.

    Raises:
        Refused: with `E_ROLE_REQUIRED`.
    """
    caller = writing.admission.caller
    caller.require(*see_all, Role.MANAGER, Role.PAYEE)
    if not caller.roles.isdisjoint(see_all):
        return None
    if Role.MANAGER in caller.roles:
        params = {
            "client": writing.client_id,
            "user": writing.admission.user_id,
            "first": span.start,
            "after": span.end + timedelta(days=1),
        }
        rows = await (await writing.connection.execute(_TEAM, params)).fetchall()
    else:
        rows = await writing.rows(_OWN, [writing.client_id, writing.admission.user_id])
    return frozenset(str(row[0]) for row in rows)


def chosen(visible: frozenset[str] | None, payee: str | None) -> frozenset[str] | None:
    """The payees to show: the one who is asked for, else all that may be seen.

    Raises:
        Refused: with `E_NOT_FOUND` for a payee whom the caller may not see, as for one who does not exist.
    """
    if payee is None:
        return visible
    if visible is not None and payee not in visible:
        raise unknown_payee(payee)
    return frozenset({payee})


def unknown_payee(payee: str) -> Refused:
    """Nobody of this name, as far as the caller may know."""
    return Refused(
        Problem(
            Code.NOT_FOUND,
            f"You see no payee {payee[:60]!r}.",
            "A payee sees the own figures, a manager those of the own team; name one of these by `payee_id`.",
            "payee",
        )
    )
