"""Collections loaded for searching, each as its readers may see it; as many as fit into a bound of bytes.

A caller who may not see personal data searches a view in which it is masked: the words and the vectors of that view
were made from the masked text, so nothing that is masked can bring a passage up, or down.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import numpy as np
from anyio import to_thread

from commission_mcp.documents.model import Chunk, Facts
from commission_mcp.domain.caller import MaskingClass
from commission_mcp.search.corpus import RECIPE, Corpus, Listed, build_corpus, restore_corpus
from commission_mcp.search.embedding import Vectors
from commission_mcp.search.entries import Entry
from commission_mcp.search.holdings import Collection
from commission_mcp.search.indexer import masked_chunks
from commission_mcp.search.masked_places import masked_place
from commission_mcp.search.store import Contents

_AGAIN_PARTS = 5  # a collection that changes all the time is loaded anew after this many times its loading time
_PYTHON_OBJECT_BYTES = 600  # of a chunk, beside its text
_log = logging.getLogger("commission_mcp.indexing")


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """A collection as it is searched by one class of readers.

    Attributes:
        collection: Which.
        corpus: Its passages.
        signature: Of the store when it was loaded.
        without_vectors: How many documents have none of the corpus's model.
        loaded_s: When it was loaded, by the monotonic clock.
        loading_s: How long that took.
        size_bytes: About how much memory it takes.
        damaged: Whether something in the store was not what had been written.
        for_all: Whether nothing in it has to be masked, so that it serves every class of readers.
    """

    collection: Collection
    corpus: Corpus
    signature: tuple[int, ...] | None
    without_vectors: int
    loaded_s: float
    loading_s: float
    size_bytes: int
    damaged: bool
    for_all: bool


@dataclass(slots=True)
class Shelves:
    """The loaded collections, those used last kept.

    Attributes:
        bytes_max: How much memory they may take together; the one in use may take more.
        mask: Masks personal data.
    """

    bytes_max: int
    mask: Callable[[str], str]
    _loaded: OrderedDict[tuple[str, MaskingClass], Shelf] = field(
        default_factory=OrderedDict[tuple[str, MaskingClass], Shelf]
    )
    _loading: dict[tuple[str, MaskingClass], anyio.Lock] = field(
        default_factory=dict[tuple[str, MaskingClass], anyio.Lock]
    )

    @property
    def size_bytes(self) -> int:
        """How much memory the loaded collections take, about."""
        return sum({id(shelf): shelf.size_bytes for shelf in self._loaded.values()}.values())

    _refreshing: set[str] = field(default_factory=set[str])

    async def get(self, collection: Collection, view: MaskingClass) -> Shelf:
        """A collection as it is now, or as it was moments ago while it changes."""
        key = (collection.key, view)
        present = self._loaded.get(key)
        if present is not None and self._serves(present):
            self._loaded.move_to_end(key)
            return present
        async with self._one_at_a_time(key):
            present = self._loaded.get(key)
            if present is None or not self._serves(present):
                present = await to_thread.run_sync(load_shelf, collection, view, self.mask)
                self._keep(key, present)
            return present

    async def refresh(self, collection: Collection) -> None:
        """Load a collection that has changed anew, for those who use it; its derived files are made on the way.

        Until that is done, it is searched as it was.
        """
        used = [view for view in MaskingClass if (collection.key, view) in self._loaded] or [MaskingClass.MASKED]
        self._refreshing.add(collection.key)
        try:
            for view in used:
                async with self._one_at_a_time((collection.key, view)):
                    shelf = await to_thread.run_sync(load_shelf, collection, view, self.mask)
                    self._keep((collection.key, view), shelf)
                if shelf.for_all:
                    break
        finally:
            self._refreshing.discard(collection.key)

    @asynccontextmanager
    async def _one_at_a_time(self, key: tuple[str, MaskingClass]) -> AsyncGenerator[None]:
        lock = self._loading.setdefault(key, anyio.Lock())
        async with lock:
            yield
        if not lock.statistics().tasks_waiting:
            self._loading.pop(key, None)

    def _serves(self, shelf: Shelf) -> bool:
        if shelf.collection.key in self._refreshing or shelf.collection.store.signature() == shelf.signature:
            return True
        return time.monotonic() - shelf.loaded_s < _AGAIN_PARTS * shelf.loading_s

    def _keep(self, key: tuple[str, MaskingClass], shelf: Shelf) -> None:
        for view in MaskingClass if shelf.for_all else [key[1]]:
            self._loaded[key[0], view] = shelf
            self._loaded.move_to_end((key[0], view))
        while self.size_bytes > self.bytes_max and len({id(kept) for kept in self._loaded.values()}) > 1:
            self._loaded.popitem(last=False)


def load_shelf(collection: Collection, view: MaskingClass, mask: Callable[[str], str]) -> Shelf:
    """Load a collection from its store, with the derived files if they are sound and of this state."""
    started_s = time.monotonic()
    signature = collection.store.signature()
    contents = collection.store.load()
    if contents.damaged:
        _log.warning("a damaged index is mended by indexing", extra={"collection": collection.key})
    model = _model(contents.entries)
    for_all = not any(_has_masked(entry, mask) for entry in contents.entries)
    view = MaskingClass.CLEAR if for_all else view
    documents = [_listed(entry, view, mask) for entry in contents.entries]
    corpus = _restored(collection, contents, view, documents, model)
    if corpus is None:
        corpus = build_corpus(documents, _vectors(contents.entries, documents, view, model), model)
        if corpus.size:
            files = _files(corpus, view)
            collection.store.keep_derived(view.value, _recipe(model), contents.generation, files)
    loaded_s = time.monotonic()
    return Shelf(
        collection,
        corpus,
        signature,
        sum(entry.embedding is None or entry.embedding.model != model for entry in contents.entries),
        loaded_s,
        loaded_s - started_s,
        _size_bytes(documents, corpus),
        contents.damaged,
        for_all,
    )


def _restored(
    collection: Collection, contents: Contents, view: MaskingClass, documents: Sequence[Listed], model: str
) -> Corpus | None:
    if contents.damaged:
        return None
    files = collection.store.derived(view.value, _recipe(model), contents.generation)
    if files is None:
        return None
    try:
        return restore_corpus(documents, {name.removeprefix(f"{view}."): files[name] for name in files}, model)
    except ValueError:  # of another version of the program
        return None


def _files(corpus: Corpus, view: MaskingClass) -> dict[str, bytes]:
    return {f"{view}.{name}": content for name, content in corpus.files().items()}


def _recipe(model: str) -> str:
    return f"{RECIPE}; {model}"


def _model(entries: Sequence[Entry]) -> str:
    """The model of most vectors; while another one is being brought in there are two."""
    models = [entry.embedding.model for entry in entries if entry.embedding is not None]
    return max(sorted(set(models)), key=models.count) if models else ""


def _has_masked(entry: Entry, mask: Callable[[str], str]) -> bool:
    """Whether anything of a document that is searched or shown has to be masked."""
    facts = entry.properties.facts
    if entry.masked_text is not None or masked_facts(facts, mask) != facts:
        return True
    if any(mask(header) != header for header in {chunk.header for chunk in entry.chunks}):
        return True
    return any(masked_place(place, mask) != place for place in {chunk.place for chunk in entry.chunks})


def _listed(entry: Entry, view: MaskingClass, mask: Callable[[str], str]) -> Listed:
    chunks: Sequence[Chunk] = entry.chunks
    facts = entry.properties.facts
    if view is MaskingClass.MASKED:
        chunks = tuple(masked_chunks(entry, mask))
        facts = masked_facts(facts, mask)
    return Listed(entry.name, entry.properties.media_type, facts, chunks)


def masked_facts(facts: Facts, mask: Callable[[str], str]) -> Facts:
    """What a document says about itself, with personal data masked."""
    return replace(
        facts,
        title=mask(facts.title),
        organisations=tuple(map(mask, facts.organisations)),
        plan_names=tuple(map(mask, facts.plan_names)),
        tags=tuple(map(mask, facts.tags)),
    )


def _vectors(entries: Sequence[Entry], documents: Sequence[Listed], view: MaskingClass, model: str) -> Vectors | None:
    """A vector a passage; zeros, which are like nothing, for documents that have none of this model yet."""
    embeddings = [entry.embedding for entry in entries]
    dimensions = next((each.clear.shape[1] for each in embeddings if each is not None and each.model == model), 0)
    if not dimensions:
        return None
    vectors = np.zeros((sum(len(listed.chunks) for listed in documents), dimensions), dtype=np.float32)
    row = 0
    for embedding, listed in zip(embeddings, documents, strict=True):
        if embedding is not None and embedding.model == model:
            vectors[row : row + len(listed.chunks)] = embedding.clear
            for number, vector in embedding.masked.items() if view is MaskingClass.MASKED else ():
                vectors[row + number] = vector
        row += len(listed.chunks)
    return vectors


def _size_bytes(documents: Sequence[Listed], corpus: Corpus) -> int:
    texts = sum(len(chunk.text) + len(chunk.header) for listed in documents for chunk in listed.chunks)
    lexical = corpus.lexical
    words = lexical.rows.nbytes + lexical.counts.nbytes + lexical.lengths.nbytes + 150 * len(lexical.terms)
    vectors = corpus.dense.size * corpus.dense.dimensions * 4 if corpus.dense is not None else 0
    return 2 * texts + words + vectors + corpus.size * _PYTHON_OBJECT_BYTES
