"""What a request has to pass before the protocol reads it, and what answers beside the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from commission_mcp.errors import Refused
from commission_mcp.serving.addresses import Names
from commission_mcp.serving.identity import refuse_unsafe
from commission_mcp.storage import administration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a setting under test; nothing listens there


@pytest.mark.parametrize(
    "host", ["evil.example.com", "127.0.0.1.evil.example.com", "localhost.evil:80", "127.0.0.1:x", ""]
)
async def test_a_host_that_is_not_ours_is_misdirected(server: HttpServer, host: str) -> None:
    response = await server.post(server.token(), host=host)

    assert response.status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", "http://localhost.evil.example.com", "http://127.0.0.1@evil"]
)
async def test_a_browser_from_elsewhere_is_refused(server: HttpServer, origin: str) -> None:
    response = await server.post(server.token(), origin=origin)

    assert response.status_code == 403


async def test_a_browser_on_this_machine_may_call(server: HttpServer) -> None:
    response = await server.post(server.token(), origin="http://localhost:5173")

    assert response.status_code == 200


async def test_names_outside_loopback_are_the_public_one_and_the_listed_ones(serving: Serving) -> None:
    settings = serving.settings(
        http_host=EVERYWHERE,
        http_public_url="https://commissions.example.com/mcp",
        http_allowed_hosts="inner:8000,pods.local:*",
        http_allowed_origins="https://app.example.com",
    )
    refuse_unsafe(settings)
    names = Names.of(settings)
    served = ["commissions.example.com", "Commissions.Example.com:443", "inner:8000", "pods.local:31000"]
    others = [
        "commissions.example.com:8443",
        "localhost:8000",
        "127.0.0.1",
        "inner",
        "inner:80",
        "x.pods.local:1",
        "pods.local:*",
    ]

    assert [host for host in served if not names.serves_host(host)] == []
    assert [host for host in others if names.serves_host(host)] == []
    assert names.serves_origin("https://commissions.example.com")
    assert names.serves_origin("https://app.example.com")
    assert not names.serves_origin("http://app.example.com")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_only_post_is_answered(server: HttpServer, method: str) -> None:
    async with httpx2.AsyncClient() as http:
        response = await http.request(method, server.url, headers={"authorization": f"Bearer {server.token()}"})

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_body_beyond_the_limit_is_refused_declared_or_not(server: HttpServer) -> None:
    most = server.settings.http_body_bytes_max

    async def undeclared() -> AsyncGenerator[bytes]:
        for _ in range(most // 65_536 + 2):
            yield b" " * 65_536

    headers = {"authorization": f"Bearer {server.token()}", "content-type": "application/json"}
    async with httpx2.AsyncClient(timeout=30) as http:
        declared = await http.post(server.url, content=b" " * (most + 1), headers=headers)
        streamed = await http.post(server.url, content=undeclared(), headers=headers)

    assert (declared.status_code, streamed.status_code) == (413, 413)


async def test_a_body_without_a_token_is_not_read(server: HttpServer) -> None:
    """Whoever has no token is answered after the head of the request, whatever it announces."""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n"

    assert b" 401 " in await _exchange(server, head)


async def test_a_body_that_does_not_come_is_given_up(serving: Serving) -> None:
    async with serving.run(http_receive_timeout_s=1) as server:
        token = server.token().encode()
        head = (
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nContent-Length: 9\r\n\r\n{" % token
        )
        answer = await _exchange(server, head)

    assert b" 408 " in answer


async def test_a_head_that_does_not_end_is_cut_off(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commission_mcp.serving.connections.HEAD_S", 0.2)  # shorter than for real

    assert await _exchange(server, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") == b""
    assert await _exchange(server, b"") == b""


async def test_a_slow_second_head_on_a_connection_is_cut_off_too(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commission_mcp.serving.connections.HEAD_S", 0.2)  # shorter than for real
    answer = await _exchange(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal")

    assert answer.count(b"HTTP/1.1 ") == 1


async def test_no_redirection_repeats_the_host_of_a_request(server: HttpServer) -> None:
    async with httpx2.AsyncClient() as http:
        response = await http.post(f"{server.url}/", headers={"host": "evil.example.com"})

    assert response.status_code == 404
    assert "location" not in response.headers


async def test_probes_answer_without_a_token(server: HttpServer) -> None:
    async with httpx2.AsyncClient() as http:
        healthy = await http.get(f"{server.base}/healthz")
        ready = await http.get(f"{server.base}/readyz")

    assert (healthy.status_code, ready.status_code) == (200, 200)


async def test_a_server_without_its_database_is_healthy_but_not_ready(serving: Serving) -> None:
    settings = serving.settings(
        postgres_url="postgresql://nobody@127.0.0.1:1/none?connect_timeout=2",
        master_secret="x" * 40,
    )
    async with serving.run_with(settings) as server, httpx2.AsyncClient() as http:
        healthy = await http.get(f"{server.base}/healthz")
        ready = await http.get(f"{server.base}/readyz")

    assert (healthy.status_code, ready.status_code) == (200, 503)
    assert "nobody" not in ready.text


async def test_the_resource_says_who_issues_tokens_for_it(serving: Serving) -> None:
    settings = serving.settings(
        token_key=None,
        token_jwks_url="https://issuer.example.com/keys",
        token_issuer="https://issuer.example.com",
        http_public_url="https://commissions.example.com/mcp",
    )
    async with serving.run_with(settings) as server, httpx2.AsyncClient() as http:
        metadata = (await http.get(f"{server.base}/.well-known/oauth-protected-resource/mcp")).json()
        challenge = (await server.post(None, host="commissions.example.com")).headers["www-authenticate"]

    assert metadata["resource"] == "https://commissions.example.com/mcp"
    assert metadata["authorization_servers"] == ["https://issuer.example.com"]
    assert 'resource_metadata="https://commissions.example.com/.well-known/oauth-protected-resource/mcp"' in challenge


UNSAFE: dict[str, dict[str, Any]] = {
    "nobody is known": {"token_key": None},
    "two kinds of keys": {
        "token_jwks_url": "https://issuer.example.com/keys",
        "token_issuer": "i",
        "token_audience": "a",
    },
    "an issuer without a name": {"token_key": None, "token_jwks_url": "https://issuer.example.com/keys"},
    "outside loopback without a name": {"http_host": EVERYWHERE},
    "everybody is the operator, outside loopback": {
        "http_identity": "operator",
        "http_host": EVERYWHERE,
        "client_id": "c",
    },
    "everybody is the operator of no client": {"http_identity": "operator"},
}


@pytest.mark.parametrize("overrides", UNSAFE.values(), ids=UNSAFE.keys())
async def test_a_server_that_could_not_tell_who_calls_does_not_start(
    serving: Serving, overrides: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        refuse_unsafe(serving.settings(**overrides))

    assert {problem.code for problem in refused.value.problems} == {"E_SETTING"}


async def test_on_loopback_the_operators_word_can_do(serving: Serving) -> None:
    settings = serving.settings(token_key=None, http_identity="operator", client_id="client-b")
    async with (
        serving.run_with(settings) as server,
        McpClient(streamable_http_client(server.url)) as client,
    ):
        result = await client.call_tool("query", {"sql": "SELECT client_id FROM clients"})

    assert (result.structured_content or {})["rows"] == [["client-b"]]


async def test_running_calls_finish_before_a_server_stops(serving: Serving) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 2500) a, generate_series(1, 2500) b"
    answers: list[Any] = []
    counting = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'cm_r_%' AND state = 'active'"
    async with (
        serving.run() as server,
        administration(serving.installation.address) as connection,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            async with server.connect(server.token()) as client:
                await client.list_tools()  # the client looks the answer's schema up, and would do so afterwards
                result = await client.call_tool("query", {"sql": slow})
                content: dict[str, Any] = result.structured_content or {}
                answers.append(content["rows"])

        tasks.start_soon(ask)
        with anyio.fail_after(60):
            while await (await connection.execute(counting)).fetchone() == (0,):
                await anyio.sleep(0.001)
        server.server.should_exit = True

    assert answers == [[[6_250_000]]]


async def _exchange(server: HttpServer, sent: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    host, port = server.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        with anyio.fail_after(60), contextlib.suppress(ConnectionResetError):
            if b"Content-Length" in sent:
                return await reader.readuntil(b"\r\n")
            return await reader.read()
        return b""
    finally:
        writer.close()
