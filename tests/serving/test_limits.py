"""Callers over HTTP are held to a rate and to a number of calls at a time, and one cannot use up another's share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.embedded import open_servers
from commission_mcp.storage import operations
from commission_mcp.storage.call_limits import CallLimits, TooMany
from commission_mcp.storage.rates import open_rates

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from conftest import Installation
    from serving.conftest import HttpServer, Serving

pytestmark = pytest.mark.anyio

PATIENT_MS = 10_000  # a busy machine is no reason to count nothing, where counting is what is tested
ADA = Caller("client-a", "issuer", "ada", frozenset({Role.ANALYST}))
BOB = Caller("client-a", "issuer", "bob", frozenset({Role.ANALYST}))
EVE = Caller("client-b", "issuer", "ada", frozenset({Role.ANALYST}))


def codes(result: CallToolResult) -> set[str]:
    return {problem["code"] for problem in (result.meta or {}).get("commission-mcp/problems", [])}


async def test_a_caller_beyond_its_rate_is_told_when_to_come_back(serving: Serving, server: HttpServer) -> None:
    token = server.token("rated")
    async with (
        serving.run(rate_subject_per_minute=3, query_cache_wait_ms=PATIENT_MS) as limited,
        limited.connect(token) as client,
    ):
        results = [await client.call_tool("health", {}) for _ in range(5)]

    assert [codes(result) for result in results[3:]] == [{"E_RATE"}] * 2
    assert all("E_RATE" not in codes(result) for result in results[:3])
    assert 1 <= (results[3].meta or {})["commission-mcp/retry_after_s"] <= 120


async def test_rates_are_counted_for_each_user_and_client(postgres_18: Installation) -> None:
    async with (
        open_servers(_data_directory(postgres_18)) as servers,
        open_rates(servers.cache_url, subject_per_minute=4, client_per_minute=6, wait_ms=PATIENT_MS) as rates,
        open_rates(servers.cache_url, subject_per_minute=4, client_per_minute=6, wait_ms=PATIENT_MS) as another,
    ):
        own = [await (rates if number % 2 else another).take(ADA) for number in range(5)]
        colleague = [await rates.take(BOB) for _ in range(3)]
        other_client = await rates.take(EVE)

    assert own[:4] == [None] * 4
    assert own[4] is not None
    assert colleague[:2] == [None, None]
    assert colleague[2] is not None
    assert other_client is None


async def test_without_redis_calls_go_on_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with open_rates("redis://127.0.0.1:1/0", subject_per_minute=1, client_per_minute=1) as rates:
        taken = [await rates.take(ADA) for _ in range(20)]

    assert taken == [None] * 20
    assert [record.message for record in caplog.records if record.name == "commission_mcp.rates"] == [
        "calls are not counted"
    ]


async def test_calls_beyond_the_number_at_a_time_are_refused_and_others_are_not() -> None:
    async with open_rates("redis://127.0.0.1:1/0", subject_per_minute=1, client_per_minute=1) as rates:

        async def opened() -> Any:  # noqa: ANN401 - the rates, which are as good as open
            return rates

        limits = CallLimits(opened, client_max=3, subject_max=2)
        async with limits.within(ADA), limits.within(ADA):
            with pytest.raises(TooMany):
                async with limits.within(ADA):
                    pass
            async with limits.within(BOB), limits.within(EVE):
                with pytest.raises(TooMany):
                    async with limits.within(BOB):
                        pass
        async with limits.within(ADA):
            pass


async def test_a_noisy_caller_over_http_is_refused_and_a_quiet_one_answered(
    serving: Serving, server: HttpServer
) -> None:
    slow = {"sql": "SELECT count(*) FROM generate_series(1, 1500) a, generate_series(1, 1500) b"}
    noisy: list[set[str]] = []
    quiet: list[set[str]] = []
    async with (
        serving.run(concurrent_calls_per_subject=2) as limited,
        limited.connect(server.token("ada")) as ada,
        limited.connect(server.token("bob")) as bob,
    ):
        await ada.list_tools()

        async def call() -> None:
            noisy.append(codes(await ada.call_tool("query", slow)))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(call)
            quiet.append(codes(await bob.call_tool("query", {"sql": "SELECT 1"})))

    assert quiet == [set()]
    assert {"E_RATE"} in noisy
    assert set() in noisy


async def test_a_flood_of_refusals_is_a_few_entries_of_the_trail(
    serving: Serving, server: HttpServer, postgres_18: Installation
) -> None:
    async with (
        serving.run(rate_subject_per_minute=1, query_cache_wait_ms=PATIENT_MS) as limited,
        limited.connect(server.token("flooder")) as client,
    ):
        for _ in range(30):
            await client.call_tool("schema", {})
    async with operations(postgres_18.address) as connection:
        cursor = await connection.execute(
            "SELECT facts FROM cm.audit_entry WHERE subject = 'flooder' AND outcome = 'E_RATE'"
        )
        stood_for = [json.loads(row[0])["refusals"] for row in await cursor.fetchall()]

    assert 1 <= len(stood_for) < 29
    assert all(count >= 1 for count in stood_for)


def _data_directory(installation: Installation) -> Any:  # noqa: ANN401 - a path
    return installation.settings(None).data_directory
