"""A collection of documents as it is searched, in memory: passages, their words, their vectors, their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from commission_mcp.documents.draft import NAME_SEPARATOR, ROW_SEPARATOR
from commission_mcp.documents.model import Chunk, Facts
from commission_mcp.search.dense import DenseIndex
from commission_mcp.search.embedding import Vectors
from commission_mcp.search.lexical import LexicalIndex, Passage, build_lexical
from commission_mcp.search.routing import Router, is_label, label_of
from commission_mcp.search.words import DEFAULT_LANGUAGE

RECIPE = "lexical 3, dense 1"
"""What made the derived files: another recipe means making them anew."""

_HEADER_SEPARATOR = " | "  # of `documents.chunking.header_of`: the title first, the sheet and the section last
_LEXICAL_FILE = "lexical.index"
_DENSE_FILE = "dense.index"


@dataclass(frozen=True, slots=True)
class Listed:
    """A document of a collection.

    Attributes:
        name: Its path inside its folder, with ``/``.
        media_type: Its media type.
        facts: What it says about itself.
        chunks: Its passages.
    """

    name: str
    media_type: str
    facts: Facts
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents with their indices; row ``r`` of these is a passage, counted through all documents.

    Attributes:
        documents: The documents.
        lexical: The words of the passages.
        dense: Their vectors; None as long as no model made any.
        model: The identity of the model of the vectors; empty without.
        document_of: The document of each row.
        first_row: The first row of each document.
        router: What the documents are known by.
        languages: The languages that its words were stemmed in.
    """

    documents: tuple[Listed, ...]
    lexical: LexicalIndex
    dense: DenseIndex | None
    model: str
    document_of: npt.NDArray[np.int32] = field(repr=False)
    first_row: npt.NDArray[np.int64] = field(repr=False)
    router: Router = field(repr=False)
    languages: frozenset[str]

    @property
    def size(self) -> int:
        """How many passages there are."""
        return len(self.document_of)

    def chunk(self, row: int) -> Chunk:
        """The passage of a row."""
        document = int(self.document_of[row])
        return self.documents[document].chunks[row - int(self.first_row[document])]

    def files(self) -> dict[str, bytes]:
        """The indices as files' contents, for `restore_corpus`."""
        contents = {_LEXICAL_FILE: self.lexical.to_bytes()}
        if self.dense is not None:
            contents[_DENSE_FILE] = self.dense.to_bytes()
        return contents


def text_to_embed(chunk: Chunk, facts: Facts) -> str:
    """What is embedded of a passage: its document's title, its sheet and section, and its text.

    Companies, years and kinds of reports are left to the words and to routing: in front of every passage of a document
    they blur its vectors. All comes from the header and the text, which are masked where the reader's view is; the
    document's facts only decide.
    """
    parts = chunk.header.split(_HEADER_SEPARATOR)
    placed = (chunk.place.sheet is not None) + bool(chunk.place.section)
    titled = parts[:0] if len(parts) > placed and is_label(facts.title, facts) else parts[:1]
    kept = _HEADER_SEPARATOR.join([*titled, *parts[max(1, len(parts) - placed) :]])
    return f"{kept}\n{chunk.text}" if kept else chunk.text


def build_corpus(documents: Sequence[Listed], vectors: Vectors | None = None, model: str = "") -> Corpus:
    """Index documents.

    Args:
        documents: The documents, each with its passages.
        vectors: A vector of `text_to_embed` for each passage, through all documents; None without a model.
        model: The identity of the embedder that made them.

    Raises:
        ValueError: when there is not one vector a passage.
    """
    if vectors is not None and len(vectors) != sum(len(listed.chunks) for listed in documents):
        raise ValueError("one vector a passage is needed")
    lexical = build_lexical(_passages(documents))
    dense = DenseIndex.build(vectors) if vectors is not None and len(vectors) else None
    return _corpus(documents, lexical, dense, model)


def restore_corpus(documents: Sequence[Listed], files: Mapping[str, bytes], model: str = "") -> Corpus:
    """The corpus that `Corpus.files` came from.

    Args:
        documents: The same documents.
        files: Contents that were checked to be those that were written.
        model: The identity of the embedder that made the vectors.

    Raises:
        ValueError: when the files do not belong to the documents.
    """
    if _LEXICAL_FILE not in files:
        raise ValueError("the lexical index is missing")
    lexical = LexicalIndex.from_bytes(files[_LEXICAL_FILE])
    dense = DenseIndex.from_bytes(files[_DENSE_FILE]) if _DENSE_FILE in files else None
    size = sum(len(listed.chunks) for listed in documents)
    if lexical.size != size or (dense is not None and dense.size != size):
        raise ValueError("the indices belong to other documents")
    return _corpus(documents, lexical, dense, model)


def _corpus(documents: Sequence[Listed], lexical: LexicalIndex, dense: DenseIndex | None, model: str) -> Corpus:
    counts = [len(listed.chunks) for listed in documents]
    return Corpus(
        tuple(documents),
        lexical,
        dense,
        model if dense is not None else "",
        np.repeat(np.arange(len(documents), dtype=np.int32), counts),
        np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))[:-1].astype(np.int64),
        Router([label_of(listed.name, listed.facts) for listed in documents]),
        frozenset(listed.facts.language or DEFAULT_LANGUAGE for listed in documents),
    )


def _passages(documents: Sequence[Listed]) -> Iterator[Passage]:
    for listed in documents:
        language = listed.facts.language or DEFAULT_LANGUAGE
        name = " ".join(re.split(r"[\W_]+", PurePosixPath(listed.name).stem))
        for chunk in listed.chunks:
            header = chunk.header if name.casefold() in chunk.header.casefold() else f"{name} | {chunk.header}"
            yield Passage(header, _with_names_once(chunk.text), language)


def _with_names_once(text: str) -> str:
    """The rows of a table with each column's name where it stands first.

    Every row carries the names of its columns, so that it can be read by itself; counted in each, they would outweigh
    what the rows say.
    """
    if ROW_SEPARATOR not in text:
        return text
    named: set[str] = set()
    lines = (_without_names(line.split(ROW_SEPARATOR), named) for line in text.split("\n"))
    return "\n".join(lines)


def _without_names(cells: Sequence[str], named: set[str]) -> str:
    if len(cells) == 1:
        return cells[0]
    kept: list[str] = []
    for cell in cells:
        name, colon, value = cell.partition(NAME_SEPARATOR)
        kept.append(value if colon and name in named else cell)
        named.add(name)
    return ROW_SEPARATOR.join(kept)
