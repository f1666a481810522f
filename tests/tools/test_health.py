"""`health` says of every part whether it works, and names what does not with its fix."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.storage import administration

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Connect, Installation, Valkey

pytestmark = pytest.mark.anyio

SECRET = "bearer-token-of-the-test"  # noqa: S105 - for a backend that this test starts


async def ask(client: Client) -> dict[str, Any]:
    result = await client.call_tool("health", {})
    assert not result.is_error
    assert SECRET not in str(result)
    return result.structured_content or {}


def parts(health: dict[str, Any]) -> dict[str, str]:
    return {part["part"]: part["code"] for part in health["degraded"]}


@contextmanager
def backend(status: int) -> Generator[str]:
    """A web service that knows the token and answers with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {SECRET}" and self.path == "/api/_test_api"
            self.send_response(status if known else 401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        server.server_close()


async def test_a_whole_server_is_healthy(connect: Connect, installation: Installation) -> None:
    with backend(200) as url:
        async with connect(installation, backend_api_base_url=url, backend_token=SECRET) as client:
            await client.call_tool("chat_history", {"action": "append", "role": "user", "content": "hello"})
            health = await ask(client)

    assert health["mcp_server_status"] == "healthy"
    assert health["degraded"] == []
    assert (health["database_connected"], health["redis_connected"], health["cache_connected"]) == (True, True, True)
    assert health["isolation"] == "whole"
    assert health["client_filtering_enabled"] is True
    assert health["redis_memory_usage"].endswith("MB")
    assert health["active_sessions"] >= 1
    assert (health["api_base_url"], health["jwt_present"]) == (url, True)
    assert (health["test_endpoint_status"], health["test_response"]) == (200, "OK")
    assert health["documents"] is not None
    assert health["ocr"]
    assert {"commission-mcp", "mcp", "python", "postgresql", "valkey"} <= health["versions"].keys()


async def test_without_redis_the_rest_is_reported(connect: Connect, postgres_18: Installation) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}"
        async with connect(postgres_18, redis_url=url) as client:
            health = await ask(client)

    assert health["mcp_server_status"] == "degraded"
    assert parts(health) == {"history": "E_REDIS_UNREACHABLE", "cache": "E_REDIS_UNREACHABLE"}
    assert (health["database_connected"], health["redis_connected"], health["cache_connected"]) == (True, False, False)
    assert all(part["fix"] for part in health["degraded"])


@pytest.mark.parametrize(
    ("command", "code"),
    [(("CONFIG", "SET", "maxmemory", "1"), "E_REDIS_FULL"), (("REPLICAOF", "127.0.0.1", "1"), "E_REDIS_READ_ONLY")],
)
async def test_a_redis_that_takes_no_writes_is_reported(
    connect: Connect, postgres_18: Installation, valkey: Valkey, command: tuple[str, ...], code: str
) -> None:
    """It answers, so nothing but a write or its own word shows it."""
    async with connect(postgres_18, redis_url=valkey.address(), redis_cache_url=valkey.address()) as client:
        assert parts(await ask(client)) == {}
        async with valkey.raw() as raw:
            await raw(*command)
        health = await ask(client)

    assert health["mcp_server_status"] == "degraded"
    assert parts(health) == {"history": code, "cache": code}
    assert health["redis_connected"]


async def test_a_backend_that_is_down_or_refuses_is_reported(connect: Connect, postgres_18: Installation) -> None:
    with backend(500) as url:
        async with connect(postgres_18, backend_api_base_url=url, backend_token=SECRET) as client:
            failing = await ask(client)
    async with connect(postgres_18, backend_api_base_url=url, backend_token=SECRET) as client:
        down = await ask(client)

    assert (parts(failing), failing["test_endpoint_status"]) == ({"backend": "E_BACKEND"}, 500)
    assert (parts(down), down["test_endpoint_status"]) == ({"backend": "E_BACKEND"}, None)


async def test_a_breach_of_the_isolation_is_reported(connect: Connect, installation: Installation) -> None:
    async with connect(installation) as client, administration(installation.address) as connection:
        assert (await ask(client))["isolation"] == "whole"
        await connection.execute("GRANT SELECT ON cm.sale TO cm_reader")
        try:
            health = await ask(client)
        finally:
            await connection.execute("REVOKE SELECT ON cm.sale FROM cm_reader")

    assert health["isolation"] == "broken"
    assert set(parts(health).items()) == {("isolation", "E_ISOLATION")}


async def test_who_may_nothing_learns_nothing_of_the_database(connect: Connect, postgres_18: Installation) -> None:
    async with connect(postgres_18, subject="stranger") as client:
        health = await ask(client)

    assert parts(health)["database"] == "E_USER_UNKNOWN"
