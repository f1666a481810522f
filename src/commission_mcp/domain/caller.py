"""Who is asking: a client (tenant), a subject of it, and what that subject may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from commission_mcp.errors import Code, Problem, Refused

_CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Role(StrEnum):
    """What a user may do; a user has several."""

    PAYEE = "payee"  # own figures only
    ANALYST = "analyst"  # reads, masked
    MANAGER = "manager"  # the own team
    PLAN_AUTHOR = "plan_author"
    APPROVER = "approver"
    FINANCE = "finance"  # reads unmasked, runs calculations
    COMPLIANCE = "compliance"
    AUDITOR = "auditor"  # the audit trail
    ADMIN = "admin"


class MaskingClass(StrEnum):
    """How much of the personal columns a reader sees; each has a database login of its own."""

    MASKED = "masked"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated caller. Everything read or written is read or written as one of these.

    Attributes:
        client_id: The client (tenant) whose data the caller works with; a caller has exactly one.
        issuer: Who vouches for the subject; ``local`` where the operator of a stdio server does.
        subject: The user, as the issuer names it.
        roles: What the caller claims to be allowed; the database's own list of roles narrows it on every call.
        session: The conversation, where there is one.
    """

    client_id: str
    issuer: str
    subject: str
    roles: frozenset[Role]
    session: str | None = None

    def require(self, *any_of: Role) -> None:
        """Let the caller pass if it has one of the roles.

        Raises:
            Refused: with `E_ROLE_REQUIRED`, naming the roles that would do.
        """
        if self.roles.isdisjoint(any_of):
            needed = " or ".join(f"`{role}`" for role in any_of)
            have = ", ".join(sorted(self.roles)) or "none"
            raise Refused(
                Problem(
                    Code.ROLE_REQUIRED,
                    f"This needs the role {needed}; {self.subject!r} has: {have}.",
                    "Ask an administrator of your client to grant the role.",
                )
            )

    def require_client(self, asserted: str | None) -> None:
        """Let the caller pass unless it asserts to be of another client.

        Raises:
            Refused: with `E_CLIENT_MISMATCH`.
        """
        if asserted not in (None, self.client_id):
            raise Refused(
                Problem(
                    Code.CLIENT_MISMATCH,
                    f"This connection serves {self.client_id!r} and no other client.",
                    "Leave `client_id` out; the operator connects other clients.",
                    "client_id",
                )
            )

    @property
    def masking(self) -> MaskingClass:
        """The masking class that this caller reads under."""
        return MaskingClass.CLEAR if Role.FINANCE in self.roles else MaskingClass.MASKED


def client_id(text: str) -> str:
    """Check a client id: lower-case letters, digits and hyphens, 1 to 63, not beginning with a hyphen.

    Raises:
        Refused: with `E_CLIENT_ID`.
    """
    if not _CLIENT_ID.fullmatch(text):
        raise Refused(
            Problem(
                Code.CLIENT_ID,
                f"{text[:80]!r} is not a client id.",
                "Use 1 to 63 lower-case letters, digits and hyphens, with no hyphen first, such as `client-abc`.",
                "client_id",
            )
        )
    return text
