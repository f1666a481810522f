"""A server with an identity provider: keys published, rotated and out of reach; and nothing of them in the logs."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from commission_mcp.domain.caller import Role
from commission_mcp.identity import RemoteKeys
from commission_mcp.logs import JsonLines
from commission_mcp.storage import administration
from commission_mcp.storage.users import User, set_user

if TYPE_CHECKING:
    from conftest import Installation
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example.com"
AUDIENCE = "https://commissions.example.com/mcp"
OLD, NEW = (rsa.generate_private_key(65_537, 2048) for _ in range(2))


@dataclass
class Published:
    """The keys that the issuer publishes, and how often it was asked; without keys it does not answer."""

    keys: dict[str, rsa.RSAPrivateKey] | None = field(default_factory=lambda: {"old": OLD})
    asked: int = 0
    url: str = ""

    def body(self) -> bytes:
        """The key set."""
        keys = [
            {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": name}
            for name, key in (self.keys or {}).items()
        ]
        return json.dumps({"keys": keys}).encode()


@pytest.fixture
async def published() -> AsyncGenerator[Published]:
    """An issuer's address on this machine."""
    issuer = Published()

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        issuer.asked += 1
        if issuer.keys is not None:
            body = issuer.body()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        yield issuer


@asynccontextmanager
async def running(serving: Serving, published: Published) -> AsyncGenerator[HttpServer]:
    settings = serving.settings(
        token_key=None,
        token_jwks_url=published.url,
        token_issuer=ISSUER,
        token_audience=AUDIENCE,
        token_clients_claim="org_id",
        token_roles_claim="https://example.com/claims/roles",
        token_client_ids="org_7=client-a",
    )
    async with administration(serving.installation.address) as connection:
        await set_user(connection, "client-a", User("idp-ada", ISSUER, "auth0|ada", frozenset({Role.ANALYST})))
    async with serving.run_with(settings) as server:
        yield server


def token(key: rsa.RSAPrivateKey, key_id: str, **changed: object) -> str:
    content: dict[str, object] = {
        "iss": ISSUER,
        "aud": [AUDIENCE, "another"],
        "sub": "auth0|ada",
        "exp": int(time.time()) + 600,
        "org_id": "org_7",
        "https://example.com/claims/roles": ["analyst"],
        **changed,
    }
    return jwt.encode(content, key, algorithm="RS256", headers={"kid": key_id})


async def test_an_older_token_of_the_issuer_opens_its_client(serving: Serving, published: Published) -> None:
    async with running(serving, published) as server, server.connect(token(OLD, "old")) as client:
        result = await client.call_tool("query", {"sql": "SELECT client_id FROM clients"})
    content: dict[str, Any] = result.structured_content or {}

    assert content["rows"] == [["client-a"]]


async def test_another_organisation_or_key_opens_nothing(serving: Serving, published: Published) -> None:
    async with running(serving, published) as server:
        statuses = [
            (await server.post(text)).status_code
            for text in (
                token(OLD, "old", org_id="org_8"),
                token(OLD, "old", org_id="client-b"),
                token(NEW, "old"),
                token(OLD, "old", aud="another"),
            )
        ]

    # `client-b` is a client's id, so the token grants it; that its user is nobody there is what protects it.
    assert statuses == [401, 200, 401, 401]


async def test_a_rotated_key_is_fetched_and_an_unknown_one_waits(
    serving: Serving, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.monotonic()]
    kept = functools.partial(RemoteKeys, clock=lambda: clock[0])
    monkeypatch.setattr("commission_mcp.identity.remote_keys.RemoteKeys", kept)  # its clock is the test's
    async with running(serving, published) as server:
        first = (await server.post(token(OLD, "old"))).status_code
        unknown = [(await server.post(token(NEW, f"new-{number}"))).status_code for number in range(20)]
        asked = published.asked
        published.keys = {"new": NEW}
        clock[0] += 31
        rotated = (await server.post(token(NEW, "new"))).status_code
        forgotten = (await server.post(token(OLD, "old"))).status_code

    assert (first, asked) == (200, 1)
    assert unknown == [401] * 20
    assert (rotated, forgotten) == (200, 401)


async def test_an_issuer_out_of_reach_is_unavailable_for_unknown_keys_alone(
    serving: Serving, published: Published
) -> None:
    async with running(serving, published) as server:
        published.keys = None
        before = await server.post(token(OLD, "old"))
    async with running(serving, published) as server:
        published.keys = {"old": OLD}
        known = await server.post(token(OLD, "old"))
        published.keys = None
        still = await server.post(token(OLD, "old"))

    assert (before.status_code, before.headers["retry-after"]) == (503, "30")
    assert before.json()["error"] == "E_TOKEN_KEYS"
    assert (known.status_code, still.status_code) == (200, 200)


async def test_tokens_keys_and_values_are_in_no_log(
    serving: Serving, server: HttpServer, postgres_18: Installation
) -> None:
    planted = "planted-value-4711"
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    async with serving.run(), server.connect(server.token("ada")) as client:
        logging.getLogger().addHandler(handler)
        try:
            token_ = server.token("ada")
            await server.post(token_ + "x")
            await server.post(token_, f"?client_id={planted}")
            await client.call_tool("query", {"sql": f"SELECT '{planted}', $1::int", "params": [planted]})
            await client.call_tool("schema", {planted: planted})
            await client.call_tool("chat_history", {"action": "append", "role": "user", "content": planted})
        finally:
            logging.getLogger().removeHandler(handler)
    log = written.getvalue()
    secrets = [planted, token_, token_.split(".")[2], postgres_18.credentials.master_secret]

    assert "commission_mcp.calls" in log
    assert [secret for secret in secrets if secret in log] == []
