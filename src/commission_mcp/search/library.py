"""The documents of an installation as a server uses them: found, read, added, kept up to date, each for one client."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import anyio
from anyio import from_thread, to_thread

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Refused
from commission_mcp.search.corpus import Corpus
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.entries import Entry, Failure, Properties
from commission_mcp.search.filters import Filters
from commission_mcp.search.folder import NotADocument
from commission_mcp.search.holdings import Collection, Places, no_document
from commission_mcp.search.indexer import Cutting, Indexing, Reader
from commission_mcp.search.jobs import Job, Jobs
from commission_mcp.search.lexicon import OWN_FILE, Lexicon, built_in, parse_lexicon
from commission_mcp.search.models import Models
from commission_mcp.search.progress import Phase, Progress
from commission_mcp.search.ranking import Hit, rank
from commission_mcp.search.shelves import Shelf, Shelves
from commission_mcp.search.watcher import WATCHED_MAX, Watcher

Listener: TypeAlias = Callable[[Collection, frozenset[str]], None]
"""Told of a collection and of the names of the documents in it that came, changed or went."""

_MODEL_PATIENCE_S = 3.0
_FOUND_BY_WORDS = frozenset({Phase.MODEL, Phase.EMBEDDING, Phase.FINISHING, Phase.DONE, Phase.FAILED})


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        hits: The passages, best first.
        collections: What `Hit.place.corpus` counts.
        corpora: Them, as they were searched.
        by_meaning: Whether meaning was searched, or only words.
        reasons: Why it was not, or what else a reader should know.
    """

    hits: Sequence[Hit]
    collections: tuple[Collection, ...]
    corpora: tuple[Corpus, ...]
    by_meaning: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a library may take.

    Attributes:
        watch_s: How often folders in use are looked at for changes; 0 for never.
        memory_bytes: Memory for loaded collections.
    """

    watch_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A document that can be found.

    Attributes:
        collection: Where it is.
        name: Its path there.
        size_bytes: Of its file.
        properties: What is known of it.
    """

    collection: Collection
    name: str
    size_bytes: int
    properties: Properties

    @property
    def uri(self) -> str:
        """Its address."""
        return self.collection.uri(self.name)


class Library:
    """The documents of all clients; every method that names a client gives that client's, and those for all.

    Made by `open_library`.
    """

    def __init__(self, places: Places, reader: Reader, cutting: Cutting, models: Models, bounds: Bounds) -> None:
        self._places = places
        self._reader = reader
        self._cutting = cutting
        self.models = models
        self.jobs = Jobs(self._index, self._indexed)
        self.watcher = Watcher(self.jobs.start, bounds.watch_s)
        self.shelves = Shelves(bounds.memory_bytes, cutting.mask)
        self._listeners: set[Listener] = set()
        self._before: dict[str, tuple[int, ...] | None] = {}
        self._announced: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    def collections(self, client_id: str) -> tuple[Collection, Collection]:
        """What a client may read: its own documents first, then those for all. From now on they are kept up to date."""
        found = self._places.of_client(client_id)
        for collection in found:
            if self.watcher.watch(collection):
                self.jobs.start(collection)
        return found

    def mask(self, text: str) -> str:
        """The text with personal data masked, of the same length."""
        return self._cutting.mask(text)

    async def search(
        self,
        client_id: str,
        view: MaskingClass,
        question: str,
        *,
        limit: int,
        filters: Filters,
        only: Collection | None = None,
    ) -> Found:
        """Find the passages that answer a question in what a client may read.

        Args:
            client_id: The client.
            view: Whether personal data is masked; it then plays no part in finding either.
            question: As it was asked.
            limit: How many passages at most.
            filters: Which documents are searched.
            only: The one of the two collections to search; both by default.
        """
        own, shared = self.collections(client_id)
        collections = (own, shared) if only is None else (only,)
        shelves = [await self.shelves.get(collection, view) for collection in collections]
        for shelf in shelves:
            if shelf.damaged:
                self.jobs.start(shelf.collection)
        corpora = tuple(shelf.corpus for shelf in shelves)
        embedder, reason = await self._embedder(corpora)
        lexicon, faults = await to_thread.run_sync(_lexicon, own)
        ranked = partial(rank, limit=limit, filters=filters)
        hits = await to_thread.run_sync(ranked, question, corpora, embedder, lexicon)
        reasons = (reason, faults, *map(_lacking, shelves))
        return Found(hits, collections, corpora, embedder is not None, tuple(filter(None, reasons)))

    async def _embedder(self, corpora: Sequence[Corpus]) -> tuple[Embedder | None, str]:
        """The model of the vectors that there are; None, and why, when meaning cannot be searched."""
        made_by = {corpus.model for corpus in corpora if corpus.size}
        if not made_by:
            return None, ""
        embedder, reason = await self.models.for_searching(_MODEL_PATIENCE_S)
        if embedder is not None and embedder.identity not in made_by:
            return None, "The documents have no vectors of this model yet; indexing makes them."
        return embedder, reason

    async def listing(self, client_id: str) -> list[Listed]:
        """The documents that a client may read, its own first, each by name."""
        return [
            Listed(collection, name, size_bytes, properties)
            for collection in self.collections(client_id)
            for name, size_bytes, properties in await to_thread.run_sync(collection.store.listing)
        ]

    async def entry(self, collection: Collection, name: str) -> Entry:
        """A document as it is kept.

        Raises:
            Refused: with `E_NOT_FOUND`.
        """
        entry = await to_thread.run_sync(collection.store.entry, name)
        if entry is None:
            raise no_document(collection.uri(name))
        return entry

    async def content(self, collection: Collection, name: str, bytes_max: int) -> bytes | None:
        """The file of a document, as it is now; None when it is larger.

        Raises:
            Refused: with `E_NOT_FOUND`.
        """
        try:
            content, _ = await to_thread.run_sync(collection.folder.read, name, bytes_max)
        except (NotADocument, OSError):
            raise no_document(collection.uri(name)) from None
        return content if len(content) <= bytes_max else None

    async def failures(self, collection: Collection) -> tuple[Failure, ...]:
        """The files of a collection that could not be read."""
        return await to_thread.run_sync(collection.store.failures)

    async def read_up(self, client_id: str, patience_s: float) -> list[str]:
        """Give the reading of changed files this time; what is still going on, in words."""
        with anyio.move_on_after(patience_s):
            for collection in self.collections(client_id):
                await self.jobs.follow(collection, _unheard, until=_FOUND_BY_WORDS)
        jobs = [self.jobs.last(collection) for collection in self.collections(client_id)]
        phases = [job.progress for job in jobs if job is not None and not job.ended and not job.interrupted]
        return [_going_on(at) for at in phases if at.total or at.phase is Phase.WAITING]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told of every collection whose documents have changed, until the returned function is called."""
        self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    async def _index(
        self, collection: Collection, told: Callable[[Progress], None], must_pause: Callable[[], bool]
    ) -> Progress | None:
        async def model(progress: Callable[[int, int | None], None]) -> tuple[Embedder | None, str]:
            # Downloads tell their progress from a thread of their own.
            return await self.models.for_indexing(lambda done, total: from_thread.run_sync(progress, done, total))

        self._before.setdefault(collection.key, collection.store.signature())
        if collection.key not in self._announced:
            self._remember(collection, await to_thread.run_sync(_readable, collection))
        return await Indexing(
            collection.store, collection.folder, self._reader, self._cutting, model, told, must_pause
        ).run()

    async def _indexed(self, collection: Collection) -> None:
        if collection.store.signature() != self._before.pop(collection.key, None):
            await self.shelves.refresh(collection)
        readable = await to_thread.run_sync(_readable, collection)
        changed = _changed(self._announced.get(collection.key, {}), readable)
        self._remember(collection, readable)
        if changed:
            for listener in tuple(self._listeners):
                listener(collection, changed)

    def _remember(self, collection: Collection, readable: Mapping[str, str]) -> None:
        """Keep what was told of a collection: of as many as are watched, since changes are seen in no others."""
        self._announced[collection.key] = readable
        self._announced.move_to_end(collection.key)
        if len(self._announced) > WATCHED_MAX:
            self._announced.popitem(last=False)


def _going_on(at: Progress) -> str:
    if not at.total:
        return "Documents are waiting to be indexed: others are being indexed before them."
    return f"Documents are being indexed ({at.phase}: {at.done} of {at.total})."


def _readable(collection: Collection) -> Mapping[str, str]:
    """The documents that can be read, by name, each with a mark of its content."""
    return {name: of.sha256 for name, of in collection.store.known().items() if not of.failed}


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
    """The names of the documents that came, changed or went."""
    return frozenset(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _lacking(shelf: Shelf) -> str:
    if not shelf.corpus.model or not shelf.without_vectors:
        return ""
    return f"{shelf.without_vectors} documents have no vectors yet and are found by their words."


def _lexicon(collection: Collection) -> tuple[Lexicon, str]:
    """The domain's words, with those of the client's own file; and what is wrong with that."""
    content = collection.folder.hidden(OWN_FILE)
    if content is None:
        return built_in(), ""
    try:
        return built_in().with_own(parse_lexicon(content.decode("utf-8", "replace"))), ""
    except Refused as refused:
        return built_in(), f"The client's own lexicon is not used: {refused.problems[0].message}"


async def _unheard(job: Job) -> None:
    del job


@asynccontextmanager
async def open_library(
    places: Places, reader: Reader, cutting: Cutting, models: Models, bounds: Bounds
) -> AsyncGenerator[Library]:
    """The documents, kept up to date until the block ends.

    Args:
        places: Where documents and indexes are.
        reader: What reads documents.
        cutting: How they are cut and masked.
        models: What embeds them.
        bounds: How much it may take.
    """
    library = Library(places, reader, cutting, models, bounds)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.jobs.run)
        tasks.start_soon(library.watcher.run)
        try:
            yield library
        finally:
            tasks.cancel_scope.cancel()
