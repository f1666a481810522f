"""The issuer's published keys, from a real server: fetched, rotated, and missed while it is down."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from commission_mcp.errors import Refused
from commission_mcp.identity import ClaimNames, RemoteKeys, TokenRules, TokenVerifier, open_remote_keys
from commission_mcp.identity.keys import PUBLIC_ALGORITHMS

pytestmark = pytest.mark.anyio

RULES = TokenRules("https://issuer.example.com", "commissions")
RSA_KEY = rsa.generate_private_key(65_537, 2048)
RSA_NEXT = rsa.generate_private_key(65_537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def published(key_id: str, key: PrivateKey, **further: object) -> dict[str, object]:
    """The public part as a key set has it."""
    if isinstance(key, rsa.RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(key.public_key())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        text = ECAlgorithm.to_jwk(key.public_key())
    else:
        text = OKPAlgorithm.to_jwk(key.public_key())
    return {**json.loads(text), "kid": key_id, **further}


def token(key: PrivateKey | str, algorithm: str, key_id: str | None = "one", **changed: object) -> str:
    content = {
        "iss": RULES.issuer,
        "aud": RULES.audience,
        "sub": "ada",
        "exp": int(time.time()) + 600,
        "commission_clients": "acme",
        "commission_roles": "analyst finance stranger",
        **changed,
    }
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(content, key, algorithm=algorithm, headers=headers)


@dataclass
class Issuer:
    """An issuer that counts how often it is asked; None for keys is one that is down."""

    keys: list[dict[str, object]] | None = None
    asked: int = 0
    now_s: float = 0.0

    async def fetch(self) -> bytes:
        """Answer with the key set."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.keys is None:
            raise OSError
        return json.dumps({"keys": self.keys}).encode()

    def clock(self) -> float:
        """The time that the test says it is."""
        return self.now_s

    def verifier(self) -> TokenVerifier:
        """Verifies tokens of this issuer."""
        return TokenVerifier(RULES, RemoteKeys(self.fetch, clock=self.clock))


async def code_of(verifier: TokenVerifier, text: str) -> str:
    with pytest.raises(Refused) as refused:
        await verifier.verify(text)
    return str(refused.value.problems[0].code)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA_KEY, "RS256"), (RSA_KEY, "PS256"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")],
    ids=["RS256", "PS256", "ES256", "EdDSA"],
)
async def test_a_token_of_the_issuer_is_accepted(key: PrivateKey, algorithm: str) -> None:
    verifier = Issuer([published("other", RSA_NEXT), published("one", key)]).verifier()
    grant = await verifier.verify(token(key, algorithm))

    assert (grant.subject, dict(grant.roles)) == ("ada", {"acme": {"analyst", "finance"}})


async def test_a_public_key_is_never_a_shared_secret() -> None:
    """The classic confusion: a token that is signed by HMAC with the bytes of the public key."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
    body = token(RSA_KEY, "RS256").split(".")[1].encode()
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(head + b"." + body, pem)
    forged = b".".join((head, body, base64url_encode(signature))).decode()
    secret: dict[str, object] = {"kty": "oct", "kid": "one", "k": base64url_encode(b"x" * 32).decode()}
    issuer = Issuer([published("one", RSA_KEY), secret])

    assert await code_of(issuer.verifier(), forged) == "E_TOKEN"
    assert await code_of(issuer.verifier(), token("x" * 32, "HS256")) == "E_TOKEN"
    assert "HS256" not in PUBLIC_ALGORITHMS


async def test_keys_for_other_uses_and_algorithms_do_not_verify() -> None:
    issuer = Issuer([published("one", RSA_KEY, use="enc"), published("two", RSA_KEY, alg="PS256")])

    assert await code_of(issuer.verifier(), token(RSA_KEY, "RS256", "one")) == "E_TOKEN"
    assert await code_of(issuer.verifier(), token(RSA_KEY, "RS256", "two")) == "E_TOKEN"


async def test_a_token_without_a_key_id_needs_an_issuer_with_one_key() -> None:
    single, several = (
        Issuer([published("one", RSA_KEY)]),
        Issuer([published("one", RSA_KEY), published("two", RSA_NEXT)]),
    )

    assert (await single.verifier().verify(token(RSA_KEY, "RS256", None))).subject == "ada"
    assert await code_of(several.verifier(), token(RSA_KEY, "RS256", None)) == "E_TOKEN"


async def test_a_rotated_key_is_found_and_the_old_one_forgotten() -> None:
    issuer = Issuer([published("one", RSA_KEY)])
    verifier = issuer.verifier()
    await verifier.verify(token(RSA_KEY, "RS256", "one"))
    issuer.keys, issuer.now_s = [published("two", RSA_NEXT)], 60.0
    await verifier.verify(token(RSA_NEXT, "RS256", "two"))

    assert await code_of(verifier, token(RSA_KEY, "RS256", "one")) == "E_TOKEN"
    assert issuer.asked == 2


async def test_unknown_keys_do_not_make_the_server_ask_more_often() -> None:
    issuer = Issuer([published("one", RSA_KEY)])
    verifier = issuer.verifier()
    for number in range(50):
        assert await code_of(verifier, token(RSA_NEXT, "RS256", f"unknown-{number}")) == "E_TOKEN"

    assert issuer.asked == 1


async def test_many_tokens_at_once_make_for_one_question() -> None:
    issuer = Issuer([published("one", RSA_KEY)])
    verifier = issuer.verifier()
    await asyncio.gather(*(verifier.verify(token(RSA_KEY, "RS256")) for _ in range(20)))

    assert issuer.asked == 1


async def test_while_the_issuer_is_down_known_keys_go_on_and_others_wait() -> None:
    issuer = Issuer([published("one", RSA_KEY)])
    verifier = issuer.verifier()
    await verifier.verify(token(RSA_KEY, "RS256"))
    issuer.keys, issuer.now_s = None, 2 * 3_600.0
    good = await verifier.verify(token(RSA_KEY, "RS256"))

    assert good.subject == "ada"
    assert await code_of(verifier, token(RSA_NEXT, "RS256", "two")) == "E_TOKEN_KEYS"
    assert issuer.asked == 2  # one attempt in the pause, not one for each token
    issuer.now_s = 25 * 3_600.0
    assert await code_of(verifier, token(RSA_KEY, "RS256")) == "E_TOKEN_KEYS"


async def test_an_issuer_that_was_never_reached_is_a_refusal_that_passes() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()

    assert await code_of(verifier, token(RSA_KEY, "RS256")) == "E_TOKEN_KEYS"
    issuer.keys, issuer.now_s = [published("one", RSA_KEY)], 31.0
    assert (await verifier.verify(token(RSA_KEY, "RS256"))).subject == "ada"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[str]:
    """An HTTP server that says the same to everybody."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"


def http(body: bytes, status: bytes = b"200 OK", head: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, head, len(body), body)


async def test_keys_are_fetched_from_the_issuers_address() -> None:
    answer = http(json.dumps({"keys": [published("one", RSA_KEY)]}).encode())
    async with answering(answer) as url, open_remote_keys(url) as keys:
        grant = await TokenVerifier(RULES, keys).verify(token(RSA_KEY, "RS256"))

    assert grant.subject == "ada"


@pytest.mark.parametrize(
    "answer",
    [
        http(b"{}"),
        http(b"[1]"),
        http(b"no json"),
        http(b"{}", b"404 Not Found"),
        http(b"", b"302 Found", b"Location: https://elsewhere.example.com/\r\n"),
        http(b" " * 300_000),
        b"no http at all\r\n\r\n",
    ],
    ids=["no keys", "no object", "no json", "404", "elsewhere", "too long", "no http"],
)
async def test_an_address_without_keys_is_a_refusal(answer: bytes) -> None:
    async with answering(answer) as url, open_remote_keys(url) as keys:
        assert await code_of(TokenVerifier(RULES, keys), token(RSA_KEY, "RS256")) == "E_TOKEN_KEYS"


OLDER = ClaimNames(
    clients="org_id",
    roles="https://example.com/claims/roles",
    client_ids={"org_7f3K": "acme"},
    role_names={"Sales Ops": "analyst", "Comp Admin": "admin"},
)


RENAMED: list[tuple[ClaimNames, dict[str, object], dict[str, set[str]]]] = [
    (
        OLDER,
        {"org_id": "org_7f3K", "https://example.com/claims/roles": ["Sales Ops", "Comp Admin", "Other"]},
        {"acme": {"analyst", "admin"}},
    ),
    (
        ClaimNames(clients="tenants"),
        {"tenants": {"acme": ["finance"], "umbrella": "analyst payee"}},
        {"acme": {"finance"}, "umbrella": {"analyst", "payee"}},
    ),
    (
        ClaimNames(clients="tenant.ids", roles="realm_access.roles"),
        {"tenant": {"ids": ["acme"]}, "realm_access": {"roles": ["auditor"]}},
        {"acme": {"auditor"}},
    ),
    (ClaimNames(), {"commission_clients": ["acme"]}, {"acme": set()}),
    (ClaimNames(), {"commission_roles": ["admin"]}, {}),
]


@pytest.mark.parametrize(
    ("names", "claims", "granted"),
    RENAMED,
    ids=["an older token", "roles of each client", "nested", "no roles", "no client"],
)
def test_claims_become_a_grant_under_the_issuers_names(
    names: ClaimNames, claims: dict[str, object], granted: dict[str, set[str]]
) -> None:
    grant = names.grant({"iss": "i", "sub": "ada", "exp": 1, **claims})

    assert {client: set(roles) for client, roles in grant.roles.items()} == granted
