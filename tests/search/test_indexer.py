from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from commission_mcp.search.corpus import text_to_embed
from commission_mcp.search.entries import Entry
from commission_mcp.search.progress import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Collection

pytestmark = pytest.mark.anyio
FULL = os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full"


async def test_every_file_ends_as_indexed_or_failed_with_a_reason(collection: Collection) -> None:
    collection.write("a.txt", "Rates are 5 %.\n\nMail p1@example.com.\fSecond page.")
    collection.write("sub/b.txt", "Bonus of Q4.")
    collection.write("broken.txt", "BROKEN")
    collection.write("bug.txt", "BUG")
    collection.write("c.xyz", "unknown")
    (collection.root / "bad-\udcff.txt").write_text("no name")
    (collection.root / "two\nlines.txt").write_text("no name either")

    progress = await collection.index()

    assert (progress.phase, progress.indexed, progress.failed, progress.note) == (Phase.DONE, 2, 5, "")
    assert set(collection.texts()) == {"a.txt", "sub/b.txt"}
    assert {failure.name: failure.code for failure in collection.store.failures()} == {
        "broken.txt": "E_DOCUMENT_DAMAGED",
        "bug.txt": "E_DOCUMENT_DAMAGED",
        "c.xyz": "E_DOCUMENT_TYPE",
        "bad-\\xff.txt": "E_DOCUMENT_NAME",
        "two\\nlines.txt": "E_DOCUMENT_NAME",
    }


async def test_a_failure_says_nothing_of_the_document(collection: Collection, caplog: pytest.LogCaptureFixture) -> None:
    collection.write("bug.txt", "BUG over a secret")

    await collection.index()

    assert "secret" not in repr(collection.store.failures())
    assert "secret" not in caplog.text


async def test_chunks_and_spans_are_slices_of_the_text_and_have_their_vectors(collection: Collection) -> None:
    collection.write("a.txt", "Rates are 5 %.\n\nMail p1@example.com now.\fSecond page.")

    await collection.index()

    entry = collection.store.entry("a.txt")
    assert entry is not None
    assert entry.embedding is not None
    assert entry.masked_text is not None
    assert [entry.text[span.start : span.end] for span in entry.spans] == [
        "Rates are 5 %.",
        "Mail p1@example.com now.",
        "Second page.",
    ]
    assert [chunk.text for chunk in entry.chunks] == [entry.text[chunk.start : chunk.end] for chunk in entry.chunks]
    assert "p1@" not in entry.masked_text
    assert len(entry.masked_text) == len(entry.text)
    model = collection.embedder
    assert model is not None
    assert np.array_equal(
        entry.embedding.clear, model.embed([text_to_embed(chunk, entry.properties.facts) for chunk in entry.chunks])
    )
    assert list(entry.embedding.masked) == [0]


async def test_files_that_rest_are_not_even_opened(collection: Collection) -> None:
    for number in range(20):
        collection.write(f"{number}.txt", f"Document {number}.")
    collection.racy_s = 0
    await collection.index()
    before = collection.store.signature()

    progress = await collection.index()

    assert (progress.unchanged, collection.reader.read_names) == (20, [])
    assert collection.store.signature() == before


async def test_a_change_within_the_clocks_tick_is_seen(collection: Collection) -> None:
    """Same size, same time: what is that young is compared by content."""
    collection.write("a.txt", "Rate 5")
    await collection.index()
    before = (collection.root / "a.txt").stat()
    with (collection.root / "a.txt").open("r+") as file:
        file.write("Rate 7")
    os.utime(collection.root / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))

    await collection.index()

    assert collection.texts() == {"a.txt": "Rate 7"}


async def test_a_touched_file_keeps_its_vectors(collection: Collection) -> None:
    collection.write("a.txt", "Rate 5")
    await collection.index()
    (collection.root / "a.txt").touch()
    assert collection.embedder is not None
    embedded = collection.embedder.embedded

    progress = await collection.index()

    assert (progress.unchanged, progress.indexed, collection.embedder.embedded) == (1, 0, embedded)
    assert collection.store.known()["a.txt"].state.mtime_ns == (collection.root / "a.txt").stat().st_mtime_ns


async def test_replaced_and_deleted_files_leave_nothing(collection: Collection) -> None:
    collection.write("a.txt", "Old words.\n\n" + "More of them. " * 50)
    collection.write("b.txt", "To be deleted.")
    collection.write("broken.txt", "BROKEN")
    await collection.index()
    collection.write("a.txt", "New words.")
    (collection.root / "b.txt").unlink()
    (collection.root / "broken.txt").unlink()

    progress = await collection.index()

    assert (progress.indexed, progress.removed, progress.failed) == (1, 2, 0)
    assert collection.texts() == {"a.txt": "New words."}
    assert collection.store.failures() == ()


async def test_a_mended_file_is_no_longer_listed_as_failed(collection: Collection) -> None:
    collection.write("a.txt", "BROKEN")
    await collection.index()
    collection.write("a.txt", "Whole.")

    await collection.index()

    assert collection.store.failures() == ()
    assert collection.texts() == {"a.txt": "Whole."}


@pytest.mark.parametrize("what", ["reader", "chunks"])
async def test_another_reader_or_other_chunks_read_everything_anew(collection: Collection, what: str) -> None:
    collection.write("a.txt", "Some words. " * 60)
    await collection.index()
    before = collection.store.entry("a.txt")
    if what == "reader":
        collection.reader.version = 2
    else:
        collection.chunk_size = 100

    progress = await collection.index()

    after = collection.store.entry("a.txt")
    assert before
    assert after
    assert progress.indexed == 1
    assert (before.reading, before.embedding) != (after.reading, after.embedding)
    assert after.embedding is not None


async def test_another_model_embeds_anew_without_reading(collection: Collection) -> None:
    collection.write("a.txt", "Some words.")
    await collection.index()
    assert collection.embedder is not None
    collection.embedder.identity = "hashing 2"

    progress = await collection.index()

    assert (progress.indexed, progress.embedded, collection.reader.read_names) == (0, 1, [])
    assert collection.store.known()["a.txt"].model == "hashing 2"


async def test_without_a_model_documents_are_kept_and_embedded_later(collection: Collection) -> None:
    model, collection.embedder = collection.embedder, None
    collection.write("a.txt", "Some words.")
    first = await collection.index()
    collection.embedder = model

    second = await collection.index()

    assert (first.indexed, first.embedded, first.note) == (1, 0, "There is no model.")
    assert (second.indexed, second.embedded) == (0, 1)


async def test_only_one_indexes_at_a_time(collection: Collection) -> None:
    collection.write("a.txt", "Some words.")
    with collection.store.indexing() as held:
        assert held
        assert await collection.indexing().run() is None


async def test_damage_is_mended_by_reading_what_was_lost(collection: Collection) -> None:
    for number in range(30):
        collection.write(f"{number}.txt", f"Document {number}. " * 40)
    await collection.index()
    file = collection.store.directory / "documents.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(bytes(content))
    assert collection.store.load().damaged

    await collection.index()

    assert len(collection.texts()) == 30
    assert len(collection.reader.read_names) < 30


def snapshot(collection: Collection) -> dict[str, Entry]:
    contents = collection.store.load()
    assert not contents.damaged
    return {entry.name: entry for entry in contents.entries}


@pytest.mark.campaign
async def test_killed_at_any_moment_every_document_is_wholly_old_or_wholly_new(
    tmp_path: Path, open_collection: Callable[[Path], Collection]
) -> None:
    """Also half the documents are deleted or added in the new state, and the next indexing completes it."""
    old, new = tmp_path / "old", tmp_path / "new"
    states: list[dict[str, str]] = []
    for place, version in ((old, 1), (new, 2)):
        kept = open_collection(place)
        for number in range(40) if version == 1 else range(20, 60):
            kept.write(f"{number}.txt", f"Version {version} of {number}. " * 30 + f"v{version}@example.com")
        await kept.index()
        states.append(kept.texts())
    chance = random.Random(5)  # noqa: S311 - repeatable
    # Long enough for the whole indexing; most moments lie within it.
    for _ in range(100 if FULL else 8):
        place = tmp_path / "place"
        shutil.copytree(new / "documents", place / "documents")
        shutil.copytree(old / "index", place / "index")
        await kill_after(place, chance.uniform(0, 0.25))
        after = open_collection(place)
        found = snapshot(after)
        for name, entry in found.items():
            assert entry.text in (states[0].get(name), states[1].get(name)), name
            assert "@" not in (entry.masked_text or "")
            assert "".join(chunk.text[:1] for chunk in entry.chunks)
        for name in states[0].keys() & states[1].keys():
            assert name in found, "a replaced document is never missing"
        await after.index()
        assert after.texts() == states[1]
        shutil.rmtree(place)


async def kill_after(place: Path, seconds: float) -> None:
    """Index in a process of its own, killed this long after it began."""
    program = [sys.executable, Path(__file__).with_name("indexing_program.py"), place]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220 - a test
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
