"""`commission-mcp index`: bring the documents' indexes up to date now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load

if TYPE_CHECKING:
    from commission_mcp.search.holdings import Collection, Places
    from commission_mcp.search.jobs import Job
    from commission_mcp.search.library import Library
    from commission_mcp.settings import Settings


def index(
    client_id: Annotated[
        str | None,
        typer.Option(
            "--client", help="Whose documents, beside those for all; by default everybody's.", show_default=False
        ),
    ] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Read changed documents, make vectors, forget deleted ones; list what could not be read, with the reason.

    Files that are as they were cost nothing. Ending it at any moment does no harm: the next one goes on. A file that
    cannot be read is no error; the exit code is 1 when an index could not be written.
    """
    import anyio

    settings = load(data_directory, env_file).settings
    if not anyio.run(_index, settings, client_id):
        raise typer.Exit(1)


async def _index(settings: Settings, client_id: str | None) -> bool:
    from commission_mcp.app import document_places, open_documents

    unwatched = settings.model_copy(update={"documents_watch_s": 0})
    good = True
    async with open_documents(unwatched) as library:
        for collection in _collections(document_places(settings), client_id):
            good = await _bring_up(library, collection) and good
    return good


def _collections(places: Places, client_id: str | None) -> list[Collection]:
    clients = list(places.indexed_clients()) if client_id is None else [client_id]
    return [places.shared_collection(), *(places.client_collection(each) for each in clients)]


async def _bring_up(library: Library, collection: Collection) -> bool:
    from commission_mcp.cli.progress import steps_progress
    from commission_mcp.search.progress import Phase

    library.jobs.start(collection)
    name = collection.client_id or "documents for all"
    with steps_progress(name) as progress:

        async def tell(job: Job) -> None:
            at = job.progress
            progress(f"{name}: {at.phase}", at.done, at.total or None)

        await library.jobs.follow(collection, tell)
    job = library.jobs.last(collection)
    at = job.progress if job else None
    if at is None:
        return False
    typer.echo(
        f"{name}: {at.indexed} read, {at.unchanged} as they were, {at.removed} removed, {at.failed} unreadable, "
        f"{at.embedded} passages embedded. {at.note}".rstrip(),
        err=True,
    )
    for failure in await library.failures(collection):
        typer.echo(
            f"  {failure.code} ({collection.source(failure.name)}): {failure.message} Fix: {failure.fix}", err=True
        )
    return at.phase is Phase.DONE
