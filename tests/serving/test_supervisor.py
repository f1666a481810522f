"""Workers are replaced when they die, hang or are outdated, and end with their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import httpx2
import pytest

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Program:
    """The supervisor, from outside."""

    process: anyio.abc.Process
    folder: Path
    url: str

    async def seen(self) -> set[int]:
        """The workers that answer, each on a connection of its own."""
        found: set[int] = set()
        for _ in range(12):
            async with httpx2.AsyncClient(timeout=30, verify=False) as http:
                with suppress(httpx2.TransportError):
                    found.add(int((await http.get(self.url)).text))
        return found

    def workers(self) -> set[int]:
        """The processes that it runs."""
        return set(_children(self.process.pid))

    async def until_workers(self, count: int, other_than: Iterable[int] = ()) -> set[int]:
        """Wait until it runs so many workers, all of them new and started, and they answer."""
        others = set(other_than)
        with anyio.fail_after(60):
            while True:
                workers = self.workers()
                complete = len(workers) == count and not workers & others and self._have_started(workers)
                if complete and await self.seen() <= workers:
                    return workers
                await anyio.sleep(0.02)

    def _have_started(self, workers: Iterable[int]) -> bool:
        return all((self.folder / f"started-{worker}").exists() for worker in workers)

    async def end(self) -> int:
        """The program's exit code, once it ended."""
        with anyio.fail_after(60):
            return await self.process.wait()


@asynccontextmanager
async def supervised(*, broken: bool = False, silent_s: float = 300) -> AsyncGenerator[Program]:
    command = [sys.executable, "-m", "serving.supervised"]
    with tempfile.TemporaryDirectory(prefix="cm-supervised-") as name:
        folder = Path(name)
        if broken:
            (folder / "broken").touch()
        async with await anyio.open_process(
            [*command, name, str(silent_s)], cwd=TESTS, stdout=subprocess.DEVNULL, stderr=None
        ) as process:
            with anyio.fail_after(60):
                while not (folder / "port").exists():
                    await anyio.sleep(0.02)
            program = Program(process, folder, f"http://127.0.0.1:{(folder / 'port').read_text()}/")
            try:
                yield program
            finally:
                if process.returncode is None:
                    process.terminate()
                    await program.end()


def _children(process_id: int) -> Iterable[int]:
    """The children but for multiprocessing's tracker of resources."""
    for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text("ascii").split():
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)


def _exists(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


async def test_a_worker_that_dies_is_replaced() -> None:
    async with supervised() as program:
        first, second = await program.until_workers(2)
        os.kill(first, signal.SIGKILL)
        with anyio.fail_after(60):
            while len(program.workers() - {first}) < 2:
                await anyio.sleep(0.02)
        workers = await program.until_workers(2, {first})

    assert second in workers


async def test_a_worker_that_hangs_is_replaced() -> None:
    async with supervised(silent_s=4) as program:
        before = await program.until_workers(2)
        async with httpx2.AsyncClient(timeout=60) as http:
            with pytest.raises(httpx2.TransportError):
                await http.get(f"{program.url}hang")
        with anyio.fail_after(60):
            while len(program.workers()) < 2:
                await anyio.sleep(0.02)

        assert before - program.workers()


async def test_a_hang_up_replaces_all_and_a_caller_notices_nothing() -> None:
    answers: list[int] = []
    async with supervised() as program, AsyncExitStack() as clients, anyio.create_task_group() as tasks:
        before = await program.until_workers(2)

        async def keep_asking(http: httpx2.AsyncClient) -> None:
            while True:
                answers.append(int((await http.get(program.url)).text))

        async def ask_anew() -> None:
            while True:
                async with httpx2.AsyncClient(timeout=30, verify=False) as http:
                    answers.append(int((await http.get(program.url)).text))

        kept = [await clients.enter_async_context(httpx2.AsyncClient(timeout=30)) for _ in range(3)]
        for http in kept:
            tasks.start_soon(keep_asking, http)
        tasks.start_soon(ask_anew)
        for _ in range(2):
            program.process.send_signal(signal.SIGHUP)
            before = await program.until_workers(2, before)
        tasks.cancel_scope.cancel()

    assert len(set(answers)) >= 4


async def test_a_successor_that_does_not_start_leaves_the_old_ones_be() -> None:
    async with supervised() as program:
        before = await program.until_workers(2)
        (program.folder / "broken").touch()
        program.process.send_signal(signal.SIGHUP)
        with anyio.fail_after(60):
            while len(program.workers()) < 3:
                await anyio.sleep(0.001)
            while len(program.workers()) > 2:
                await anyio.sleep(0.02)

        assert program.workers() == before
        assert await program.seen() <= before


async def test_workers_that_cannot_start_end_the_program() -> None:
    async with supervised(broken=True) as program:
        assert await program.end() == 3


async def test_a_program_that_is_told_to_end_while_it_replaces_ends() -> None:
    async with supervised() as program:
        await program.until_workers(2)
        program.process.send_signal(signal.SIGHUP)
        with anyio.fail_after(60):
            while len(program.workers()) < 3:
                await anyio.sleep(0.001)
        program.process.terminate()

        assert await program.end() == 0


async def test_workers_end_when_their_supervisor_is_gone() -> None:
    async with supervised() as program:
        workers = await program.until_workers(2)
        program.process.kill()
        await program.end()
        with anyio.fail_after(60):
            while any(map(_exists, workers)):
                await anyio.sleep(0.02)
