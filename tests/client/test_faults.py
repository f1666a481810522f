"""What happens when a server hangs, dies or is busy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from commission_mcp.client import (
    AsyncCommissionClient,
    CallTimeoutError,
    CommissionClient,
    ConnectionLostError,
    RefusedError,
    ServerError,
    SettingsError,
    UnavailableError,
)
from commission_mcp.server import build_server

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from client.conftest import OpenClient, ServeHttp
    from conftest import Installation

pytestmark = pytest.mark.anyio


def server_with(tool: Callable[..., Awaitable[Any]], name: str = "work") -> MCPServer:
    """A server of another kind than ours, with one tool."""
    server = MCPServer(name="other")
    server.add_tool(tool, name=name)
    return server


async def test_progress_counts_as_being_heard() -> None:
    async def work(ctx: Context[Any]) -> str:
        for number in range(8):
            await anyio.sleep(0.1)
            await ctx.report_progress(number, 8, "working")
        return "done"

    told: list[tuple[float, float | None, str | None]] = []
    async with AsyncCommissionClient(server=server_with(work), timeout_s=0.4, environment={}) as client:
        answer = await client.execute_tool(
            "work", on_progress=lambda done, total, word: told.append((done, total, word))
        )

    assert "done" in answer.text
    assert (7.0, 8.0, "working") in told


async def test_a_call_of_which_nothing_is_heard_is_given_up_and_stopped() -> None:
    stopped = anyio.Event()

    async def work() -> str:
        try:
            await anyio.sleep(60)
        finally:
            stopped.set()
        return "done"

    async with AsyncCommissionClient(server=server_with(work), timeout_s=0.2, environment={}) as client:
        with pytest.raises(CallTimeoutError):
            await client.execute_tool("work")
        with anyio.fail_after(50):  # less than the work would take
            await stopped.wait()


async def test_a_crash_of_a_tool_is_the_servers_failure() -> None:
    async def work() -> str:
        raise RuntimeError("private")

    async with AsyncCommissionClient(server=server_with(work), environment={}) as client:
        with pytest.raises(ServerError):
            await client.execute_tool("work")


async def test_a_server_that_was_killed_is_started_again_for_the_next_call(stdio_command: list[str]) -> None:
    async with AsyncCommissionClient(command=stdio_command, environment={}) as client:
        assert (await client.query("SELECT 1")).scalar() == 1
        _kill_servers_of(os.getpid())
        assert (await client.query("SELECT 2")).scalar() == 2


def _kill_servers_of(parent: int) -> None:
    """Kill the MCP servers that this process started: not the supervisor, which has a session of its own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(status[1]) == parent and b"commission_mcp\0serve" in command:
                os.kill(int(entry.name), signal.SIGKILL)


async def test_a_call_that_writes_is_not_sent_twice(tmp_path: Path) -> None:
    """A server that dies while it works on a call: reading is tried again, writing is not."""
    program = tmp_path / "server.py"
    program.write_text(
        "import os, pathlib\n"
        "from mcp.server import MCPServer\n"
        "server = MCPServer(name='dying')\n"
        "def die(name):\n"
        "    with open(pathlib.Path(__file__).with_name(name), 'a') as file: file.write('x')\n"
        "    os._exit(1)\n"
        "@server.tool()\n"
        "async def query(sql: str, params: list | None = None, max_rows: int = 1, max_chars: int = 1) -> str:\n"
        "    die('reads')\n"
        "@server.tool()\n"
        "async def plan_wizard() -> str:\n"
        "    die('writes')\n"
        "server.run()\n"
    )
    async with AsyncCommissionClient(command=[sys.executable, str(program)], environment={}) as client:
        with pytest.raises(ConnectionLostError):
            await client.query("SELECT 1")
        with pytest.raises(ConnectionLostError):
            await client.execute_tool("plan_wizard")

    assert (tmp_path / "reads").read_text() == "xxx"
    assert (tmp_path / "writes").read_text() == "x"


async def test_a_program_that_refuses_to_start_says_why() -> None:
    command = [sys.executable, "-m", "commission_mcp", "serve"]
    with pytest.raises(RefusedError) as refused:
        async with AsyncCommissionClient(command=command, environment={"COMMISSION_NONSENSE": "1"}):
            pass

    assert refused.value.codes == {"E_SETTING_UNKNOWN"}


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="no-such-program"):
        async with AsyncCommissionClient(command="no-such-program", environment={}):
            pass


async def test_a_server_that_is_down_is_unavailable_and_its_address_is_shown_without_secrets() -> None:
    url = "http://user:hunter2@127.0.0.1:1/mcp?key=hunter2"
    with pytest.raises(UnavailableError) as refused:
        async with AsyncCommissionClient(url, environment={}, retries=0):
            pass

    assert "127.0.0.1:1/mcp" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_busy_server_is_asked_again_after_the_time_that_it_names(
    serve_http: ServeHttp, postgres_18: Installation
) -> None:
    app = build_server(postgres_18.settings("client-a")).streamable_http_app(stateless_http=True)
    refusals = [503, 429]

    async def sometimes_busy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and answered and refusals:
            await send({"type": "http.response.start", "status": refusals.pop(), "headers": [(b"retry-after", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    answered: list[bool] = []
    async with serve_http(sometimes_busy) as url, AsyncCommissionClient(url, environment={}) as client:
        answered.append(True)
        assert (await client.query("SELECT 1")).scalar() == 1

    assert refusals == []


async def test_rows_that_change_between_pages_are_read_anew(open_client: OpenClient, postgres_18: Installation) -> None:
    sql = "SELECT sale_id FROM sales ORDER BY sale_id"
    change = "UPDATE cm.sale SET customer = customer WHERE sale_id = 'client-a-s1'"
    async with (
        open_client("process") as client,
        await psycopg.AsyncConnection.connect(postgres_18.superuser_url, autocommit=True) as connection,
    ):
        reading = client.pages(sql, page_rows=300)
        await anext(reading)
        await connection.execute("SET ROLE cm_ops")
        await connection.execute(change)
        with pytest.raises(RefusedError) as stale:
            await anext(reading)
        assert len(await client.fetch_all(sql)) == 400

    assert stale.value.codes == {"E_CURSOR_STALE"}


@pytest.mark.usefixtures("anyio_backend")
def test_the_ordinary_client_is_for_threads_and_closes(stdio_command: list[str]) -> None:
    answers: list[object] = []
    with CommissionClient(command=stdio_command, environment={}) as client:

        def ask(number: int) -> None:
            answers.append(client.query("SELECT $1::int", [number]).scalar())

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    client.close()

    assert sorted(answers, key=str) == list(range(5))
    assert client.query("SELECT 6").scalar() == 6
    client.close()


@pytest.mark.usefixtures("anyio_backend")
def test_a_program_that_forgets_to_close_the_client_ends(stdio_command: list[str]) -> None:
    program = (
        "from commission_mcp.client import CommissionClient\n"
        f"client = CommissionClient(command={stdio_command!r})\n"
        "print(client.query('SELECT 1').scalar())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)

    assert (ran.stdout, ran.returncode) == (b"1\n", 0), ran.stderr
    assert ran.stderr == b""


@pytest.mark.usefixtures("anyio_backend")
def test_an_interrupted_call_ends_and_the_client_goes_on(stdio_command: list[str]) -> None:
    program = (
        "import _thread, signal, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the suite runs in the background
        "from commission_mcp.client import CommissionClient\n"
        f"with CommissionClient(command={stdio_command!r}) as client:\n"
        "    client.query('SELECT 1')\n"
        "    try:\n"
        "        threading.Timer(0.3, _thread.interrupt_main).start()\n"
        "        client.query('SELECT count(*) FROM generate_series(1, 9000) a, generate_series(1, 9000) b')\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', client.query('SELECT 2').scalar())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)

    assert ran.stdout == b"interrupted 2\n", ran.stderr
