"""Reading documents: checks here, parsing in worker processes that a bad file may break."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from commission_mcp.documents.formats import check_content, checked_name, named_format
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Document
from commission_mcp.documents.parsing import reader_of
from commission_mcp.documents.pictures import find_ocr
from commission_mcp.documents.refusals import damaged, empty, too_large
from commission_mcp.documents.wire import decoded
from commission_mcp.documents.worker_process import WorkerDied, WorkerProcess

DEFAULT_LIMITS = ReadingLimits()


class DocumentReader:
    """Reads documents in a few warm worker processes. Made by `open_reader`."""

    def __init__(self, limits: ReadingLimits, workers: int) -> None:
        self.limits = limits
        self._places = anyio.Semaphore(workers)
        self._idle: list[WorkerProcess] = []

    async def read(self, name: str, content: bytes | Path) -> Document:
        """Read a document.

        Args:
            name: Its path inside its folder, with ``/``; its ending says its format.
            content: Its bytes, or the file that holds them.

        Returns:
            The document, with at least one block of text.

        Raises:
            Refused: It cannot be read; the code says why (``E_DOCUMENT_...``).
            OSError: The file cannot be opened.
        """
        named = named_format(checked_name(name))
        data = content if isinstance(content, bytes) else await self._loaded(content)
        self._check_size(len(data))
        check_content(named, data)
        async with self._places:
            return await self._parsed(name, data)

    async def signature(self, name: str) -> str:
        """What would read a document of this name, with versions, OCR included; equal to `Document.reader`.

        Raises:
            Refused: It is of no format that is read.
        """
        named = named_format(name)
        ocr = await anyio.to_thread.run_sync(find_ocr, self.limits.languages) if named.pictures else None
        return reader_of(named, ocr.engine if ocr else None)

    async def aclose(self) -> None:
        """End the workers."""
        while self._idle:
            await self._idle.pop().aclose()

    async def _loaded(self, path: Path) -> bytes:
        def load() -> bytes:
            with path.open("rb") as file:
                return file.read(self.limits.file_bytes_max + 1)

        return await anyio.to_thread.run_sync(load)

    def _check_size(self, size: int) -> None:
        if size == 0:
            raise empty("The file is empty.")
        if size > self.limits.file_bytes_max:
            raise too_large(f"The file is larger than {self.limits.file_bytes_max >> 20} MiB.")

    async def _parsed(self, name: str, data: bytes) -> Document:
        while True:
            worker = await self._worker()
            served = worker.served
            try:
                answer = await worker.ask(name, data)
            except WorkerDied as death:
                if served:
                    continue  # what an earlier document left behind may be to blame: once more, in a fresh one
                raise damaged("The file is damaged in a way that stops the program reading it.") from death
            finally:
                await self._put_back(worker)
            return await anyio.to_thread.run_sync(decoded, answer)

    async def _worker(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if worker.usable:
                return worker
            await worker.aclose()
        return await WorkerProcess.start(self.limits)

    async def _put_back(self, worker: WorkerProcess) -> None:
        if worker.usable:
            self._idle.append(worker)
        else:
            await worker.aclose()


@asynccontextmanager
async def open_reader(limits: ReadingLimits = DEFAULT_LIMITS, workers: int = 1) -> AsyncGenerator[DocumentReader]:
    """A reader whose workers stay warm for several documents; they start when they are needed.

    Args:
        limits: What one document may take.
        workers: How many documents are read at a time.
    """
    reader = DocumentReader(limits, workers)
    try:
        yield reader
    finally:
        with anyio.CancelScope(shield=True):
            await reader.aclose()


async def read_document(name: str, content: bytes | Path, limits: ReadingLimits = DEFAULT_LIMITS) -> Document:
    """Read one document in a worker of its own; see `DocumentReader.read`.

    Raises:
        Refused: It cannot be read; the code says why (``E_DOCUMENT_...``).
        OSError: The file cannot be opened.
    """
    async with open_reader(limits) as reader:
        return await reader.read(name, content)
