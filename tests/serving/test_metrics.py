"""Numbers for Prometheus: calls, outcomes and refusals, for whoever has the token, and nothing that a caller wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

TOKEN = "a token for the numbers"  # noqa: S105 - of this test's server


async def test_calls_and_refusals_are_counted_by_names_that_are_known(serving: Serving, server: HttpServer) -> None:
    settings = serving.settings(metrics_token=TOKEN)
    async with serving.run_with(settings) as running, httpx2.AsyncClient() as http:
        async with running.connect(server.token("bob")) as client:
            await client.call_tool("schema", {})
            await client.call_tool("query", {"sql": "SELECT planted"})
            await client.call_tool("planted-tool", {"planted": "planted"})
            await client.read_resource("schema://tables/sales")
        await running.post("planted")
        page = await http.get(f"{running.base}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        without = await http.get(f"{running.base}/metrics")
        wrong = await http.get(f"{running.base}/metrics", headers={"authorization": f"Bearer {TOKEN}x"})

    calls = 'commission_calls_total{{action="{}",client="client-a",object="{}",outcome="{}"}} 1.0'
    assert calls.format("tools/call", "schema", "ok") in page.text
    assert calls.format("tools/call", "query", "E_SQL_COLUMN") in page.text
    assert calls.format("tools/call", "other", "E_TOOL_UNKNOWN") in page.text
    assert calls.format("resources/read", "schema", "ok") in page.text
    assert 'commission_http_refusals_total{code="E_TOKEN",status="401"} 1.0' in page.text
    assert "commission_call_seconds_bucket" in page.text
    assert "planted" not in page.text
    assert (without.status_code, wrong.status_code) == (401, 401)


async def test_without_a_token_in_the_settings_there_are_no_numbers(server: HttpServer) -> None:
    async with httpx2.AsyncClient() as http:
        response = await http.get(f"{server.base}/metrics")

    assert response.status_code == 404
