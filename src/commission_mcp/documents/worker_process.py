"""The parent's side of a worker: start it without secrets, ask it, and end it when it takes too much."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
import orjson
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.refusals import too_large, too_slow
from commission_mcp.errors import Code, Problem, Refused

PROGRAM = "commission_mcp.documents.worker"
DOCUMENTS_A_WORKER = 100
"""A worker is replaced after this many documents: parsers leak."""

LENGTH_BYTES = 8
REFUSAL = b"R"
ANSWER_BYTES_A_CHAR = 6
ANSWER_BYTES_BESIDE = 64 << 20
"""The answer's bound: the text, each character escaped at worst, and the places of the blocks."""


class WorkerDied(Exception):  # noqa: N818 - an outcome of a bad file, not an error of the program
    """The worker ended without an answer."""


class WorkerProcess:
    """A process that reads one document at a time."""

    def __init__(self, process: Process, limits: ReadingLimits, scratch: Path) -> None:
        self._process = process
        self._scratch = scratch
        self._limits = limits
        self._input = cast("ByteSendStream", process.stdin)
        self._output = cast("ByteReceiveStream", process.stdout)
        self._busy = False
        self.served = 0

    @classmethod
    async def start(cls, limits: ReadingLimits) -> WorkerProcess:
        """Start a worker: isolated from the environment, which may hold secrets, and in a session of its own.

        What it starts itself (an OCR program) belongs to that session and ends with it. Pictures that it hands to such
        a program lie in a directory of its own, which is deleted when it ends, however it ends.
        """
        scratch = Path(await anyio.mkdtemp(prefix="commission-mcp-reading-"))
        command = [sys.executable, "-I", "-X", "utf8", "-m", PROGRAM, orjson.dumps(asdict(limits)).decode()]
        environment = {
            "OMP_THREAD_LIMIT": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": _search_path(),
            "TMPDIR": str(scratch),
        }
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        return cls(process, limits, scratch)

    @property
    def usable(self) -> bool:
        """Whether it waits for a document and may read one more."""
        return not self._busy and self._process.returncode is None and self.served < DOCUMENTS_A_WORKER

    async def ask(self, name: str, content: bytes) -> bytes:
        """Have a document read; the answer is its JSON.

        Raises:
            Refused: It cannot be read.
            WorkerDied: The worker ended without an answer; it is not `usable` any more.
        """
        self._busy = True
        try:
            with anyio.fail_after(self._limits.seconds_max):
                answer = await self._exchange(name, content)
        except TimeoutError as error:
            raise too_slow(self._limits.seconds_max) from error
        self._busy = False
        self.served += 1
        if answer.startswith(REFUSAL):
            code, message, fix = cast("list[str]", orjson.loads(answer[1:]))
            raise Refused(Problem(Code(code), message, fix))
        return answer[1:]

    async def aclose(self) -> None:
        """End it and what it started; a document that it reads is lost."""
        with anyio.CancelScope(shield=True):
            if self._busy or self._process.returncode is None:  # else its number may be another's by now
                with suppress(ProcessLookupError, PermissionError):
                    self._kill()
            await self._process.aclose()
            await anyio.to_thread.run_sync(partial(shutil.rmtree, self._scratch, ignore_errors=True))

    def _kill(self) -> None:
        """Kill its group, which has its number, also when it has ended itself and what it started has not."""
        if sys.platform == "win32":
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _exchange(self, name: str, content: bytes) -> bytes:
        try:
            for body in (name.encode(), content):
                await self._input.send(len(body).to_bytes(LENGTH_BYTES, "big"))
                await self._input.send(body)
            return await self._answer()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead) as end:
            raise await self._reason() from end

    async def _answer(self) -> bytes:
        length = int.from_bytes(await self._exactly(LENGTH_BYTES), "big")
        if length > self._limits.text_chars_max * ANSWER_BYTES_A_CHAR + ANSWER_BYTES_BESIDE:
            raise too_large("The document has too many paragraphs and rows.")
        return bytes(await self._exactly(length))

    async def _exactly(self, length: int) -> bytearray:
        received = bytearray()
        while len(received) < length:
            received += await self._output.receive(min(length - len(received), 1 << 20))
        return received

    async def _reason(self) -> Exception:
        """Why the worker ended: the kernel's limit of CPU time has a signal of its own."""
        await self._process.wait()
        if sys.platform != "win32" and self._process.returncode == -signal.SIGXCPU:
            return too_slow(self._limits.seconds_max)
        return WorkerDied(f"the worker ended with status {self._process.returncode}")


def _search_path() -> str:
    """Where the worker looks for programs: the system's folders, and the one that has `tesseract`."""
    program = shutil.which("tesseract")
    folders = [str(Path(program).parent)] if program else []
    return os.pathsep.join([*folders, os.defpath])
