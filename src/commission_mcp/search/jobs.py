"""Indexings in the background: one at a time in this process, and one at a time per collection over all processes."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import anyio
import orjson

from commission_mcp.durable_files import replace_file
from commission_mcp.errors import Refused
from commission_mcp.search.progress import Phase, Progress

JOB = "job.json"
_ASK_AGAIN_S = 0.5  # while another process indexes the same collection
_SAVE_S = 1.0
_TURN_S = 15.0  # that a job may take while others wait
_ENDED = frozenset({Phase.DONE, Phase.FAILED})
_log = logging.getLogger("commission_mcp.indexing")


class Indexed(Protocol):
    """What a job works on."""

    @property
    def key(self) -> str:
        """Names the collection within this installation."""
        ...

    @property
    def directory(self) -> Path:
        """Where the index is, and the record of its last job."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One indexing of a collection.

    Attributes:
        job_id: Its id.
        started_at: When it was asked for, in seconds since 1970.
        finished_at: When it ended; 0 until then.
        process: The process that does it.
        progress: How far it is.
    """

    job_id: str
    started_at: float
    finished_at: float
    process: int
    progress: Progress

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.progress.phase in _ENDED

    @property
    def interrupted(self) -> bool:
        """Whether the process that did it ended before the job did."""
        return not self.ended and not _is_running(self.process)


@dataclass(slots=True)
class _Running:
    """A job of this process, and what it had done before its present turn."""

    collection: Indexed
    job: Job
    began: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)
    saved_s: float = 0.0
    before: Progress = field(default_factory=Progress)


class Jobs:
    """The jobs of this process; `run` does them one at a time, in turns when several wait.

    Args:
        index: Indexes a collection, telling its progress and asking whether to pause; None when another process does.
        finished: Called with each collection whose job ended.
    """

    def __init__(
        self,
        index: Callable[[Any, Callable[[Progress], None], Callable[[], bool]], Awaitable[Progress | None]],
        finished: Callable[[Any], Awaitable[None]],
    ) -> None:
        self._index = index
        self._finished = finished
        self._waiting: deque[_Running] = deque()
        self._of: dict[str, _Running] = {}
        self._wanted = anyio.Event()

    def start(self, collection: Indexed) -> Job:
        """Have a collection indexed from now; a job that waits to begin serves this too."""
        present = self._of.get(collection.key)
        if present is not None and not present.began and not present.job.ended:
            return present.job
        running = _Running(collection, Job(uuid4().hex, time.time(), 0.0, os.getpid(), Progress()))
        self._of[collection.key] = running
        self._waiting.append(running)
        self._wanted.set()
        return running.job

    def last(self, collection: Indexed) -> Job | None:
        """The last job of a collection, of this process or another; None when there was none."""
        if collection.key in self._of:
            return self._of[collection.key].job
        return saved_job(collection.directory)

    async def follow(
        self, collection: Indexed, told: Callable[[Job], Awaitable[None]], until: frozenset[Phase] = _ENDED
    ) -> None:
        """Be told each step of the collection's present job of this process, until it is in one of these phases."""
        running = self._of.get(collection.key)
        while running is not None and running.job.progress.phase not in until:
            await running.changed.wait()
            await told(running.job)

    async def run(self) -> None:
        """Do the jobs, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            while self._waiting:
                running = self._waiting.popleft()
                try:
                    await self._do(running)
                finally:
                    self._end(running)

    async def _do(self, running: _Running) -> None:
        running.began = True
        until_s = time.monotonic() + _TURN_S

        def told(progress: Progress) -> None:
            self._tell_step(running, progress)

        def must_pause() -> bool:
            return bool(self._waiting) and time.monotonic() > until_s

        try:
            done = None
            while done is None:
                done = await self._index(running.collection, told, must_pause)
                await anyio.sleep(_ASK_AGAIN_S if done is None else 0)
            if done.phase is Phase.WAITING:
                running.before = running.job.progress
                self._waiting.append(running)
                return
            await self._finished(running.collection)
            self._tell(running, done)
        except Exception as error:  # noqa: BLE001 - a job that fails must not end those after it
            _log.error("an indexing failed", extra={"collection": running.collection.key, "failure": _reason(error)})
            note = f"The indexing was stopped: {_reason(error)}"
            self._tell(running, replace(running.job.progress, phase=Phase.FAILED, note=note))

    def _tell_step(self, running: _Running, progress: Progress) -> None:
        """Tell everything but the end, which comes after whoever listens has been told of the changes."""
        if progress.phase not in _ENDED:
            self._tell(running, progress)

    def _tell(self, running: _Running, progress: Progress) -> None:
        progress = _together(running.before, progress)
        if progress.phase in _ENDED:
            running.job = replace(running.job, progress=progress, finished_at=time.time())
        else:
            running.job = replace(running.job, progress=progress)
        now_s = time.monotonic()
        if now_s - running.saved_s >= _SAVE_S:
            running.saved_s = now_s
            _save(running)
        running.changed.set()
        running.changed = anyio.Event()

    def _end(self, running: _Running) -> None:
        if not running.job.ended:  # cancelled: the next process sees an interrupted job and goes on
            return
        _save(running)


def saved_job(directory: Path) -> Job | None:
    """The job that was recorded last; None when there is none, or it cannot be read."""
    try:
        content = orjson.loads((directory / JOB).read_bytes())
        progress = Progress(**content.pop("progress"))
        return Job(**content, progress=replace(progress, phase=Phase(progress.phase)))
    except (OSError, orjson.JSONDecodeError, TypeError, ValueError, AttributeError, KeyError):
        return None


def _together(before: Progress, now: Progress) -> Progress:
    """The progress of a job over all of its turns; what an earlier one read is as it was in a later one."""
    return replace(
        now,
        indexed=before.indexed + now.indexed,
        removed=before.removed + now.removed,
        embedded=before.embedded + now.embedded,
        unchanged=max(0, now.unchanged - before.indexed),
    )


def _save(running: _Running) -> None:
    # A record of what is happening: an indexing does not depend on it.
    with suppress(OSError):
        replace_file(running.collection.directory / JOB, orjson.dumps(asdict(running.job)))


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.problems[0].message
    what = error.strerror or "input or output" if isinstance(error, OSError) else type(error).__name__
    return f"a failure of the system ({what})."


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
