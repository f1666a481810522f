"""What a verified token grants: a subject, the clients it may act for, and its roles with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Problem, Refused


@dataclass(frozen=True, slots=True)
class Grant:
    """What one token says, after its signature and times were checked.

    Attributes:
        issuer: Who signed it.
        subject: The user, as the issuer names it.
        roles: The roles that it claims, for each client that it grants; the database narrows them on every call.
        expires_at: When it ends, in seconds since 1970.
    """

    issuer: str
    subject: str
    roles: Mapping[str, frozenset[Role]]
    expires_at: int

    def caller(self, client_asked: str | None) -> Caller:
        """The caller for one connection.

        Args:
            client_asked: The client that the connection's URL names, if it names one.

        Raises:
            Refused: with `E_CLIENT_NOT_GRANTED` or, when the token grants several and none is named,
                `E_CLIENT_AMBIGUOUS`.
        """
        if client_asked is None and len(self.roles) == 1:
            (client_asked,) = self.roles
        if client_asked is None and self.roles:
            raise Refused(
                Problem(
                    Code.CLIENT_AMBIGUOUS,
                    f"The token grants several clients: {', '.join(sorted(self.roles))}.",
                    "Name the one to work with in the connection's URL: /mcp?client_id=...",
                    "client_id",
                )
            )
        if client_asked is None or client_asked not in self.roles:
            granted = ", ".join(sorted(self.roles)) or "no client"
            raise Refused(
                Problem(
                    Code.CLIENT_NOT_GRANTED,
                    "The token does not grant this client." if client_asked else "The token grants no client.",
                    f"It grants {granted}. Connect to one of these, or get a token for the client that you need.",
                    "client_id",
                )
            )
        return Caller(client_asked, self.issuer, self.subject, self.roles[client_asked])
