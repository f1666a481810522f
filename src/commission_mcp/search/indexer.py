"""Bringing a store up to its folder: only what changed is read, only what has no vectors is embedded.

First every changed file is read and kept, which makes it findable by its words; then whatever lacks vectors of the
present model gets them. Both go in small transactions, so whoever ends the process at any moment leaves documents that
are wholly old or wholly new, and the next indexing goes on from there.
"""

from __future__ import annotations

import hashlib
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol

import numpy as np
from anyio import to_thread

from commission_mcp.documents.chunking import block_offsets, chunks, full_text
from commission_mcp.documents.formats import checked_name
from commission_mcp.documents.model import Chunk, Document
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.corpus import text_to_embed
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.entries import Embedding, Entry, Failure, FileState, Properties, Span
from commission_mcp.search.folder import Folder, FoundFile, NotADocument
from commission_mcp.search.masked_places import masked_place
from commission_mcp.search.progress import Phase, Progress
from commission_mcp.search.store import Known, Store, Writer

CUTTING_VERSION = 3
"""Raised whenever chunking, masking, or what is embedded of a chunk changes: documents are then read anew."""

_RACY_S = 2.0
_COMMIT_DOCUMENTS, _COMMIT_S = 64, 1.0
_EMBED_TEXTS = 32
_log = logging.getLogger("commission_mcp.indexing")


class Reader(Protocol):
    """Reads documents; see `commission_mcp.documents.reading`."""

    async def read(self, name: str, content: bytes) -> Document:
        """The document, or `Refused`."""
        ...

    async def signature(self, name: str) -> str:
        """What would read a document of this name, with versions."""
        ...


@dataclass(frozen=True, slots=True)
class Cutting:
    """How documents are cut and masked, once they are read.

    Attributes:
        chunk_size: The length of chunks, in characters.
        chunk_overlap: What neighbouring chunks share.
        file_bytes_max: A larger file is refused.
        mask: Masks personal data, in a text of the same length.
        version: Of chunking and masking: another one reads documents anew.
        racy_s: A file that was changed this shortly before it was read may have changed again within the tick of the
            clock; its content is compared.
    """

    chunk_size: int
    chunk_overlap: int
    file_bytes_max: int
    mask: Callable[[str], str]
    version: str = f"cutting {CUTTING_VERSION}"
    racy_s: float = _RACY_S

    def reading(self, signature: str) -> str:
        """The mark of everything that decides what becomes of a file's content."""
        return f"{signature}; chunks of {self.chunk_size}/{self.chunk_overlap}; {self.version}"


@dataclass(slots=True)
class Indexing:
    """One indexing of a collection.

    Attributes:
        store: Where to.
        folder: Where from.
        reader: What reads documents.
        cutting: How they are cut and masked.
        embedder: Gives the model, telling the bytes of a download; None and a reason when it cannot be had.
        report: Told the progress after each step.
        must_pause: Asked between transactions; true to stop here and let others go on, which ends in `Phase.WAITING`.
    """

    store: Store
    folder: Folder
    reader: Reader
    cutting: Cutting
    embedder: Callable[[Callable[[int, int | None], None]], Awaitable[tuple[Embedder | None, str]]]
    report: Callable[[Progress], None]
    must_pause: Callable[[], bool] = bool  # never
    progress: Progress = field(default_factory=Progress)
    _signatures: dict[str, str] = field(default_factory=dict[str, str])

    async def run(self) -> Progress | None:
        """Index; None when somebody else is indexing this collection.

        Raises:
            OSError: the folder or the store cannot be read or written.
        """
        if await to_thread.run_sync(self._has_nothing):
            self._tell(phase=Phase.DONE)
            return self.progress
        context = self.store.indexing()
        writer = await to_thread.run_sync(context.__enter__)
        try:
            if writer is None:
                return None
            if await self._read_all(writer) and await self._embed_all(writer):
                self._tell(phase=Phase.FINISHING, done=0, total=0)
                await to_thread.run_sync(writer.seal)
                self._tell(phase=Phase.DONE)
            else:
                self._tell(phase=Phase.WAITING)
            return self.progress
        finally:
            # In this thread: it must also happen when the task is cancelled.
            context.__exit__(None, None, None)

    def _has_nothing(self) -> bool:
        """Whether there are no documents and never were any: then there is no index either."""
        return self.store.signature() is None and not self.folder.files()

    async def _read_all(self, writer: Writer) -> bool:
        """Read what has changed; whether all of it."""
        found = await to_thread.run_sync(self.folder.files)
        known = await to_thread.run_sync(self.store.known)
        gone = known.keys() - {file.name for file in found}
        if gone:
            await to_thread.run_sync(lambda: writer.change(removed=gone))
        self._tell(phase=Phase.READING, total=len(found), removed=len(gone))
        batch = _Batch(writer)
        for number, file in enumerate(found, 1):
            await self._bring_up(file, known.get(file.name), batch)
            if number == len(found) or batch.is_due():
                await batch.commit()
                self._tell(done=number)
                if number < len(found) and batch.written and self.must_pause():
                    return False
        return True

    async def _bring_up(self, file: FoundFile, known: Known | None, batch: _Batch) -> None:
        """Read a file if it changed, and note what became of it."""
        reading = await self._reading(file.name)
        if known is not None and known.reading == reading and self._rests(known, file.state):
            self._count(failed=known.failed, unchanged=not known.failed)
            return
        outcome = await self._outcome(file, known, reading)
        if outcome is None:  # deleted since it was listed; the next indexing sees that
            return
        batch.add(outcome)
        self._count(
            failed=isinstance(outcome, Failure),
            unchanged=isinstance(outcome, _Touched),
            indexed=isinstance(outcome, Entry),
        )

    async def _outcome(self, file: FoundFile, known: Known | None, reading: str) -> Outcome | None:
        at, state, sha256 = time.time(), file.state, ""
        try:
            checked_name(file.name)
            content, state = await to_thread.run_sync(self.folder.read, file.name, self.cutting.file_bytes_max)
            sha256 = hashlib.sha256(content).hexdigest()
            if known is not None and not known.failed and (known.sha256, known.reading) == (sha256, reading):
                return _Touched(file.name, state)
            document = await self.reader.read(file.name, content)
            return await to_thread.run_sync(self._entry, document, state, sha256, reading, at)
        except NotADocument:
            return None
        except Refused as refused:
            return replace(_failure(file.name, state, reading, at, refused.problems[0]), sha256=sha256)
        except OSError as error:
            problem = replace(_UNREADABLE, message=f"The file cannot be read: {error.strerror}.")
            return _failure(file.name, state, reading, at, problem)
        except Exception as error:  # noqa: BLE001 - one document must never stop the others
            _log.error("a document could not be indexed", extra={"failure": _place_of(error)})
            return replace(_failure(file.name, state, reading, at, _UNEXPECTED), sha256=sha256)

    async def _reading(self, name: str) -> str:
        ending = name.rpartition(".")[2].lower()
        if ending not in self._signatures:
            try:
                self._signatures[ending] = await self.reader.signature(name)
            except Refused:
                self._signatures[ending] = "none"
        return self.cutting.reading(self._signatures[ending])

    def _entry(self, document: Document, state: FileState, sha256: str, reading: str, at: float) -> Entry:
        text = full_text(document)
        masked = self.cutting.mask(text)
        offsets = zip(document.blocks, block_offsets(document), strict=True)
        return Entry(
            name=document.name,
            state=state,
            sha256=sha256,
            reading=reading,
            indexed_at=at,
            properties=Properties(
                document.media_type, document.pages, document.facts, document.reader, tuple(document.notes)
            ),
            text=text,
            masked_text=None if masked == text else masked,
            spans=tuple(Span(block.kind, start, end, block.place) for block, (start, end) in offsets),
            chunks=tuple(chunks(document, self.cutting.chunk_size, self.cutting.chunk_overlap)),
        )

    async def _embed_all(self, writer: Writer) -> bool:
        """Make the vectors that are lacking, if there is a model; whether all of them."""
        known = await to_thread.run_sync(self.store.known)
        if all(of.failed for of in known.values()):
            return True  # nothing to load a model for
        self._tell(phase=Phase.MODEL, done=0, total=0)
        embedder, reason = await self.embedder(lambda done, total: self._tell(done=done, total=total or 0))
        if embedder is None:
            self._tell(note=reason)
            return True
        lacking = [name for name, of in known.items() if not of.failed and of.model != embedder.identity]
        self._tell(phase=Phase.EMBEDDING, done=0, total=len(lacking))
        batch = _Batch(writer)
        for number, name in enumerate(lacking, 1):
            entry = await to_thread.run_sync(self.store.entry, name)
            if entry is not None:
                batch.add((name, await self._embedding(embedder, entry)))
            if number == len(lacking) or batch.is_due():
                await batch.commit()
                self._tell(done=number)
                if number < len(lacking) and batch.written and self.must_pause():
                    return False
        return True

    async def _embedding(self, embedder: Embedder, entry: Entry) -> Embedding:
        facts = entry.properties.facts
        clear = [text_to_embed(chunk, facts) for chunk in entry.chunks]
        hidden = masked_chunks(entry, self.cutting.mask)
        texts_hidden = {chunk.number: text_to_embed(chunk, facts) for chunk in hidden}
        masked = {number: text for number, text in texts_hidden.items() if text != clear[number]}
        texts = [*clear, *masked.values()]
        vectors = np.empty((len(texts), embedder.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _EMBED_TEXTS):
            part = texts[start : start + _EMBED_TEXTS]
            vectors[start : start + len(part)] = await to_thread.run_sync(embedder.embed, part)
            self._tell(embedded=self.progress.embedded + len(part))
        return Embedding(
            embedder.identity,
            vectors[: len(clear)],
            dict(zip(masked, vectors[len(clear) :], strict=True)),
        )

    def _rests(self, known: Known, state: FileState) -> bool:
        """Whether a file is as it was read, by what the file system says."""
        changed_s = max(state.mtime_ns, state.ctime_ns) / 1e9
        return known.state == state and known.at - changed_s > self.cutting.racy_s

    def _tell(self, **changes: int | str | Phase) -> None:
        self.progress = replace(self.progress, **changes)
        self.report(self.progress)

    def _count(self, *, indexed: bool = False, unchanged: bool = False, failed: bool = False) -> None:
        at = self.progress
        self.progress = replace(
            at, indexed=at.indexed + indexed, unchanged=at.unchanged + unchanged, failed=at.failed + failed
        )


@dataclass(frozen=True, slots=True)
class _Touched:
    """A file that was written to and says what it said."""

    name: str
    state: FileState


Outcome = Entry | Failure | _Touched
_UNREADABLE = Problem(Code.DOCUMENT_DAMAGED, "", "Let the server's user read it.")
_UNEXPECTED = Problem(
    Code.DOCUMENT_DAMAGED,
    "The program failed over this document; the log says where.",
    "Report it to the maintainers, if you may with the file; convert it to PDF meanwhile.",
)


class _Batch:
    """What is to be written next."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending: list[Outcome | tuple[str, Embedding]] = []
        self._since_s = time.monotonic()
        self.written = 0

    def add(self, outcome: Outcome | tuple[str, Embedding]) -> None:
        self._pending.append(outcome)

    def is_due(self) -> bool:
        return len(self._pending) >= _COMMIT_DOCUMENTS or time.monotonic() - self._since_s > _COMMIT_S

    async def commit(self) -> None:
        self._since_s = time.monotonic()
        pending, self._pending = self._pending, []
        self.written += len(pending)
        if pending:
            await to_thread.run_sync(self._write, pending)

    def _write(self, pending: Sequence[Outcome | tuple[str, Embedding]]) -> None:
        self._writer.change(
            entries=[each for each in pending if isinstance(each, Entry)],
            failures=[each for each in pending if isinstance(each, Failure)],
            touched={each.name: each.state for each in pending if isinstance(each, _Touched)},
            embeddings=dict(each for each in pending if isinstance(each, tuple)),
        )


def masked_chunks(entry: Entry, mask: Callable[[str], str]) -> Iterator[Chunk]:
    """The chunks of a document with personal data masked, in their text and in what says where they stand."""
    masked = cache(mask)
    text = entry.text if entry.masked_text is None else entry.masked_text
    for chunk in entry.chunks:
        place = masked_place(chunk.place, masked)
        yield replace(chunk, text=text[chunk.start : chunk.end], header=masked(chunk.header), place=place)


def _place_of(error: Exception) -> str:
    """What failed and where, without the message, which may quote the document."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.name}, line {last.lineno}"


def _failure(name: str, state: FileState, reading: str, at: float, problem: Problem) -> Failure:
    return Failure(name, state, "", reading, at, problem.code, problem.message, problem.fix)
