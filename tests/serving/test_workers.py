"""The program as an operator runs it: `commission-mcp serve --http` in several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

pytestmark = pytest.mark.anyio

METRICS_TOKEN = "a token for the numbers"  # noqa: S105 - of this test's installation
KEY = "a key for the tokens of this installation, long enough for it"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """An installation of its own with one client and one user."""
    with tempfile.TemporaryDirectory(prefix="cm-http-") as folder:
        own = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COMMISSION_")},
            "COMMISSION_DATA_DIRECTORY": str(Path(folder) / "data"),
            "COMMISSION_TOKEN_KEY": KEY,
            "COMMISSION_HTTP_PORT": "0",
            "COMMISSION_METRICS_TOKEN": METRICS_TOKEN,
        }
        run(own, "client", "add", "acme")
        run(own, "user", "set", "ada", "--client", "acme", "--roles", "analyst")
        yield own


def run(environment: dict[str, str], *arguments: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "commission_mcp", *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == expected, done.stderr
    return done


@asynccontextmanager
async def serving(environment: dict[str, str], workers: int) -> AsyncGenerator[tuple[str, anyio.abc.Process]]:
    command = [sys.executable, "-m", "commission_mcp", "serve", "--http", "--workers", str(workers)]
    async with await anyio.open_process(command, env=environment, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        lines = b""
        with anyio.fail_after(60):
            while b'"message":"serving"' not in lines or not lines.endswith(b"\n"):
                lines += await process.stderr.receive()
        said = next(line for line in lines.splitlines() if b'"message":"serving"' in line)
        url: str = json.loads(said)["url"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain, process.stderr)
            await until_ready(url)
            try:
                yield url, process
            finally:
                if process.returncode is None:
                    process.terminate()
                    with anyio.fail_after(60):
                        await process.wait()


async def drain(stream: anyio.abc.ByteReceiveStream) -> None:
    async for _ in stream:
        pass


async def until_ready(url: str) -> None:
    async with httpx2.AsyncClient() as http:
        with anyio.fail_after(60):
            while True:
                try:
                    if (await http.get(url.replace("/mcp", "/readyz"))).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await anyio.sleep(0.05)


async def ask(url: str, token: str) -> Any:  # noqa: ANN401 - whatever the rows are
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("query", {"sql": "SELECT client_id FROM clients"})
        content: dict[str, Any] = result.structured_content or {}
        return content["rows"]


def minted(environment: dict[str, str], *further: str) -> str:
    arguments = ("token", "--client", "acme", "--subject", "ada", "--roles", "analyst", *further)
    return run(environment, *arguments).stdout.strip()


async def test_two_workers_answer_and_a_rolling_restart_fails_no_call(environment: dict[str, str]) -> None:
    token = minted(environment)
    answers: list[object] = []
    async with serving(environment, workers=2) as (url, process):
        before = children(process.pid)
        async with anyio.create_task_group() as tasks:

            async def keep_asking() -> None:
                while True:
                    answers.append(await ask(url, token))

            tasks.start_soon(keep_asking)
            process.send_signal(signal.SIGHUP)
            with anyio.fail_after(60):
                while before & children(process.pid):
                    await anyio.sleep(0.05)
            seen = len(answers)
            with anyio.fail_after(30):
                while len(answers) < seen + 5:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        process.terminate()
        with anyio.fail_after(60):
            assert await process.wait() == 0

    assert answers
    assert answers == [[["acme"]]] * len(answers)


def children(process_id: int) -> set[int]:
    """The serving children; the resource tracker of multiprocessing is one too, and stays."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == process_id:
                found |= {int(entry.name)} if b"spawn_main" in (entry / "cmdline").read_bytes() else set()
        except (OSError, IndexError):
            continue
    return found


async def test_the_numbers_of_all_workers_are_added_up(environment: dict[str, str]) -> None:
    token = minted(environment)
    line = 'commission_calls_total{action="tools/call",client="acme",object="query",outcome="ok"} 12.0'
    async with serving(environment, workers=2) as (url, _), httpx2.AsyncClient() as http:
        for _ in range(12):
            await ask(url, token)
        answers = [
            await http.get(url.replace("/mcp", "/metrics"), headers={"authorization": f"Bearer {METRICS_TOKEN}"})
            for _ in range(4)
        ]

    assert [line in answer.text for answer in answers] == [True] * 4


async def test_a_worker_that_is_killed_is_replaced(environment: dict[str, str]) -> None:
    token = minted(environment)
    async with serving(environment, workers=2) as (url, process):
        victim = min(children(process.pid))
        os.kill(victim, signal.SIGKILL)
        with anyio.fail_after(60):
            while len(children(process.pid) - {victim}) < 2:
                await anyio.sleep(0.05)
        assert await ask(url, token) == [["acme"]]


async def test_every_answered_call_is_on_record_though_workers_are_killed(environment: dict[str, str]) -> None:
    kills = 25 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 1
    run(environment, "user", "set", "mallet", "--client", "acme", "--roles", "analyst")
    token = run(environment, "token", "--client", "acme", "--subject", "mallet", "--roles", "analyst").stdout.strip()
    answered: list[object] = []
    async with serving(environment, workers=2) as (url, process), anyio.create_task_group() as tasks:

        async def keep_asking() -> None:
            while True:
                with suppress(httpx2.HTTPError, ExceptionGroup):
                    answered.append(await ask(url, token))

        for _ in range(4):
            tasks.start_soon(keep_asking)
        for _ in range(kills):
            seen = len(answered)
            with anyio.fail_after(60):
                while len(answered) < seen + 20:
                    await anyio.sleep(0.01)
            victim = min(children(process.pid))
            os.kill(victim, signal.SIGKILL)
            with anyio.fail_after(60):
                while len(children(process.pid) - {victim}) < 2:
                    await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    entries = [json.loads(line) for line in run(environment, "audit", "export", "--client", "acme").stdout.splitlines()]
    on_record = [entry for entry in entries if (entry["subject"], entry["outcome"]) == ("mallet", "ok")]

    assert answered == [[["acme"]]] * len(answered)
    assert len(on_record) >= len(answered)
    assert run(environment, "audit", "verify").returncode == 0


def test_without_an_identity_the_server_refuses_to_start(environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "COMMISSION_TOKEN_KEY"}
    done = run(without, "serve", "--http", expected=2)

    assert "E_SETTING" in done.stderr
    assert "COMMISSION_TOKEN_JWKS_URL" in done.stderr


def test_tokens_need_a_key_and_known_roles(environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "COMMISSION_TOKEN_KEY"}
    arguments = ("token", "--client", "acme", "--subject", "ada", "--roles")

    assert "COMMISSION_TOKEN_KEY" in run(without, *arguments, "analyst", expected=2).stderr
    assert "E_ARGUMENT" in run(environment, *arguments, "emperor", expected=2).stderr
    assert KEY not in run(environment, *arguments, "analyst").stdout


def test_users_are_listed_with_their_roles(environment: dict[str, str]) -> None:
    run(environment, "user", "set", "bob", "--client", "acme", "--roles", "auditor,payee", "--disable")
    listed = run(environment, "user", "list", "--client", "acme").stdout.splitlines()

    assert "acme bob commission-mcp bob auditor,payee (disabled)" in listed
    assert (
        "E_CLIENT_UNKNOWN"
        in run(environment, "user", "set", "eve", "--client", "nobody", "--roles", "analyst", expected=2).stderr
    )
