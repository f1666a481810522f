"""`query`, `history`, `calculate` and `health`, at a terminal and in pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import pytest

from commission_mcp.client import CommissionClient
from commission_mcp.server import build_server

if TYPE_CHECKING:
    from conftest import Installation


pytestmark = pytest.mark.usefixtures("anyio_backend")


class Ask(Protocol):
    """Runs a command on client-a's data."""

    def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Exit code and output."""
        ...


@pytest.fixture(scope="module")
def variables(postgres_18: Installation) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as home:
        yield {**postgres_18.variables, "COMMISSION_CLIENT_ID": "client-a", "PATH": "/usr/bin:/bin", "HOME": home}


@pytest.fixture(scope="module")
def ask(variables: dict[str, str]) -> Ask:
    def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "commission_mcp", *arguments],
            input=stdin,
            capture_output=True,
            env={**variables, **environment},
            cwd=variables["HOME"],
            timeout=120,
            check=False,
        )

    return run


def at_a_terminal(variables: dict[str, str], *arguments: str) -> str:
    """What a command prints where stdout is a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "commission_mcp", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={**variables, "TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:
            pass  # the other end is closed
        process.wait()
    os.close(leader)
    return shown.decode()


def test_rows_into_a_pipe_are_csv(ask: Ask) -> None:
    sql = "SELECT sale_id, gross, sold_on, NULL AS nothing, ARRAY['a', 'b'] AS l FROM sales WHERE sale_id = $1"
    answered = ask("query", sql, "-p", "client-a-s1")

    assert list(csv.reader(io.StringIO(answered.stdout.decode()))) == [
        ["sale_id", "gross", "sold_on", "nothing", "l"],
        ["client-a-s1", "101.50", "2025-01-02", "", '["a", "b"]'],
    ]
    assert (answered.returncode, answered.stderr) == (0, b"")


def test_every_row_is_printed_page_by_page_and_the_first_ones_with_a_remark(ask: Ask) -> None:
    sql = b"SELECT sale_id FROM sales ORDER BY sale_id"
    some, every = ask("query", "--max-rows", "5", stdin=sql), ask("query", "-", "--all", "--json", stdin=sql)

    assert len(some.stdout.splitlines()) == 6
    assert b"--all" in some.stderr
    assert len(json.loads(every.stdout)) == 400
    assert json.loads(ask("query", "SELECT 1 WHERE false", "--json").stdout) == []


def test_a_table_is_for_a_terminal_and_carries_no_commands_for_it(variables: dict[str, str]) -> None:
    shown = at_a_terminal(variables, "query", "SELECT chr(27) || '[31mred' AS colour, 12.50 AS amount")

    assert "colour" in shown
    assert "12.50" in shown
    assert "\x1b[31m" not in shown
    assert "," not in at_a_terminal(variables, "query", "SELECT 1 AS a, 2 AS b")


def test_no_color_is_heeded(variables: dict[str, str]) -> None:
    assert "\x1b[" not in at_a_terminal({**variables, "NO_COLOR": "1"}, "query", "SELECT 1 AS a").replace(
        "\x1b[1m", ""
    ).replace("\x1b[0m", "")


def test_a_row_that_is_wider_than_the_terminal_is_printed_with_a_value_on_each_line(variables: dict[str, str]) -> None:
    wide = at_a_terminal(variables, "query", "SELECT repeat('x', 70) AS a, 1.50 AS amount, repeat('y', 70) AS b")

    assert re.search(r"(?m)^amount +1.50", wide)


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT * FROM sales, payees"])
def test_a_reader_that_goes_away_ends_a_command_quietly(variables: dict[str, str], sql: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "commission_mcp", "query", "--all", sql]
    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=variables, check=False)
    os.close(writing)

    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full here")
def test_output_that_finds_no_room_is_said_and_is_no_crash(variables: dict[str, str]) -> None:
    command = [sys.executable, "-u", "-m", "commission_mcp", "query", "SELECT 1"]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=variables, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith(b"The output could not be written")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["query", "DELETE FROM sales"], 2, b"E_SQL_NOT_SELECT"),
        (["query", "SELECT nam FROM payees"], 2, b"Did you mean `name`"),
        (["query", "SELECT 1", "--client", "nobody"], 4, b"E_CLIENT_UNKNOWN"),
        (["history", "no-such-session"], 4, b"E_NOT_FOUND"),
        (["query", "SELECT 1", "--url", "http://127.0.0.1:1/mcp"], 5, b"cannot be reached"),
        (["query", "SELECT 1", "--url", "nonsense"], 2, b"is no address"),
        (["calculate", "/nonexistent.json"], 2, b"E_ARGUMENT"),
        (["calculate", "-"], 2, b"E_JSON"),
    ],
)
def test_a_failure_has_its_exit_code_and_its_fix(ask: Ask, arguments: list[str], code: int, word: bytes) -> None:
    failed = ask(*arguments)

    assert failed.returncode == code, failed.stderr
    assert word in failed.stderr
    assert failed.stdout == b""
    assert b"Traceback" not in failed.stderr


def test_a_role_that_lacks_has_its_exit_code(ask: Ask) -> None:
    assert ask("query", "SELECT 1", COMMISSION_ROLES="payee").returncode == 3


def test_a_closed_pipe_is_no_failure_to_speak_of(variables: dict[str, str]) -> None:
    command = f"{sys.executable} -m commission_mcp query 'SELECT * FROM generate_series(1, 9000)' | head -2"
    ran = subprocess.run(command, shell=True, env=variables, capture_output=True, timeout=60, check=True)  # noqa: S602 - a pipe is what is tested

    assert ran.stdout == b"generate_series\n1\n"
    assert b"Traceback" not in ran.stderr


def test_history_shows_what_was_said(ask: Ask, postgres_18: Installation, variables: dict[str, str]) -> None:
    settings = postgres_18.settings("client-a")
    with CommissionClient(server=build_server(settings), environment={}) as client:
        said = client.chat_history("append", role="user", content="What are the rates?", sources=["rates.pdf"])
    listed = list(csv.DictReader(io.StringIO(ask("history", "--list").stdout.decode())))
    read = json.loads(ask("history", str(said.session_id), "--json").stdout)
    shown = at_a_terminal(variables, "history")

    assert said.session_id in {row["session_id"] for row in listed}
    assert [(message["role"], message["content"], message["sources"]) for message in read] == [
        ("user", "What are the rates?", ["rates.pdf"])
    ]
    assert "What are the rates?" in shown
    assert "rates.pdf" in shown


PLAN = {
    "currency": "USD",
    "calculation_schedule": "Monthly",
    "rules": [{"category_type": "Flat", "value_type": "Percentage", "base_value": "Gross Revenue", "commission": 7.1}],
}


def test_a_plan_is_calculated_from_files_and_from_stdin(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    (tmp_path / "sales.csv").write_text("amount,date,payee,product\n1000.10,2026-07-03,p1,\n-200,2026-07-04,p2,\n")
    sales = [{"amount": 1000.10, "date": "2026-07-03", "payee": "p1"}]
    whole = json.dumps({"plan": PLAN, "sales": sales}).encode()
    by_files = ask("calculate", str(tmp_path / "plan.json"), "--sales", str(tmp_path / "sales.csv"), "--steps")
    by_stdin = ask("calculate", "-", "--json", stdin=whole)

    assert [row["amount"] for row in csv.DictReader(io.StringIO(by_files.stdout.decode()))] == ["71.01", "-14.20"]
    assert b"Total 56.81 USD" in by_files.stderr
    assert [line["amount"] for line in json.loads(by_stdin.stdout)] == ["71.01"]


def test_health_is_json_with_an_exit_code(ask: Ask) -> None:
    healthy = ask("health")
    broken = ask("health", COMMISSION_REDIS_URL="redis://127.0.0.1:1/0")

    assert (json.loads(healthy.stdout)["mcp_server_status"], healthy.returncode) == ("healthy", 0)
    assert (json.loads(broken.stdout)["mcp_server_status"], broken.returncode) == ("degraded", 1)


@pytest.mark.anyio
async def test_a_server_is_asked_over_http_with_a_token_from_a_file(
    postgres_18: Installation, variables: dict[str, str], tmp_path: Path
) -> None:
    """The same verbs on a server of many callers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = "k" * 64
    serving = {
        **postgres_18.variables,
        "PATH": "/usr/bin:/bin",
        "COMMISSION_HTTP_PORT": str(port),
        "COMMISSION_TOKEN_KEY": key,
    }
    run = [sys.executable, "-m", "commission_mcp"]
    granted = subprocess.run(
        [*run, "user", "set", "ann", "--client", "client-a", "--roles", "analyst"],
        env=serving,
        capture_output=True,
        check=False,
    )
    assert granted.returncode == 0, granted.stderr
    minted = subprocess.run(
        [*run, "token", "--client", "client-a", "--subject", "ann", "--roles", "analyst"],
        env=serving,
        capture_output=True,
        check=True,
    )
    (tmp_path / "token").write_bytes(minted.stdout)
    process = await anyio.open_process([*run, "serve", "--http"], env=serving, stderr=subprocess.DEVNULL)
    try:
        with anyio.fail_after(60):
            while True:
                try:
                    stream = await anyio.connect_tcp("127.0.0.1", port)
                    await stream.aclose()
                    break
                except OSError:
                    await anyio.sleep(0.1)
        command = [
            *run,
            "query",
            "SELECT client_id, count(*) FROM sales GROUP BY 1",
            "--url",
            f"http://127.0.0.1:{port}/mcp",
        ]
        asked = await anyio.run_process([*command, "--token-file", str(tmp_path / "token")], env=variables, check=False)
        refused = await anyio.run_process(command, env=variables, check=False)
    finally:
        process.terminate()
        await process.wait()

    assert asked.stdout == b"client_id,count\nclient-a,400\n", asked.stderr
    assert refused.returncode == 3


PHASES: list[dict[str, object]] = [
    {
        "phase": 1,
        "fields": {
            "plan_name": "From a file",
            "description": "Drafted by a command.",
            "calculation_schedule": "Monthly",
            "payment_schedule": "Monthly",
            "assignee_type": "Territory",
            "valid_from": "2028-01-01",
            "valid_to": "2028-12-31",
        },
    },
    {
        "phase": 2,
        "fields": {
            "plan_type": "Revenue Target",
            "category_type": "Tiered",
            "range_type": "Amount",
            "value_type": "Percentage",
            "base_value": "Gross Revenue",
            "tiers": [{"from": 0, "to": 100000, "commission": 5.5}, {"from": 100001, "to": None, "commission": 7.1}],
        },
    },
    {"phase": 3, "fields": {"assignments": [{"territory": "north", "product": "pa"}], "currency": "USD", "uom": "EA"}},
]


def test_a_plan_is_drafted_from_a_file_and_submitted(ask: Ask, tmp_path: Path) -> None:
    author: dict[str, Any] = {"COMMISSION_ROLES": "plan_author"}
    approver: dict[str, Any] = {"COMMISSION_ROLES": "manager"}
    (tmp_path / "part.json").write_text(json.dumps(PHASES[:2]))
    (tmp_path / "whole.json").write_text(json.dumps(PHASES))
    part = ask("plan", "draft", str(tmp_path / "part.json"), **author)
    whole = ask("plan", "draft", str(tmp_path / "whole.json"), "--submit", **author)
    listed = json.loads(ask("plan", "drafts", "--json", **author).stdout)
    waiting = json.loads(ask("plan", "waiting", "--json", **approver).stdout)

    assert part.returncode == 1
    assert b"missing: assignments" in part.stderr
    assert whole.returncode == 0, whole.stderr
    plan = json.loads(whole.stdout)["plan"]
    assert json.loads(part.stdout)["draft_id"] in {each["draft_id"] for each in listed}
    assert (plan["status"] == "submitted") == (plan["plan_id"] in {each["plan_id"] for each in waiting})


@pytest.mark.parametrize("content", ["{}", "[1]", "not json"])
def test_a_file_without_phases_is_refused(ask: Ask, tmp_path: Path, content: str) -> None:
    (tmp_path / "phases.json").write_text(content)

    assert ask("plan", "draft", str(tmp_path / "phases.json")).returncode == 2


def test_passages_are_found_with_their_place_and_none_has_its_exit_code(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "rates.md").write_text("# Accelerators\n\nAbove quota the rate rises to nine percent.\n")
    folders: dict[str, Any] = {
        "COMMISSION_DOCUMENTS_DIRECTORY": str(tmp_path / "documents"),
        "COMMISSION_INDEX_DIRECTORY": str(tmp_path / "indexes"),
        "COMMISSION_MODEL_DIRECTORY": str(tmp_path / "model"),
        "COMMISSION_MODEL_FETCH": "false",
    }
    before = ask("search", "What is the rate above quota?", **folders)
    indexed = ask("index", **folders)
    found = ask("search", "What is the rate above quota?", "--json", **folders)

    assert before.returncode in {0, 4}  # a server that is asked reads the folder, too
    assert indexed.returncode == 0, indexed.stderr
    assert found.returncode == 0, found.stderr
    passage = json.loads(found.stdout)[0]
    assert "rates.md" in passage["document"]
    assert "nine percent" in passage["text"]
    folders["COMMISSION_DOCUMENTS_DIRECTORY"] = str(tmp_path / "empty")
    assert ask("search", "zzzqqq", **folders).returncode == 4
