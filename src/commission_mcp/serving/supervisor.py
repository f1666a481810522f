"""Keeps processes running: replaces those that die or hang, all of them one by one on SIGHUP, and ends them on SIGTERM.

Each worker has a pipe to its supervisor. It says there that it is alive, is told there to retire, and sees there when
the supervisor is gone.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import FrameType
from typing import TypeAlias

WorkerMain: TypeAlias = Callable[[socket.socket, "Line"], None]
"""What a worker does, given the listening socket and its line; it must be importable by its name."""

# Where there are no hang-ups, nothing asks for a replacement.
_HANG_UP: int | None = getattr(signal, "SIGHUP", None)
_SIGNALS = tuple(number for number in (signal.SIGTERM, signal.SIGINT, _HANG_UP) if number is not None)
_LOOK_S = 1.0
_PAUSE_S = 1.0
_STARTS_WITHIN_S = 180.0
_TICKS_A_BEAT = 10

_log = logging.getLogger("commission_mcp.http")


class Line:
    """A worker's end of the pipe.

    Args:
        pipe: The pipe.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._ticks = 0

    def told_to_retire(self) -> bool:
        """Say that this worker serves; whether it should end, since it is replaced or its supervisor is gone."""
        try:
            if self._ticks % _TICKS_A_BEAT == 0:
                self._pipe.send_bytes(b"alive")
            self._ticks += 1
            return self._pipe.poll() and bool(self._pipe.recv_bytes())
        except (OSError, EOFError):
            return True


@dataclass(slots=True, eq=False)
class _Worker:
    """A process as its supervisor sees it."""

    process: SpawnProcess
    pipe: Connection
    heard_s: float
    serves: bool = False
    retiring: bool = False

    def listen(self, now_s: float) -> None:
        """Take in what it said."""
        with suppress(OSError, EOFError):
            while self.pipe.poll():
                self.pipe.recv_bytes()
                self.heard_s, self.serves = now_s, True

    def retire(self) -> None:
        """Tell it to end when it has answered what it was asked."""
        self.retiring = True
        with suppress(OSError):
            self.pipe.send_bytes(b"retire")


class Supervisor:
    """Runs workers that share a listening socket.

    Args:
        main: What each worker does.
        listening: The socket, bound; it is closed when everything stops, so that further callers are refused at once.
        count: How many workers.
        silent_s: After how long without a sign of life a worker that served is replaced.
        ends_within_s: After how long a worker that was told to end is killed.
    """

    def __init__(
        self, main: WorkerMain, listening: socket.socket, count: int, *, silent_s: float, ends_within_s: float
    ) -> None:
        self._main = main
        self._listening = listening
        self._count = count
        self._silent_s = silent_s
        self._ends_within_s = ends_within_s
        self._spawn = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._outdated: list[_Worker] = []
        self._may_start_s = 0.0
        self._has_served = False
        self._is_stopping = False

    def run(self) -> bool:
        """Keep the workers running until told to stop; False when they could not even start."""
        with _signals() as received:
            try:
                while self._workers or not self._is_stopping:
                    self._tend()
                    for number in self._look(received):
                        self._obey(number)
            finally:
                for worker in self._workers:  # none, unless something went wrong here
                    worker.pipe.close()
        return self._has_served

    def _look(self, received: socket.socket) -> bytes:
        """Wait until something happens; the signals that came."""
        lines = [worker.pipe for worker in self._workers]
        ends = [worker.process.sentinel for worker in self._workers]
        if received not in wait([received, *lines, *ends], _LOOK_S):
            return b""
        return received.recv(100)

    def _obey(self, number: int) -> None:
        if number == _HANG_UP:
            _log.info("replacing the workers")
            self._outdated = [worker for worker in self._workers if not worker.retiring]
        elif not self._is_stopping:
            self._stop()
        elif number == signal.SIGINT:  # whoever interrupts twice does not want to wait
            for worker in self._workers:
                worker.process.kill()

    def _stop(self) -> None:
        _log.info("stopping")
        self._is_stopping = True
        self._listening.close()
        for worker in self._workers:
            worker.process.terminate()

    def _tend(self) -> None:
        now_s = monotonic()
        for worker in list(self._workers):
            worker.listen(now_s)
            self._has_served |= worker.serves
            if not worker.process.is_alive():
                self._bury(worker, now_s)
            elif now_s - worker.heard_s > self._patience_s(worker):
                _log.error("a worker does not answer and is killed", extra={"worker": worker.process.pid})
                worker.process.kill()
        if not self._is_stopping:
            self._adjust(now_s)

    def _patience_s(self, worker: _Worker) -> float:
        """For how long it may be silent. One that is ending says nothing any more."""
        if worker.retiring or self._is_stopping:
            return self._ends_within_s
        return self._silent_s if worker.serves else _STARTS_WITHIN_S

    def _bury(self, worker: _Worker, now_s: float) -> None:
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if worker in self._outdated:
            self._outdated.remove(worker)
        if worker.retiring or self._is_stopping:
            return
        said = {"worker": worker.process.pid, "exit_code": worker.process.exitcode}
        if worker.serves:
            _log.error("a worker ended", extra=said)
            return
        _log.error("a worker could not start", extra=said)
        self._may_start_s = now_s + _PAUSE_S
        self._outdated.clear()
        if not self._has_served:
            self._stop()

    def _adjust(self, now_s: float) -> None:
        """Start or retire one worker, where that is due; while they are replaced there is one more than asked for."""
        active = [worker for worker in self._workers if not worker.retiring]
        wanted = self._count + bool(self._outdated)
        settled = len(active) == len(self._workers) and all(worker.serves for worker in active)
        for _ in range(wanted - len(active)):
            self._start(now_s)
        if len(active) > self._count and settled:
            (self._outdated.pop(0) if self._outdated else active[0]).retire()

    def _start(self, now_s: float) -> None:
        if now_s < self._may_start_s:
            return
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_work, args=(self._main, self._listening, theirs), name="worker")
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, now_s))


def _work(main: WorkerMain, listening: socket.socket, pipe: Connection) -> None:
    # A hang-up reaches the whole group of processes; what it means is for the supervisor to say.
    if _HANG_UP is not None:
        signal.signal(_HANG_UP, signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        main(listening, Line(pipe))


@contextmanager
def _signals() -> Generator[socket.socket]:
    """A socket from which the numbers of signals can be read as they come."""
    receiving, sending = socket.socketpair()
    sending.setblocking(False)  # noqa: FBT003 - its only argument
    before = {number: signal.signal(number, _noted) for number in _SIGNALS}
    told_before = signal.set_wakeup_fd(sending.fileno())
    try:
        yield receiving
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        receiving.close()
        sending.close()


def _noted(number: int, _: FrameType | None) -> None:
    """Python writes the signal's number to the socket; without a handler of ours the signal would end the process."""
