"""Who is asking over HTTP: signed tokens (JWT) verified and turned into callers, and minted for small set-ups."""

from commission_mcp.identity.claims import ClaimNames
from commission_mcp.identity.grant import Grant
from commission_mcp.identity.keys import KeySource, SharedKey
from commission_mcp.identity.minting import mint_token
from commission_mcp.identity.remote_keys import RemoteKeys, open_remote_keys
from commission_mcp.identity.verifier import TokenRules, TokenVerifier

__all__ = [
    "ClaimNames",
    "Grant",
    "KeySource",
    "RemoteKeys",
    "SharedKey",
    "TokenRules",
    "TokenVerifier",
    "mint_token",
    "open_remote_keys",
]
