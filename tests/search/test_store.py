from __future__ import annotations

import hashlib
import random
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from commission_mcp.documents.model import BlockKind, Chunk, Facts, Place
from commission_mcp.search.entries import Embedding, Entry, Failure, FileState, Properties, Span
from commission_mcp.search.store import STORE, Store

if TYPE_CHECKING:
    from pathlib import Path

DIMENSIONS = 8
RECIPE = "a recipe"


def an_entry(name: str, text: str = "Rates are 5 %.\n\nMail p1@example.com.", *, model: str = "model-1") -> Entry:
    """A document of two paragraphs on two pages, the second with an address to mask."""
    cut = text.index("\n\n")
    places = Place(page=1, section=("Rates", "North")), Place(page=2, sheet="S", rows=(2, 9), path="/a/0")
    spans = Span(BlockKind.HEADING, 0, cut, places[0]), Span(BlockKind.ROW, cut + 2, len(text), places[1])
    chunks = tuple(Chunk(i, text[at.start : at.end], at.start, at.end, at.place, "Head") for i, at in enumerate(spans))
    seed = np.random.default_rng(len(name))
    vectors = seed.random((2, DIMENSIONS), dtype=np.float32)
    facts = Facts("Title", "rates", "en", ("Acme",), (2025,), ("2025-01-01",), ("USD",), ("Plan",), ("tag",))
    return Entry(
        name=name,
        state=FileState(len(text), 1_700_000_000_123_456_789, 2, 3),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        reading="reading-1",
        indexed_at=1_700_000_000.5,
        properties=Properties("text/plain", 2, facts, "plain 1", ("a note",)),
        text=text,
        masked_text=text.replace("p1@example.com", "**************"),
        spans=spans,
        chunks=chunks,
        embedding=Embedding(model, vectors, {1: seed.random(DIMENSIONS, dtype=np.float32)}) if model else None,
    )


def a_failure(name: str) -> Failure:
    return Failure(
        name, FileState(1, 2, 3, 4), "", "reading-1", 1.5, "E_DOCUMENT_ENCRYPTED", "It is locked.", "Unlock."
    )


def same(left: Entry, right: Entry) -> bool:
    """Equal in every field; vectors by value."""
    ours, theirs = left.embedding, right.embedding
    if ours is None or theirs is None:
        return left == right
    vectors = np.array_equal(ours.clear, theirs.clear) and ours.masked.keys() == theirs.masked.keys()
    masked = all(np.array_equal(ours.masked[i], theirs.masked[i]) for i in ours.masked)
    return vectors and masked and replace(left, embedding=None) == replace(right, embedding=None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sealed store of three documents and a failure, with a derived file."""
    made = Store(tmp_path / "index")
    with made.indexing() as writer:
        assert writer
        writer.change(entries=[an_entry("a.txt"), an_entry("b/c.txt"), an_entry("d.txt", model="")])
        writer.change(failures=[a_failure("locked.pdf")])
        writer.seal()
    made.keep_derived("clear", RECIPE, made.load().generation, {"clear.lexical.index": b"words" * 50})
    return made


def test_what_was_written_is_read(store: Store) -> None:
    contents = store.load()

    assert not contents.damaged
    assert [entry.name for entry in contents.entries] == ["a.txt", "b/c.txt", "d.txt"]
    assert same(contents.entries[1], an_entry("b/c.txt"))
    assert store.failures() == (a_failure("locked.pdf"),)


def test_a_store_that_was_never_written_to_is_empty(tmp_path: Path) -> None:
    store = Store(tmp_path / "nothing")

    assert (store.signature(), store.load().entries, store.known(), store.entry("a.txt")) == (None, (), {}, None)
    assert not store.directory.exists()


def test_only_the_owner_reaches_the_files(store: Store) -> None:
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()} == {0o600}


def test_a_replaced_document_leaves_nothing_of_the_old_one(store: Store) -> None:
    with store.indexing() as writer:
        assert writer
        writer.change(entries=[an_entry("a.txt", "Entirely new.\n\nAnd short.")])

    assert [entry.text for entry in store.load().entries if entry.name == "a.txt"] == ["Entirely new.\n\nAnd short."]
    assert len(store.load().entries) == 3


def test_what_was_removed_is_gone_from_the_file_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "index")
    with store.indexing() as writer:
        assert writer
        writer.change(entries=[an_entry("a.txt", "A remarkable secret.\n\nEnd.")])
        writer.change(removed=["a.txt"])

    assert store.load().entries == ()
    assert b"remarkable" not in (store.directory / STORE).read_bytes()


def test_a_document_that_fails_later_is_no_longer_found(store: Store) -> None:
    with store.indexing() as writer:
        assert writer
        writer.change(failures=[a_failure("a.txt")])

    assert store.entry("a.txt") is None
    assert store.known()["a.txt"].failed


def test_vectors_are_replaced_whole(store: Store) -> None:
    other = Embedding("model-2", np.ones((2, DIMENSIONS), dtype=np.float32))
    with store.indexing() as writer:
        assert writer
        writer.change(embeddings={"a.txt": other})

    entry = store.entry("a.txt")
    assert entry is not None
    assert same(entry, replace(an_entry("a.txt"), embedding=other))


def test_the_signature_changes_with_every_commit(store: Store) -> None:
    before = store.signature()
    with store.indexing() as writer:
        assert writer
        writer.change(removed=["a.txt"])

    assert store.signature() != before


def test_only_one_at_a_time_may_write(store: Store) -> None:
    with store.indexing() as first, Store(store.directory).indexing() as second:
        assert (first is not None, second) == (True, None)


def test_derived_files_serve_their_generation_and_recipe_only(store: Store) -> None:
    generation = store.load().generation

    assert store.derived("clear", RECIPE, generation) == {"clear.lexical.index": b"words" * 50}
    assert store.derived("clear", RECIPE, generation + 1) is None
    assert store.derived("clear", "another", generation) is None
    assert store.derived("masked", RECIPE, generation) is None


def test_derived_files_of_a_store_that_was_written_to_are_not_kept(store: Store) -> None:
    with store.indexing() as writer:
        assert writer
        writer.change(removed=["a.txt"])
    store.keep_derived("clear", RECIPE, store.load().generation, {"clear.lexical.index": b"new"})

    assert store.derived("clear", RECIPE, store.load().generation) is None


def flip(content: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


def test_a_flipped_bit_anywhere_in_the_sealed_store_is_noticed_and_mended(store: Store) -> None:
    """Whatever is still given out is what was written, and indexing again starts from a sound store."""
    good = (store.directory / STORE).read_bytes()
    manifest = (store.directory / "manifest.json").read_bytes()
    originals = {entry.name: entry for entry in store.load().entries}
    chance = random.Random(3)  # noqa: S311 - repeatable
    places = [*range(100), *(chance.randrange(len(good)) for _ in range(150))]
    for at in places:
        (store.directory / STORE).write_bytes(flip(good, at, chance.randrange(8)))
        contents = store.load()
        assert contents.damaged, at
        assert all(same(entry, originals[entry.name]) for entry in contents.entries), at
    with store.indexing() as writer:
        assert writer
        writer.change(entries=originals.values())
        writer.seal()
    assert not store.load().damaged
    assert len(store.load().entries) == 3
    assert (store.directory / "manifest.json").read_bytes() != manifest


def test_a_flipped_bit_in_an_unsealed_store_never_changes_what_is_given_out(store: Store) -> None:
    """Without a checksum of the file the rows' own digests decide; what lies in no row may go unnoticed."""
    (store.directory / "manifest.json").unlink()
    good = (store.directory / STORE).read_bytes()
    originals = {entry.name: entry for entry in store.load().entries}
    chance = random.Random(4)  # noqa: S311 - repeatable
    for at in [chance.randrange(len(good)) for _ in range(200)]:
        (store.directory / STORE).write_bytes(flip(good, at, chance.randrange(8)))
        contents = store.load()
        assert all(same(entry, originals[entry.name]) for entry in contents.entries), at
        assert contents.damaged or len(contents.entries) == 3, at


def test_a_flipped_bit_in_the_manifest_or_a_derived_file_is_noticed(store: Store) -> None:
    generation = store.load().generation
    for name in ("manifest.json", "clear.lexical.index"):
        good = (store.directory / name).read_bytes()
        for at in range(0, len(good), 7):
            (store.directory / name).write_bytes(flip(good, at, 0))
            files = store.derived("clear", RECIPE, generation)
            assert files in (None, {"clear.lexical.index": b"words" * 50}), (name, at)
            assert name == "manifest.json" or files is None, at
        (store.directory / name).write_bytes(good)

    assert store.derived("clear", RECIPE, generation) is not None


def test_a_file_that_is_no_database_is_replaced(store: Store) -> None:
    (store.directory / STORE).write_bytes(b"not a database" * 400)

    assert store.load().damaged
    with store.indexing() as writer:
        assert writer
        writer.change(entries=[an_entry("a.txt")])
    assert [entry.name for entry in store.load().entries] == ["a.txt"]
