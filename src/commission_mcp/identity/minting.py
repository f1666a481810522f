"""Minting tokens under a shared key, for installations without an identity provider."""

from __future__ import annotations

from collections.abc import Collection

import jwt

from commission_mcp.domain.caller import Role
from commission_mcp.identity.keys import SharedKey
from commission_mcp.identity.verifier import TokenRules

LIFETIME_S_MAX = 366 * 24 * 3_600


def mint_token(
    rules: TokenRules,
    key: SharedKey,
    *,
    subject: str,
    clients: Collection[str],
    roles: Collection[Role],
    issued_at: int,
    lifetime_s: int,
) -> str:
    """A token that a server with the same rules and key accepts.

    Args:
        rules: Issuer, audience and names of claims.
        key: The shared key.
        subject: The user.
        clients: The clients that it grants.
        roles: The roles with each of them; the user's roles in the database narrow them.
        issued_at: Now, in seconds since 1970.
        lifetime_s: How long it is good for.
    """
    claims = {
        "iss": rules.issuer,
        "aud": rules.audience,
        "sub": subject,
        "iat": issued_at,
        "exp": issued_at + lifetime_s,
        rules.names.clients: sorted(clients),
        rules.names.roles: sorted(roles),
    }
    return jwt.encode(claims, key.secret, algorithm="HS256")
