"""Verifying a bearer token: signature, issuer, audience and times first, then what it grants."""

from __future__ import annotations

from dataclasses import dataclass, field

import jwt

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.identity.claims import ClaimNames
from commission_mcp.identity.grant import Grant
from commission_mcp.identity.keys import KeySource

TOKEN_CHARS_MAX = 8_192
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is from another issuer."),
    (jwt.MissingRequiredClaimError, "The token lacks one of the claims iss, aud, exp and sub."),
    (jwt.InvalidAlgorithmError, "The token is signed with an algorithm that is not accepted."),
)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to say.

    Attributes:
        issuer: The value of `iss`, exactly.
        audience: A value in `aud`, exactly.
        leeway_s: How far clocks may differ.
        names: Where our own claims stand.
    """

    issuer: str
    audience: str
    leeway_s: int = 30
    names: ClaimNames = field(default_factory=ClaimNames)


class TokenVerifier:
    """Verifies tokens under the same rules, with the keys of one source."""

    def __init__(self, rules: TokenRules, keys: KeySource) -> None:
        self._rules = rules
        self._keys = keys

    async def verify(self, token: str) -> Grant:
        """What the token grants.

        Raises:
            Refused: with `E_TOKEN`, or `E_TOKEN_KEYS` when its key cannot be fetched now.
        """
        key_id, algorithm = self._header(token)
        key = await self._keys.find(key_id, algorithm)
        try:
            claims = jwt.decode(
                token,
                key,  # pyright: ignore[reportArgumentType] - a key of another kind is refused by PyJWT
                algorithms=[algorithm],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=self._rules.leeway_s,
                options={"require": ["iss", "aud", "exp", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise _refused(
                next((reason for kind, reason in _REASONS if isinstance(error, kind)), _UNREADABLE)
            ) from None
        return self._rules.names.grant(claims)

    def _header(self, token: str) -> tuple[str | None, str]:
        """The key's id and the algorithm, once they are known to be acceptable; still unverified."""
        if len(token) > TOKEN_CHARS_MAX:
            raise _refused("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _refused(_UNREADABLE) from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._keys.algorithms:
            raise _refused("The token is signed with an algorithm that is not accepted.")
        # An identity or logout token of the same issuer is no key to this server.
        if str(header.get("typ") or "").lower() not in _TYPES or "crit" in header:
            raise _refused("The token is of another kind.")
        return key_id if isinstance(key_id, str) else None, algorithm


_UNREADABLE = "The token is not signed by its issuer, or is no JSON Web Token."


def _refused(message: str) -> Refused:
    return Refused(Problem(Code.TOKEN, message, "Get another token from the issuer and connect again."))
