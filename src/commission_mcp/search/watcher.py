"""Seeing that documents have changed: folders that are in use are looked at again and again.

Looking asks the file system for names, sizes and times and opens nothing. It is done by looking, not by notifications
of the system, which are lost on network file systems and bounded in number; how often follows from how long it takes.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import anyio
from anyio import to_thread

from commission_mcp.errors import Refused
from commission_mcp.search.folder import FoundFile
from commission_mcp.search.holdings import Collection

WATCHED_MAX = 100
_LOOKING_SHARE = 50  # looking takes at most one part in this many of the time
_log = logging.getLogger("commission_mcp.indexing")


class Watcher:
    """Looks at the folders that were last used, and says which have changed.

    Args:
        changed: Called with each collection whose files are others than when it was looked at before.
        every_s: How long to wait between two looks at a folder, at least; 0 watches nothing.
    """

    def __init__(self, changed: Callable[[Collection], object], every_s: float) -> None:
        self._changed = changed
        self._every_s = every_s
        self._seen: OrderedDict[str, tuple[Collection, list[FoundFile] | None]] = OrderedDict()

    def watch(self, collection: Collection) -> bool:
        """Watch a collection from now on; whether it was not watched before."""
        new = collection.key not in self._seen
        self._seen[collection.key] = self._seen.pop(collection.key, (collection, None))
        if len(self._seen) > WATCHED_MAX:
            self._seen.popitem(last=False)
        return new

    async def run(self) -> None:
        """Watch, until cancelled."""
        if self._every_s <= 0:
            return
        while True:
            started_s = time.monotonic()
            for key in list(self._seen):
                await self._look(key)
            await anyio.sleep(max(self._every_s, (time.monotonic() - started_s) * _LOOKING_SHARE))

    async def _look(self, key: str) -> None:
        if key not in self._seen:
            return
        collection, before = self._seen[key]
        try:
            now = await to_thread.run_sync(collection.folder.files)
            if before is None:
                before = await to_thread.run_sync(_as_indexed, collection)
        except (OSError, Refused) as error:
            _log.warning("a folder cannot be watched", extra={"collection": key, "failure": type(error).__name__})
            return
        if key in self._seen:
            self._seen[key] = (collection, now)
        if now != before:
            self._changed(collection)


def _as_indexed(collection: Collection) -> list[FoundFile]:
    """The files as they were when they were indexed."""
    known = collection.store.known()
    return [FoundFile(name, known[name].state) for name in sorted(known)]
