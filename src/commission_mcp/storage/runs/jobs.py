"""Runs that go on behind an answer: started once, waited for by whoever asks, and noted in the table of jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import anyio

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Refused
from commission_mcp.storage.database import Database
from commission_mcp.storage.runs.running import Progress, Ran, run_period

Start: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]]], Any]
_STATES = {True: "done", False: "failed"}


@dataclass(slots=True)
class RunJob:
    """A run that is under way.

    Attributes:
        progress: How far it is, from 0 to 1.
        doing: What was done last, in words.
        finished: Set when `ran` or `failure` is there.
    """

    job_id: UUID
    period_id: str
    progress: float = 0.0
    doing: str = "started"
    finished: anyio.Event = field(default_factory=anyio.Event)
    ran: Ran | None = None
    failure: Exception | None = None


class RunJobs:
    """The runs of this process; one that breaks off with it has written nothing, and is started anew when asked again.

    Args:
        start: Starts a task that outlives the call.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._jobs: dict[tuple[str, str, bool], RunJob] = {}

    async def run(
        self, database: Database, caller: Caller, period_id: str, *, adjust: bool, wait_s: float, tell: Progress
    ) -> RunJob:
        """Run a period, or wait for the run of it that is under way; at most so long.

        Args:
            database: The database.
            caller: Who asks.
            period_id: Which period.
            adjust: See `run_period`.
            wait_s: How long to wait for the end.
            tell: Told how far it is while waiting.

        Returns:
            The job; it is still under way when it has not `finished`.

        Raises:
            Refused: see `run_period`.
        """
        key = (caller.client_id, period_id, adjust)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = RunJob(uuid4(), period_id)
            self._start(lambda: self._work(key, job, database, caller))
        with anyio.move_on_after(wait_s):
            while not job.finished.is_set():
                await tell(job.progress, job.doing)
                with anyio.move_on_after(1.0):
                    await job.finished.wait()
        if job.finished.is_set():
            self._jobs.pop(key, None)
            if job.failure is not None:
                raise job.failure
        return job

    async def _work(self, key: tuple[str, str, bool], job: RunJob, database: Database, caller: Caller) -> None:
        async def told(done: float, doing: str) -> None:
            job.progress, job.doing = done, doing

        try:
            await _note(database, caller, job, "running")
            job.ran = await run_period(database, caller, key[1], adjust=key[2], progress=told)
            job.progress = 1.0
        except Exception as failure:  # noqa: BLE001 - whoever waits gets it; the server goes on for everybody else
            job.failure = failure
        try:
            await _note(database, caller, job, _STATES[job.ran is not None])
        finally:
            job.finished.set()


async def _note(database: Database, caller: Caller, job: RunJob, state: str) -> None:
    """Note in the table of jobs how it stands; who may not come in leaves no note."""
    detail = {"period": job.period_id, "doing": job.doing}
    if job.ran is not None:
        detail["run_id"] = str(job.ran.run_id)
    try:
        async with database.writing(caller) as writing:
            await writing.execute(
                "INSERT INTO cm.job (client_id, job_id, kind, state, progress, detail)"
                " VALUES (%s, %s, 'run', %s, %s, %s)"
                " ON CONFLICT (client_id, job_id) DO UPDATE SET state = excluded.state, progress = excluded.progress,"
                " detail = excluded.detail, finished_at = now()",
                [writing.client_id, job.job_id, state, f"{job.progress:.4f}", json.dumps(detail)],
            )
    except Refused:
        return
