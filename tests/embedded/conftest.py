"""Clients in processes of their own, and what can be seen of a data directory's servers from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeAlias

import psycopg
import pytest
import redis

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
DEADLINE_S = 60.0


class Client:
    """A process that holds, or waits for, the servers of a data directory."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._answer: dict[str, str] | None = None

    @property
    def answer(self) -> dict[str, str]:
        """What it printed: the addresses of the servers, or `refused`."""
        if self._answer is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, "the client ended without an answer"
            answer: dict[str, str] = json.loads(line)
            self._answer = answer
        return self._answer

    @property
    def codes(self) -> list[str]:
        """The codes of its refusal; none if it has the servers."""
        return [code for code, _ in self.answer.get("refused", [])]

    def sql(self, statement: str) -> object:
        """Run one statement and commit; the first value of the answer."""
        with psycopg.connect(self.answer["postgres"]) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    def valkey(self, which: str) -> redis.Redis:
        """A connection to the Valkey `history` or `cache`."""
        return redis.Redis.from_url(self.answer[which], decode_responses=True)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped

    def pings(self, which: str) -> bool:
        """Whether the Valkey answers."""
        return self.valkey(which).ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped

    def leave(self) -> str:
        """Let it end in good order; what else it printed."""
        rest, _ = self.process.communicate(timeout=DEADLINE_S)
        return rest

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)


class Open(Protocol):
    """Starts a client, through an interpreter, as a user, with the options of `open_servers`."""

    def __call__(
        self, directory: Path, *, through: Sequence[str] = ..., user: int | None = ..., **options: object
    ) -> Client:
        """Start it; its `answer` comes later."""
        ...


OpenIn: TypeAlias = Callable[[], AbstractContextManager[Open]]


class Outside:
    """What can be seen of a data directory from outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def supervisor(self) -> int:
        """The process that wrote the supervisor's lock."""
        return int((self.directory / "locks" / "supervisor.lock").read_text())

    @property
    def postmaster(self) -> int:
        """The process of PostgreSQL."""
        return int((self.directory / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    def processes(self) -> dict[int, str]:
        """All processes that run in the directory or name it on their command line, zombies included."""
        wanted = str(self.directory)
        found: dict[int, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if wanted in command or str((process / "cwd").readlink()).startswith(wanted):
                    found[int(process.name)] = command
        return found

    def wait_until_empty(self) -> None:
        """Wait until nothing runs for the directory."""
        _eventually(lambda: not self.processes(), lambda: f"still running: {self.processes()}")


def _eventually(condition: Callable[[], object], otherwise: Callable[[], str] = lambda: "it never became true") -> None:
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        pause.wait(0.01)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait on a condition, with a deadline."""
    return _eventually


@contextmanager
def _clients() -> Generator[Open]:
    """Start clients; those that still run at the end are killed."""
    clients: list[Client] = []

    def start(directory: Path, *, through: Sequence[str] = (), user: int | None = None, **options: object) -> Client:
        process = subprocess.Popen(
            [*(through or [sys.executable]), HERE / "client_program.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(SOURCE), *sys.path])},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        client = Client(process)
        clients.append(client)
        assert process.stdin is not None
        process.stdin.write(json.dumps({"directory": str(directory), "grace_s": 0} | options) + "\n")
        process.stdin.flush()
        return client

    try:
        yield start
    finally:
        for client in clients:
            if client.process.returncode is None:
                client.kill()


@pytest.fixture(scope="session")
def clients() -> OpenIn:
    """Start clients within a block."""
    return _clients


@pytest.fixture
def open_client() -> Generator[Open]:
    """Start clients within a test."""
    with _clients() as start:
        yield start


@pytest.fixture
def fresh(tmp_path: Path) -> Generator[Path]:
    """A data directory that does not exist yet; nothing may run for it after the test."""
    directory = tmp_path / "data"
    yield directory
    _leave_nothing(directory)


@pytest.fixture(scope="session")
def used_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of a data directory that several tests use, one after the other: a first start takes a second."""
    return tmp_path_factory.mktemp("embedded") / "data"


@pytest.fixture
def directory(used_once: Path) -> Generator[Path]:
    """A data directory for a test that does not mind what others left in it; nothing may run for it after the test."""
    yield used_once
    _leave_nothing(used_once)


def _leave_nothing(directory: Path) -> None:
    outside = Outside(directory)
    try:
        outside.wait_until_empty()
    finally:
        for process in outside.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture
def outside() -> type[Outside]:
    """The view of a data directory from outside."""
    return Outside


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run a program in a new interpreter; what it printed."""

    def run(program: str) -> str:
        command = [sys.executable, "-c", textwrap.dedent(program)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    return run
