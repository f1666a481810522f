"""The program as an operator runs it: `commission-mcp serve --http` in several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = pytest.mark.anyio

METRICS_TOKEN = "a token for the numbers"  # noqa: S105 - of this test's installation
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
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


def client_of(token: str) -> httpx2.AsyncClient:
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    return httpx2.AsyncClient(headers=headers, timeout=30)


async def ask_on(http: httpx2.AsyncClient, url: str) -> Any:  # noqa: ANN401 - whatever the rows are
    """The same as one request, on a connection that is kept."""
    answer = await post(
        http, url, "tools/call", {"name": "query", "arguments": {"sql": "SELECT client_id FROM clients"}}
    )
    return answer["result"]["structuredContent"]["rows"]


async def post(http: httpx2.AsyncClient, url: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One message and its answer."""
    response = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    texts = [line.removeprefix("data:") for line in response.text.splitlines() if line.startswith("data:")]
    answer: dict[str, Any] = json.loads(texts[0] if texts else response.text)
    return answer


def minted(environment: dict[str, str], *further: str) -> str:
    arguments = ("token", "--client", "acme", "--subject", "ada", "--roles", "analyst", *further)
    return run(environment, *arguments).stdout.strip()


@pytest.mark.campaign
async def test_workers_are_replaced_without_a_failed_call(environment: dict[str, str]) -> None:
    """Eight callers, half of them with a connection that they keep, half with a new one for each call."""
    rolls = 20 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 1
    unbounded = {"COMMISSION_RATE_SUBJECT_PER_MINUTE": "1000000", "COMMISSION_CONCURRENT_CALLS_PER_SUBJECT": "32"}
    token = minted(environment)
    answers: list[object] = []
    async with serving({**environment, **unbounded}, workers=2) as (url, process), AsyncExitStack() as kept:
        callers = [partial(ask, url, token)] * 4
        callers += [partial(ask_on, await kept.enter_async_context(client_of(token)), url) for _ in range(4)]
        async with anyio.create_task_group() as tasks:
            for caller in callers:
                tasks.start_soon(keep_asking, caller, answers)
            for _ in range(rolls):
                await roll(process)
                await until_more(answers, 20)
            tasks.cancel_scope.cancel()
        process.terminate()
        with anyio.fail_after(60):
            assert await process.wait() == 0

    assert [answer for answer in answers if answer != [["acme"]]] == []


async def keep_asking(ask: Callable[[], Awaitable[object]], answers: list[object]) -> None:
    """Ask for ever, and keep what comes of it: rows, or a failure."""
    while True:
        try:
            answers.append(await ask())
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is not an answer
            answers.append(failure)


async def roll(process: anyio.abc.Process) -> None:
    """Have all workers replaced."""
    before = children(process.pid)
    process.send_signal(signal.SIGHUP)
    with anyio.fail_after(300):
        while before & children(process.pid) or len(children(process.pid)) != len(before):
            await anyio.sleep(0.05)


async def until_more(answers: list[object], count: int) -> None:
    """Wait for further answers."""
    enough = len(answers) + count
    with anyio.fail_after(60):
        while len(answers) < enough:
            await anyio.sleep(0.01)


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

    print(kills, "kills,", len(answered), "calls answered,", len(on_record), "on record")  # noqa: T201 - the figures
    assert answered == [[["acme"]]] * len(answered)
    assert len(on_record) >= len(answered)
    assert run(environment, "audit", "verify").returncode == 0


async def test_spans_say_what_a_call_spent_its_time_on_and_nothing_of_what_it_was_about(
    environment: dict[str, str],
) -> None:
    token = minted(environment)
    with span_receiver() as (received, endpoint):
        telling = {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_RESOURCE_ATTRIBUTES": "team=pay"}
        async with serving(telling, workers=1) as (url, _), client_of(token) as http:
            http.headers["traceparent"] = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
            assert await ask_on(http, url) == [["acme"]]
            for name, arguments in (
                (
                    "query",
                    {
                        "sql": "SELECT name FROM clients WHERE name = 'planted in sql' OR name = $1",
                        "params": ["planted"],
                    },
                ),
                ("query", {"sql": "SELECT planted_column FROM clients"}),
                ("planted_tool", {"planted_argument": "planted"}),
            ):
                await post(http, url, "tools/call", {"name": name, "arguments": arguments})
            await post(http, url, "prompts/get", {"name": "planted_prompt"})
            await post(http, url, "resources/read", {"uri": "document://planted/planted.pdf"})
            await post(http, url, "planted/method", {})
    spans = spans_of(received)
    of_the_call = [span for span in spans if span.trace_id.hex() == TRACE_ID]
    steps = {
        "request",
        "token",
        "body",
        "rates",
        "tools/call query",
        "admission",
        "guard",
        "cache",
        "database",
        "audit",
    }

    assert {span.name for span in of_the_call} >= {"request", "tools/call query", *steps}
    assert len({span.trace_id for span in spans}) == 1
    assert not [payload for payload in received if b"planted" in payload or token.encode() in payload]
    assert b"team" in received[0]


def test_telemetry_that_is_not_offered_is_refused_by_name(environment: dict[str, str]) -> None:
    asked = {**environment, "OTEL_TRACES_EXPORTER": "zipkin"}

    assert "OTEL_TRACES_EXPORTER" in run(asked, "serve", "--http", expected=2).stderr


@contextmanager
def span_receiver() -> Generator[tuple[list[bytes], str]]:
    """What arrives at an OTLP endpoint, and where that is."""
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base's argument
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def spans_of(received: list[bytes]) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(payload) for payload in received]
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


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

    assert 'acme,bob,commission-mcp,bob,"auditor,payee",false' in listed
    assert (
        "E_CLIENT_UNKNOWN"
        in run(environment, "user", "set", "eve", "--client", "nobody", "--roles", "analyst", expected=2).stderr
    )
