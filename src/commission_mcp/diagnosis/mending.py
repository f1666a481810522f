"""What `doctor --fix` does: only what loses nothing and asks nobody."""

from __future__ import annotations

from collections.abc import Iterable

from anyio import to_thread

from commission_mcp.app import document_places, open_documents
from commission_mcp.diagnosis.documents import FETCH_MODEL, INDEX
from commission_mcp.search.model import fetch_model
from commission_mcp.settings import Settings


async def mend(settings: Settings, wanted: Iterable[str]) -> list[str]:
    """Do what the findings want, each thing once, in the order that works; what was done.

    Raises:
        Refused: when it cannot be done, such as without a network.
    """
    chosen = set(wanted)
    done: list[str] = []
    if FETCH_MODEL in chosen:
        files = await to_thread.run_sync(fetch_model, settings.model_directory)
        done.append(f"fetched the model into {files.folder}")
    if INDEX in chosen or FETCH_MODEL in chosen:
        done += await _index(settings)
    return done


async def _index(settings: Settings) -> list[str]:
    places = document_places(settings)
    done: list[str] = []
    async with open_documents(settings.model_copy(update={"documents_watch_s": 0})) as library:
        for collection in (places.shared_collection(), *map(places.client_collection, places.indexed_clients())):
            library.jobs.start(collection)
            await library.jobs.follow(collection, _unheard)
            done.append(f"indexed the documents of {collection.client_id or 'everybody'}")
    return done


async def _unheard(_: object) -> None:
    """Nobody watches."""
