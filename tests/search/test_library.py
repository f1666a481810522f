from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Code, Refused
from commission_mcp.search import indexer, jobs
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.filters import Filters
from commission_mcp.search.holdings import Places, named
from commission_mcp.search.indexer import Cutting
from commission_mcp.search.jobs import Job, saved_job
from commission_mcp.search.library import Bounds, Library, open_library
from commission_mcp.search.models import Models
from commission_mcp.search.progress import Phase

from .conftest import HashingEmbedder, PlainReader, mask

if TYPE_CHECKING:
    from commission_mcp.search.holdings import Collection

pytestmark = pytest.mark.anyio
Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Library]]
MASKED, CLEAR = MaskingClass.MASKED, MaskingClass.CLEAR


class ReadyModel(Models):
    """The hashing model, which is always there."""

    def __init__(self) -> None:
        super().__init__("hashing", Path(), may_fetch=False)
        self.model = HashingEmbedder()

    async def for_searching(self, patience_s: float) -> tuple[Embedder | None, str]:
        """The model."""
        del patience_s
        return self.model, ""

    async def for_indexing(self, progress: Callable[[int, int | None], None]) -> tuple[Embedder | None, str]:
        """The model."""
        del progress
        return self.model, ""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    documents = tmp_path / "documents"
    return Places(documents, documents / "client-specific", tmp_path / "index")


@pytest.fixture
def open_it(places: Places) -> Open:
    @asynccontextmanager
    async def opened(watch_s: float = 0, memory_bytes: int = 1 << 30) -> AsyncGenerator[Library]:
        cutting = Cutting(200, 20, 100_000, mask, "cutting 1", 0)
        bounds = Bounds(watch_s, memory_bytes)
        async with open_library(places, PlainReader(), cutting, ReadyModel(), bounds) as library:
            yield library

    return opened


@pytest.fixture
async def library(open_it: Open) -> AsyncIterator[Library]:
    async with open_it() as opened:
        yield opened


def write(places: Places, client_id: str | None, name: str, text: str) -> None:
    root = places.shared if client_id is None else places.clients / client_id
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


async def unheard(job: Job) -> None:
    del job


async def index(library: Library, client_id: str) -> None:
    """Index what the client may read, and wait for it."""
    for collection in library.collections(client_id):
        library.jobs.start(collection)
        with anyio.fail_after(30):
            await library.jobs.follow(collection, unheard)


async def sources(library: Library, client_id: str, question: str, view: MaskingClass = CLEAR) -> list[str]:
    found = await library.search(client_id, view, question, limit=10, filters=Filters())
    return [
        found.collections[hit.place.corpus].source(found.corpora[hit.place.corpus].documents[hit.place.document].name)
        for hit in found.hits
    ]


async def test_a_client_finds_its_own_documents_and_those_for_all(library: Library, places: Places) -> None:
    write(places, "client-a", "own.txt", "Bonus of alpha.")
    write(places, "client-b", "own.txt", "Bonus of beta.")
    write(places, None, "all.txt", "Bonus for everybody.")
    await index(library, "client-a")
    await index(library, "client-b")

    assert set(await sources(library, "client-a", "bonus")) == {"client-a/own.txt", "shared/all.txt"}
    assert set(await sources(library, "client-b", "bonus beta")) == {"client-b/own.txt", "shared/all.txt"}
    assert [listed.uri for listed in await library.listing("client-b")] == [
        "document://client/own.txt",
        "document://shared/all.txt",
    ]


async def test_what_is_masked_neither_shows_nor_ranks(library: Library, places: Places) -> None:
    """The same question about a masked value, asked of documents with and without it, is ranked the same."""
    write(places, "client-a", "with.txt", "The contact of the plan is ann@alpha.com today.")
    write(places, "client-a", "without.txt", "The contact of the plan is bob@alpha.com today.")
    await index(library, "client-a")

    scores: dict[MaskingClass, dict[str, float]] = {}
    for view in MaskingClass:
        found = await library.search("client-a", view, "ann@alpha.com", limit=10, filters=Filters())
        hits = [*found.hits, *(hit for hit in found.hits for _ in hit.alike)]
        scores[view] = {hit.place.chunk.text: hit.score for hit in hits}
    assert "The contact of the plan is ann@alpha.com today." in scores[CLEAR]
    assert len(set(scores[CLEAR].values())) == 2
    assert all("@" not in text for text in scores[MASKED])
    assert len(set(scores[MASKED].values())) <= 1


async def test_the_index_of_words_of_the_masked_view_has_no_masked_word(library: Library, places: Places) -> None:
    write(places, "client-a", "a.txt", "title: Letter of ann@alpha.com\n\nWrite to ann@alpha.com.")
    await index(library, "client-a")
    found = await library.search("client-a", MASKED, "write", limit=10, filters=Filters())

    words = {word for corpus in found.corpora for word in corpus.lexical.terms}
    assert "write" in words
    assert not any("ann" in word or "alpha" in word for word in words)
    files = places.indexes.rglob("masked.*.index")
    assert all(b"alpha" not in path.read_bytes() for path in files)


async def test_derived_files_are_used_and_a_flipped_bit_in_them_is_mended(open_it: Open, places: Places) -> None:
    for number in range(20):
        write(places, "client-a", f"{number}.txt", f"Document {number} about bonus {number}.")
    async with open_it() as library:
        await index(library, "client-a")
        before = await sources(library, "client-a", "bonus 7")
    files = sorted(places.indexes.rglob("clear.*.index"))
    good = {path: path.read_bytes() for path in files}
    assert len(files) == 2
    for path in files:
        content = bytearray(good[path])
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    async with open_it() as library:
        assert await sources(library, "client-a", "bonus 7") == before
    assert {path: path.read_bytes() for path in files} == good


async def test_a_damaged_store_is_noticed_by_searching_and_mended_in_the_background(
    open_it: Open, places: Places
) -> None:
    for number in range(20):
        write(places, "client-a", f"{number}.txt", f"Document {number} about bonus {number}. " * 20)
    async with open_it() as library:
        await index(library, "client-a")
    file = places.indexes / "clients" / "client-a" / "documents.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    async with open_it() as library:
        own, _ = library.collections("client-a")
        await sources(library, "client-a", "bonus 7")
        with anyio.fail_after(30):
            await library.jobs.follow(own, unheard)

        assert not own.store.load().damaged
        assert len(await library.listing("client-a")) == 20


async def test_changes_in_a_folder_are_seen_and_announced(open_it: Open, places: Places) -> None:
    write(places, "client-a", "a.txt", "Old.")
    async with open_it(watch_s=0.05) as library:
        await index(library, "client-a")
        changed: list[tuple[str | None, frozenset[str]]] = []
        done = anyio.Event()

        def heard(collection: Collection, names: frozenset[str]) -> None:
            changed.append((collection.client_id, names))
            done.set()

        library.listen(heard)
        write(places, "client-a", "b.txt", "Unheard of bonuses.")
        with anyio.fail_after(30):
            await done.wait()

        assert changed == [("client-a", {"b.txt"})]
        assert "client-a/b.txt" in await sources(library, "client-a", "unheard bonuses")


async def test_loaded_indexes_stay_within_their_bound(open_it: Open, places: Places) -> None:
    clients = [f"client-{number}" for number in range(12)]
    for client_id in clients:
        write(places, client_id, "a.txt", f"Bonus of {client_id}. " * 100)
    async with open_it(memory_bytes=60_000) as library:
        for client_id in clients:
            await index(library, client_id)
            assert await sources(library, client_id, "bonus")
            assert library.shelves.size_bytes <= 60_000


async def test_an_interrupted_job_is_gone_on_with(open_it: Open, places: Places) -> None:
    write(places, "client-a", "a.txt", "Some words.")
    directory = places.indexes / "clients" / "client-a"
    directory.mkdir(parents=True)
    (directory / "job.json").write_text(
        '{"job_id": "1", "started_at": 1.0, "finished_at": 0.0, "process": 99999999, "progress": {"phase": "reading"}}'
    )
    left = saved_job(directory)
    assert left is not None
    assert left.interrupted
    async with open_it() as library:
        own, _ = library.collections("client-a")
        with anyio.fail_after(30):
            await library.jobs.follow(own, unheard)

    job = saved_job(directory)
    assert job is not None
    assert (job.progress.phase, job.progress.indexed) == (Phase.DONE, 1)


async def test_a_folder_that_cannot_be_read_fails_the_job_and_no_other(library: Library, places: Places) -> None:
    write(places, "client-a", "a.txt", "Some words.")
    (places.clients / "client-b").write_text("no folder")
    (places.indexes / "clients").mkdir(parents=True)
    (places.indexes / "clients" / "client-b").write_text("no folder either")
    own, _ = library.collections("client-b")
    with anyio.fail_after(30):
        await library.jobs.follow(own, unheard)
    await index(library, "client-a")

    job = library.jobs.last(own)
    assert job is not None
    assert job.progress.phase is Phase.FAILED
    assert await sources(library, "client-a", "words") == ["client-a/a.txt"]


@pytest.mark.parametrize("client_id", ["..", "../client-b", "client-b/../client-a", "", "A", "a" * 64, "shared/x", "/"])
async def test_what_is_no_client_id_is_no_path(places: Places, client_id: str) -> None:
    with pytest.raises(Refused) as refused:
        places.client_collection(client_id)

    assert refused.value.problems[0].code is Code.CLIENT_ID


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("document://client/a%20b.pdf", ("client-a", "a b.pdf")),
        ("document://client/x/y.pdf", ("client-a", "x/y.pdf")),
        ("document://client/x%2Fy.pdf", ("client-a", "x/y.pdf")),
        ("document://shared/y.pdf", (None, "y.pdf")),
        ("client-a/y.pdf", ("client-a", "y.pdf")),
        ("shared/y.pdf", (None, "y.pdf")),
        ("y.pdf", ("client-a", "y.pdf")),
        ("client-b/y.pdf", ("client-a", "client-b/y.pdf")),
        ("document://client-b/y.pdf", None),
        ("file:///etc/passwd", None),
    ],
)
async def test_an_address_means_a_document_of_the_client_or_for_all(
    places: Places, address: str, expected: tuple[str | None, str] | None
) -> None:
    collections = places.of_client("client-a")
    if expected is None:
        with pytest.raises(Refused):
            named(collections, address)
    else:
        collection, name = named(collections, address)
        assert (collection.client_id, name) == expected


async def test_a_client_without_documents_has_no_index(library: Library, places: Places) -> None:
    await index(library, "client-a")

    assert await sources(library, "client-a", "anything") == []
    assert not places.indexes.exists()


async def test_a_long_indexing_lets_others_go_first(
    library: Library, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One client's thousand documents do not keep another's one from being found."""
    monkeypatch.setattr(jobs, "_TURN_S", 0.0)  # a turn after each document, not after 15 s
    monkeypatch.setattr(indexer, "_COMMIT_DOCUMENTS", 10)  # several commits among few documents
    for number in range(60):
        write(places, "client-a", f"{number}.txt", f"Document {number} of many.")
    write(places, "client-b", "one.txt", "The only one.")
    many, _ = library.collections("client-a")
    one, _ = library.collections("client-b")
    with anyio.fail_after(30):
        await library.jobs.follow(one, unheard)
    first = library.jobs.last(many)
    with anyio.fail_after(30):
        await library.jobs.follow(many, unheard)
    last = library.jobs.last(many)

    assert first is not None
    assert last is not None
    assert not first.ended
    assert (last.progress.phase, last.progress.indexed, last.progress.embedded) == (Phase.DONE, 60, 60)
    assert len(await library.listing("client-a")) == 60
