from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.documents.chunking import block_offsets, chunks, full_text
from commission_mcp.documents.model import Block, BlockKind, Document, Facts, Place

SIZE = 200


def document(*blocks: Block, facts: Facts | None = None) -> Document:
    return Document("a.pdf", "application/pdf", blocks, 0, facts or Facts("A title"), "test")


def paragraph(text: str, page: int = 1, section: tuple[str, ...] = ()) -> Block:
    return Block(BlockKind.PARAGRAPH, text, Place(page=page, section=section))


def row(text: str, number: int, page: int | None = None) -> Block:
    return Block(BlockKind.ROW, text, Place(page=page, sheet="Rates", rows=(number, number)))


def heading(text: str, page: int = 1) -> Block:
    return Block(BlockKind.HEADING, text, Place(page=page, section=(text,)))


texts = st.text(
    st.one_of(st.sampled_from("aeinrst .!?\n"), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=600
).filter(lambda text: bool(text.strip()))
places = st.builds(
    Place,
    page=st.integers(1, 3),
    section=st.lists(st.sampled_from(["One", "Two"]), max_size=2).map(tuple),
    rows=st.none() | st.integers(1, 9).map(lambda n: (n, n)),
    path=st.none() | st.sampled_from(["/a", "/a/b", "/a/c/0"]),
)
blocks = st.builds(Block, kind=st.sampled_from(BlockKind), text=texts, place=places)
documents = st.lists(blocks, min_size=1, max_size=12).map(lambda made: document(*made))
settings_of_cutting = st.integers(1, 400).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(documents, settings_of_cutting)
def test_a_chunk_is_a_slice_of_the_text(made: Document, cut: tuple[int, int]) -> None:
    """A citation can be checked character by character."""
    text = full_text(made)

    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks(made, *cut))


@given(documents, settings_of_cutting)
def test_nothing_is_lost_but_white_space(made: Document, cut: tuple[int, int]) -> None:
    text, reached = full_text(made), 0
    for chunk in chunks(made, *cut):
        assert not text[reached : chunk.start].strip()
        reached = chunk.end

    assert not text[reached:].strip()


@given(documents, settings_of_cutting)
def test_starts_and_ends_increase(made: Document, cut: tuple[int, int]) -> None:
    found = chunks(made, *cut)

    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(found))


@given(documents, settings_of_cutting)
def test_only_a_single_row_is_longer_than_the_size(made: Document, cut: tuple[int, int]) -> None:
    rows = {block.text for block in made.blocks if block.kind is BlockKind.ROW}

    assert all(len(chunk.text) <= cut[0] or chunk.text in rows for chunk in chunks(made, *cut))


@given(documents, settings_of_cutting)
def test_no_chunk_crosses_a_page_or_cuts_a_row(made: Document, cut: tuple[int, int]) -> None:
    offsets = block_offsets(made)
    for chunk in chunks(made, *cut):
        inside = [
            (block, span)
            for block, span in zip(made.blocks, offsets, strict=True)
            if span[0] < chunk.end and span[1] > chunk.start
        ]
        assert {block.place.page for block, _ in inside} == {chunk.place.page}
        assert all(
            chunk.start <= start and end <= chunk.end for block, (start, end) in inside if block.kind is BlockKind.ROW
        )


@given(documents, settings_of_cutting)
def test_what_is_repeated_stays_within_the_overlap(made: Document, cut: tuple[int, int]) -> None:
    assert all(a.end - b.start <= cut[1] for a, b in pairwise(chunks(made, *cut)))


@given(documents)
def test_the_text_of_a_block_stands_at_its_offsets(made: Document) -> None:
    text = full_text(made)

    assert [text[start:end] for start, end in block_offsets(made)] == [block.text for block in made.blocks]


def test_a_sentence_is_repeated_where_it_fits_into_the_overlap() -> None:
    first, second = chunks(document(paragraph("A sentence of some words. " * 10)), SIZE, 50)[:2]

    assert second.start < first.end
    assert second.text.startswith("A sentence")


def test_rows_are_not_repeated() -> None:
    found = chunks(document(*(row(f"Territory: North {n} | Rate: 5 %", n) for n in range(1, 30))), SIZE, 50)

    assert all(a.end < b.start for a, b in pairwise(found))
    assert found[0].place.rows == (1, 6)


def test_a_section_begins_a_new_chunk_once_the_last_is_half_full() -> None:
    found = chunks(document(paragraph("word " * 22), heading("Rates"), paragraph("Five percent.")), SIZE, 0)

    assert [chunk.text.split()[0] for chunk in found] == ["word", "Rates"]


def test_a_heading_stays_with_what_it_heads() -> None:
    found = chunks(document(paragraph("word " * 18), heading("Rates"), paragraph("five " * 30)), SIZE, 0)

    assert [chunk.text.split()[0] for chunk in found] == ["word", "Rates"]


def test_a_chunk_ends_rather_with_a_paragraph_than_inside_the_next() -> None:
    found = chunks(document(paragraph("One. " * 34), paragraph("Two. " * 34)), SIZE, 0)

    assert [set(chunk.text.split()) for chunk in found] == [{"One."}, {"Two."}]


def test_the_header_says_title_organisation_year_kind_and_section() -> None:
    facts = Facts("Plan rules", category="policy", organisations=("ABC Industries",), years=(2025,))
    made = document(paragraph("Paid quarterly.", section=("Payment", "When")), facts=facts)

    assert chunks(made)[0].header == "Plan rules | ABC Industries | 2025 | policy | Payment > When"


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_senseless_sizes_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="passage"):
        chunks(document(paragraph("a")), size, overlap)
