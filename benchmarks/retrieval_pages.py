"""How well the page with the evidence is found in long documents, and what each step towards it brings.

    python benchmarks/retrieval_pages.py DIR [--model-directory DIR] [--cache DIR]

DIR holds pdfs/ and questions.jsonl with `question`, `document` and `evidence_pages`, counted from 0. A question counts
at k when one of its pages is among the first k different pages: of its document when only that is searched, and of all
documents when all are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter

import anyio
import numpy as np

from commission_mcp.documents.chunking import chunks
from commission_mcp.documents.model import Chunk, Document, Facts, Place
from commission_mcp.documents.reading import open_reader
from commission_mcp.search.corpus import Corpus, Listed, build_corpus, text_to_embed
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.fusion import fused
from commission_mcp.search.lexical import inverse_frequencies, mean_length
from commission_mcp.search.lexicon import Lexicon, built_in
from commission_mcp.search.model import FULL_NAME, fetch_model
from commission_mcp.search.ranking import Filters, rank
from commission_mcp.search.words import words
from retrieval_beir import embedded

CUTS = (1, 5, 10, 20)
DEPTH = 120  # passages, so that twenty different pages are among them
SIZE, OVERLAP = 800, 100

Page = tuple[str, int]
Ranking = Callable[[str, str | None], Iterator[Page]]
"""Pages for a question, best first, of one document where one is named."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A question and the pages that answer it."""

    text: str
    document: str
    pages: frozenset[Page]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--model-directory", type=Path, default=Path.home() / ".cache" / "commission-mcp-tests" / "model"
    )
    parser.add_argument("--cache", type=Path, default=None, help="where vectors are kept for another run")
    parser.add_argument("--missed", action="store_true", help="list the questions that the last ranking misses at 10")
    parser.add_argument(
        "--ours-only", action="store_true", help="leave out the fixed passages, which cost half the time"
    )
    options = parser.parse_args()
    fetch_model(options.model_directory)
    embedder = open_embedder(FULL_NAME, options.model_directory)
    judged = list(read_questions(options.directory / "questions.jsonl"))
    started_s = perf_counter()
    documents = anyio.run(read_documents, sorted((options.directory / "pdfs").glob("*.pdf")))
    print(f"read {len(documents)} documents in {perf_counter() - started_s:.0f} s", flush=True)
    fixed = None if options.ours_only else corpus_of(list(map(seed_style, documents)), embedder, options.cache)
    ours = corpus_of(list(map(adaptive, documents)), embedder, options.cache)
    print(f"{len(judged)} questions; {ours.size:,} passages of ours, {fixed.size if fixed else 0:,} fixed ones\n")
    print(
        "| page hit at | "
        + " | ".join(f"within {k}" for k in CUTS)
        + " | "
        + " | ".join(f"all {k}" for k in CUTS)
        + " |"
    )
    print("|---|" + "---:|" * (2 * len(CUTS)), flush=True)
    if fixed is not None:
        show("fixed 800/100, dense", judged, plainly(fixed, embedder, lexical=False))
        show("+ lexical", judged, plainly(fixed, embedder, lexical=True))
    show("+ our passages and headers", judged, plainly(ours, embedder, lexical=True))
    show("+ question clean-up and routing", judged, ranked(ours, embedder, Lexicon([])))
    missed = show("+ lexicon (as the tools rank)", judged, ranked(ours, embedder, built_in()))
    show("the same without a model", judged, ranked(ours, None, built_in()))
    if options.missed:
        print("\nmissed at 10:", *missed, sep="\n")


def show(label: str, judged: Sequence[Judged], ranking: Ranking) -> list[str]:
    """Print a row of the table; the questions that are missed at 10."""
    cells: list[str] = []
    missed: list[str] = []
    for scope in ("within", "all"):
        hits = [
            first_hit(ranking(question.text, question.document if scope == "within" else None), question.pages)
            for question in judged
        ]
        cells += [f"{np.mean([hit < cut for hit in hits]):.3f}" for cut in CUTS]
        missed += [f"{scope}: {question.text}" for question, hit in zip(judged, hits, strict=True) if hit >= 10]
    print(f"| {label} | " + " | ".join(cells) + " |", flush=True)
    return missed


def first_hit(found: Iterator[Page], wanted: frozenset[Page]) -> int:
    """At which of the different pages, counted from 0, the first wanted one comes; a large number for never."""
    for position, page in enumerate(dict.fromkeys(found)):
        if page in wanted:
            return position
    return 1_000_000


def ranked(corpus: Corpus, embedder: Embedder | None, lexicon: Lexicon) -> Ranking:
    """As the tools rank."""

    def pages(question: str, document: str | None) -> Iterator[Page]:
        filters = Filters(documents=(document,)) if document else None
        for hit in rank(question, [corpus], embedder, lexicon, limit=DEPTH, filters=filters):
            for place in (hit.place, *hit.alike):
                yield corpus.documents[place.document].name, (place.chunk.place.page or 1) - 1

    return pages


def plainly(corpus: Corpus, embedder: Embedder, *, lexical: bool) -> Ranking:
    """The question as it is: by meaning, or by both fused over all passages."""
    names = np.array([listed.name for listed in corpus.documents])[corpus.document_of]

    def pages(question: str, document: str | None) -> Iterator[Page]:
        rows = np.arange(corpus.size) if document is None else np.flatnonzero(names == document)
        assert corpus.dense is not None  # noqa: S101 - built with vectors
        scores = corpus.dense.cosines(embedder.embed([question])[0], rows)
        if lexical:
            idf = inverse_frequencies([corpus.lexical], {word for word, _ in words(question)})
            scores = fused(corpus.lexical.scores(idf, mean_length([corpus.lexical]))[rows], scores)
        for row in rows[np.argsort(-scores, kind="stable")]:
            yield str(names[row]), (corpus.chunk(int(row)).place.page or 1) - 1

    return pages


def corpus_of(documents: Sequence[Listed], embedder: Embedder, cache: Path | None) -> Corpus:
    """The corpus of these documents, with vectors."""
    texts = [text_to_embed(chunk, listed.facts) for listed in documents for chunk in listed.chunks]
    vectors: Vectors = embedded(texts, embedder, cache)
    return build_corpus(documents, vectors, embedder.identity)


def adaptive(document: Document) -> Listed:
    """A document in our passages."""
    return Listed(document.name, document.media_type, document.facts, chunks(document, SIZE, OVERLAP))


def seed_style(document: Document) -> Listed:
    """A document cut every so many characters of each page, without headers or anything that is known of it."""
    texts: dict[int, list[str]] = {}
    for block in document.blocks:
        texts.setdefault(block.place.page or 1, []).append(block.text)
    cut = chain.from_iterable(windows("\n".join(parts), page) for page, parts in texts.items())
    passages = [Chunk(number, text, 0, len(text), Place(page=page), "") for number, (page, text) in enumerate(cut)]
    return Listed(document.name, document.media_type, Facts(""), passages)


def windows(text: str, page: int) -> Iterator[tuple[int, str]]:
    """Stretches of a fixed length that overlap."""
    for start in range(0, max(1, len(text) - OVERLAP), SIZE - OVERLAP):
        yield page, text[start : start + SIZE]


async def read_documents(paths: Sequence[Path]) -> list[Document]:
    """These files, one after the other."""
    async with open_reader() as reader:
        return [await reader.read(path.name, path) for path in paths]


def read_questions(path: Path) -> Iterator[Judged]:
    """The questions with their pages."""
    with path.open(encoding="utf-8") as lines:
        for entry in map(json.loads, lines):
            document = str(entry["document"])
            yield Judged(
                str(entry["question"]), document, frozenset((document, int(p)) for p in entry["evidence_pages"])
            )


if __name__ == "__main__":
    main()
