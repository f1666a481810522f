"""From the claims of a token to what it grants, under the names that the issuer gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from commission_mcp.domain.caller import Role, client_id
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity.grant import Grant

_CLIENTS_MAX = 1_000
_SUBJECT_CHARS_MAX = 255


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where the claims stand and how the issuer's words become ours.

    A name may be a URI; a name with dots that is no claim itself leads into nested objects
    (``realm_access.roles``).

    Attributes:
        clients: The claim with the clients: one id, a list of ids, or an object of ids and the roles with each.
        roles: The claim with the roles, a list or one text with blanks between; for all clients that name none.
        client_ids: The issuer's names of clients, and ours.
        role_names: The issuer's names of roles, and ours.
    """

    clients: str = "commission_clients"
    roles: str = "commission_roles"
    client_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    role_names: Mapping[str, str] = field(default_factory=dict[str, str])

    def grant(self, claims: Mapping[str, object]) -> Grant:
        """What verified claims grant. Roles that are not ours are passed over; they are another program's.

        Raises:
            Refused: with `E_TOKEN` when a claim has another form than it should.
        """
        subject, issuer, expires_at = claims["sub"], claims["iss"], claims["exp"]
        if not isinstance(subject, str) or not subject.strip() or len(subject) > _SUBJECT_CHARS_MAX:
            raise _malformed("sub", f"a text of 1 to {_SUBJECT_CHARS_MAX} characters")
        everywhere = self._roles(_found(claims, self.roles), self.roles)
        clients = _found(claims, self.clients)
        if isinstance(clients, dict):
            each = cast("dict[str, object]", clients)
            roles = {self._client(name): self._roles(value, self.clients) for name, value in each.items()}
        else:
            roles = dict.fromkeys(map(self._client, _texts(clients, self.clients)), everywhere)
        if len(roles) > _CLIENTS_MAX:
            raise _malformed(self.clients, f"at most {_CLIENTS_MAX} clients")
        return Grant(str(issuer), subject, roles, int(cast("float", expires_at)))

    def _client(self, name: str) -> str:
        try:
            return client_id(self.client_ids.get(name, name))
        except Refused:
            raise _malformed(
                self.clients, "client ids; the operator maps others with COMMISSION_TOKEN_CLIENT_IDS"
            ) from None

    def _roles(self, value: object, claim: str) -> frozenset[Role]:
        named = [self.role_names.get(name, name) for name in _words(value, claim)]
        return frozenset(Role(name) for name in named if name in set(Role))


def _found(claims: Mapping[str, object], name: str) -> object:
    """The claim of this name, or what the name leads to; None where there is none."""
    if name in claims:
        return claims[name]
    value: object = claims
    for step in name.split("."):
        value = _inside(value, step)
    return value


def _inside(value: object, step: str) -> object:
    return cast("dict[str, object]", value).get(step) if isinstance(value, dict) else None


def _words(value: object, claim: str) -> Iterable[str]:
    # A list keeps names with blanks in them whole; one text is a list as OAuth writes scopes.
    return value.split() if isinstance(value, str) else _texts(value, claim)


def _texts(value: object, claim: str) -> list[str]:
    if value is None:
        return []
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise _malformed(claim, "texts")
    return cast("list[str]", entries)


def _malformed(claim: str, form: str) -> Refused:
    return Refused(
        Problem(
            Code.TOKEN, f"The token's claim {claim[:100]!r} does not hold {form}.", "Get another token.", claim[:100]
        )
    )
