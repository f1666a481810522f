"""The embedding model while the server runs: loaded once, by whoever first needs it, fetched where that is wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import anyio
from anyio import to_thread

from commission_mcp.errors import Refused
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.model import fetch_model, is_default, is_fetched

_AGAIN_S = 60.0  # a model that could not be had is tried again after this long
_log = logging.getLogger("commission_mcp.indexing")


class Models:
    """Gives the model of the settings.

    Args:
        name: The model.
        directory: Where it is kept.
        may_fetch: Whether the default model may be fetched when an indexing needs it.
        threads: Threads that it computes with; by default every core, at most four.
    """

    def __init__(self, name: str, directory: Path, *, may_fetch: bool, threads: int | None = None) -> None:
        self._name = name
        self._directory = directory
        self._may_fetch = may_fetch
        self._threads = threads
        self._lock = anyio.Lock()
        self._embedder: Embedder | None = None
        self._reason = ""
        self._failed_at = float("-inf")

    @property
    def loaded(self) -> Embedder | None:
        """The model if it is loaded."""
        return self._embedder

    async def state(self) -> Literal["loaded", "on disk", "missing", "unknown"]:
        """Whether the model can be had; unknown for one that is not the default and not loaded."""
        if self._embedder is not None:
            return "loaded"
        if not is_default(self._name):
            return "unknown"
        return "on disk" if await to_thread.run_sync(is_fetched, self._directory) else "missing"

    async def for_searching(self, patience_s: float) -> tuple[Embedder | None, str]:
        """The model if it is on this machine and loaded within this time; otherwise None, and why."""
        if self._embedder is not None:
            return self._embedder, ""
        if is_default(self._name) and not await to_thread.run_sync(is_fetched, self._directory):
            return None, "The model is not on this machine yet; `commission-mcp model fetch` gets it."
        with anyio.move_on_after(patience_s):
            return await self._load()
        return None, "The model is still being loaded."

    async def for_indexing(self, progress: Callable[[int, int | None], None]) -> tuple[Embedder | None, str]:
        """The model, fetched first if that is allowed and needed; None, and why, when it cannot be had.

        Args:
            progress: Told the bytes of a download, from another thread.
        """
        wanted = self._may_fetch and is_default(self._name)
        if wanted and not await to_thread.run_sync(is_fetched, self._directory):
            async with self._lock:
                reason = await self._fetch(progress)
            if reason:
                return None, reason
        return await self._load()

    async def _fetch(self, progress: Callable[[int, int | None], None]) -> str:
        if time.monotonic() - self._failed_at < _AGAIN_S:
            return self._reason
        try:
            # Abandoned on cancellation: pip's own time limit ends the thread, and the folder appears whole or not.
            await to_thread.run_sync(lambda: fetch_model(self._directory, progress=progress), abandon_on_cancel=True)
        except Refused as refused:
            return self._failure(refused)
        return ""

    async def _load(self) -> tuple[Embedder | None, str]:
        async with self._lock:
            if self._embedder is None and time.monotonic() - self._failed_at >= _AGAIN_S:
                try:
                    self._embedder = await to_thread.run_sync(self._open)
                    self._reason = ""
                except Refused as refused:
                    self._failure(refused)
            return self._embedder, self._reason

    def _open(self) -> Embedder:
        return open_embedder(self._name, self._directory, threads=self._threads)

    def _failure(self, refused: Refused) -> str:
        self._failed_at = time.monotonic()
        self._reason = " ".join(f"{problem.message} {problem.fix}".strip() for problem in refused.problems)
        _log.warning("the embedding model cannot be had", extra={"code": str(refused.problems[0].code)})
        return self._reason
