"""Keeping an answer that somebody has already got: nobody waits for it but who asks for the same next."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from commission_mcp.storage.query_cache.records import Kept

if TYPE_CHECKING:
    from commission_mcp.storage.query_cache.store import AnswerStore

_log = logging.getLogger("commission_mcp.query_cache")


class Keeping:
    """Hands answers to the store, each in a task of its own; see `open_keeping`."""

    def __init__(self, store: AnswerStore, tasks: anyio.abc.TaskGroup) -> None:
        self.store = store
        self._tasks = tasks
        self._under_way: dict[str, anyio.Event] = {}

    def begin(self, name: str, token: str, kept: Kept) -> None:
        """Keep an answer, and then end the turn that it was read in; returns at once.

        Args:
            name: What the turn is of.
            token: Whose turn it is.
            kept: The answer; its own name differs when the data has changed since the turn began.
        """
        done = anyio.Event()
        self._under_way |= {name: done, kept.name: done}
        self._tasks.start_soon(self._keep, name, token, kept, done)

    async def settled(self, name: str | None = None) -> None:
        """Wait until what is being kept under a name, or under all names, is kept or has failed."""
        awaited = [self._under_way.get(name)] if name is not None else list(self._under_way.values())
        for done in awaited:
            if done is not None:
                await done.wait()

    async def _keep(self, name: str, token: str, kept: Kept, done: anyio.Event) -> None:
        try:
            with anyio.CancelScope(shield=True):  # or the turn would keep others waiting until it runs out
                await self.store.end_turn(name, token, kept)
        except Exception:  # noqa: BLE001 - see below; it is logged
            # The answer was given; what is unforeseen here must not end the tasks of others.
            _log.exception("an answer was not kept")
        finally:
            done.set()
            for known in {name, kept.name}:
                if self._under_way.get(known) is done:
                    del self._under_way[known]


@asynccontextmanager
async def open_keeping(store: AnswerStore) -> AsyncGenerator[Keeping]:
    """Keep answers in a store until the block ends; what has been begun then is finished."""
    async with anyio.create_task_group() as tasks:
        yield Keeping(store, tasks)
