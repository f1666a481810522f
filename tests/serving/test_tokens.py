"""Which tokens are accepted over HTTP, and what each of them opens."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from commission_mcp.domain.caller import Role
from commission_mcp.storage import administration
from commission_mcp.storage.users import User, set_user

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from conftest import Installation
    from serving.conftest import HttpServer

pytestmark = pytest.mark.anyio

KEY = "a key for the tokens of the test installation, long enough"
COUNT = {"sql": "SELECT client_id, count(*) FROM sales GROUP BY 1"}


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in (result.meta or {}).get("commission-mcp/problems", [])}


def rows(result: CallToolResult) -> list[Any]:
    content: dict[str, Any] = result.structured_content or {}
    return content["rows"]


def claims(server: HttpServer, **changed: object) -> dict[str, object]:
    now = int(time.time())
    content = {
        "iss": server.rules.issuer,
        "aud": server.rules.audience,
        "sub": "ada",
        "iat": now,
        "exp": now + 600,
        "commission_clients": ["client-a"],
        "commission_roles": ["analyst"],
        **changed,
    }
    return {name: value for name, value in content.items() if value is not None}


def signed(server: HttpServer, key: str = KEY, algorithm: str = "HS256", **changed: object) -> str:
    return jwt.encode(claims(server, **changed), key, algorithm=algorithm)


def unsigned(server: HttpServer) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims(server))
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_token_opens_its_own_client_in_both_eras(server: HttpServer, mode: str) -> None:
    async with server.connect(server.token(), mode=mode) as client:
        result = await client.call_tool("query", COUNT)

    assert rows(result) == [["client-a", 400]]


async def test_a_token_of_several_clients_works_with_the_one_that_the_url_names(server: HttpServer) -> None:
    token = server.token(clients=["client-a", "client-b"])
    for client_id in ("client-a", "client-b"):
        async with server.connect(token, client_id) as client:
            assert rows(await client.call_tool("query", COUNT)) == [[client_id, 400]]
    response = await server.post(token)

    assert response.status_code == 403
    assert response.json()["error"] == "E_CLIENT_AMBIGUOUS"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?client_id=client-b", 403),
        ("?client_id=CLIENT-A", 403),
        ("?client_id=client-a%00", 403),
        ("?client_id=client-a&client_id=client-b", 400),
        ("?client_id=client-a&client_id=client-a", 400),
        ("?client_id=", 200),
        ("?client_id=client-a", 200),
    ],
)
async def test_the_url_never_opens_a_client_that_the_token_does_not_grant(
    server: HttpServer, query: str, status: int
) -> None:
    response = await server.post(server.token(), query)

    assert response.status_code == status


async def test_a_client_in_the_arguments_is_only_an_assertion(server: HttpServer) -> None:
    async with server.connect(server.token()) as client:
        result = await client.call_tool("chat_history", {"client_id": "client-b"})

    assert codes(result) == {"E_CLIENT_MISMATCH"}


async def test_without_a_token_the_challenge_names_no_error(server: HttpServer) -> None:
    response = await server.post(None)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "invalid_token" not in response.headers["www-authenticate"]


REFUSED: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://elsewhere.example.com"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "another-server"},
    "several audiences, none of them ours": {"aud": ["one", "two"]},
    "no audience": {"aud": None},
    "expired": {"exp": int(time.time()) - 120},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "not valid yet": {"nbf": int(time.time()) + 3_600},
    "issued in the future": {"iat": int(time.time()) + 3_600},
    "no subject": {"sub": None},
    "an empty subject": {"sub": " "},
    "a subject that is no text": {"sub": 7},
    "a subject beyond its length": {"sub": "x" * 256},
    "clients that are no texts": {"commission_clients": [1]},
    "a client that is no client id": {"commission_clients": ["../client-a"]},
    "roles that are no texts": {"commission_roles": [{"admin": True}]},
}


@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED.keys())
async def test_a_token_with_other_claims_is_refused(server: HttpServer, changed: dict[str, object]) -> None:
    # PyJWT itself refuses to sign some of these, so the payload is signed as plain bytes.
    payload = json.dumps(claims(server, **changed)).encode()
    token = jwt.api_jws.encode(payload, KEY, algorithm="HS256", headers={"typ": "JWT"})
    response = await server.post(token)

    assert response.status_code == 401
    assert response.json()["error"] == "E_TOKEN"
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_token_that_grants_no_client_is_refused(server: HttpServer) -> None:
    response = await server.post(signed(server, commission_clients=None))

    assert (response.status_code, response.json()["error"]) == (403, "E_CLIENT_NOT_GRANTED")


async def test_forged_tokens_are_refused(server: HttpServer) -> None:
    good = signed(server)
    head, body, signature = good.split(".")
    swapped = base64.urlsafe_b64encode(json.dumps(claims(server, sub="bob")).encode()).decode().rstrip("=")
    forged = {
        "alg none": unsigned(server),
        "alg none with a signature": unsigned(server) + signature,
        "another key": signed(server, key="another key of the same length, which is not the server's own one"),
        "another algorithm": signed(server, key=KEY + KEY, algorithm="HS512"),
        "a swapped subject": f"{head}.{swapped}.{signature}",
        "a cut signature": f"{head}.{body}.{signature[:-4]}",
        "no signature": f"{head}.{body}.",
        "no token": "not-a-token",
        "too long": good + "A" * 10_000,
        "an identity token": jwt.encode(claims(server), KEY, "HS256", headers={"typ": "logout+jwt"}),
        "an extension that must be understood": jwt.encode(claims(server), KEY, "HS256", headers={"crit": ["b64"]}),
    }

    assert {name: (await server.post(token)).status_code for name, token in forged.items()} == dict.fromkeys(
        forged, 401
    )


async def test_a_token_counts_only_in_its_header(server: HttpServer) -> None:
    response = await server.post(None, f"?access_token={server.token()}")

    assert response.status_code == 401


async def test_two_authorization_headers_are_refused(server: HttpServer) -> None:
    import httpx2  # noqa: PLC0415 - here alone

    headers = [("authorization", f"Bearer {server.token()}")] * 2
    async with httpx2.AsyncClient() as http:
        response = await http.post(server.url, json={}, headers=headers)

    assert response.status_code == 401


async def test_the_users_roles_in_the_database_narrow_the_tokens(server: HttpServer) -> None:
    admin = server.token("bob", roles=[Role.PLAN_AUTHOR, Role.ADMIN])
    async with server.connect(admin) as client:
        result = await client.call_tool("query", COUNT)

    assert codes(result) == {"E_ROLE_REQUIRED"}


async def test_a_change_of_roles_works_on_the_next_call(server: HttpServer, postgres_18: Installation) -> None:
    issuer = server.rules.issuer
    async with (
        administration(postgres_18.address) as connection,
        server.connect(server.token("carl", roles=list(Role))) as client,
    ):
        seen = [codes(await client.call_tool("query", COUNT))]
        for user in (
            User("carl", issuer, "carl", frozenset({Role.ANALYST})),
            User("carl", issuer, "carl", frozenset({Role.PAYEE})),
            User("carl", issuer, "carl", frozenset({Role.ANALYST}), active=False),
        ):
            await set_user(connection, "client-a", user)
            seen.append(codes(await client.call_tool("query", COUNT)))

    assert seen == [{"E_USER_UNKNOWN"}, set(), {"E_ROLE_REQUIRED"}, {"E_USER_UNKNOWN"}]


async def test_a_subject_of_another_issuer_is_nobody(server: HttpServer, postgres_18: Installation) -> None:
    async with administration(postgres_18.address) as connection:
        await set_user(connection, "client-a", User("dora", "https://elsewhere", "dora", frozenset(Role)))
    async with server.connect(server.token("dora")) as client:
        result = await client.call_tool("query", COUNT)

    assert codes(result) == {"E_USER_UNKNOWN"}


async def test_resources_and_completions_are_read_as_the_tokens_caller(server: HttpServer) -> None:
    async with server.connect(server.token("bob")) as client:
        listed = await client.read_resource("schema://tables")
    async with server.connect(server.token("nobody-at-all")) as client:
        with pytest.raises(Exception, match="E_USER_UNKNOWN"):
            await client.read_resource("schema://tables")

    assert "sales" in str(listed)


async def test_a_session_id_opens_nothing(server: HttpServer) -> None:
    """There are no sessions over HTTP that somebody could take over: every request shows its own token."""
    response = await server.post(None, **{"mcp-session-id": "00000000000000000000000000000000"})
    other = await server.post(server.token("bob"), **{"mcp-session-id": "00000000000000000000000000000000"})

    assert response.status_code == 401
    assert "mcp-session-id" not in other.headers
