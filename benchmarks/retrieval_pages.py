"""How well the page with the evidence is found in long documents, and what each step towards it brings.

    python benchmarks/retrieval_pages.py DIR [--questions FILE ...] [--model-directory DIR] [--cache DIR]

DIR holds pdfs/ and questions.jsonl with `question`, `document` (a name in pdfs/) and `evidence_pages`, counted from 0;
other fields are passed over. A question counts at k when one of its pages is among the first k different pages: of its
document when only that is searched, and of all documents when all are. Several files of questions give a table each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter

import anyio
import numpy as np

from collection import json_lines, pages
from commission_mcp.documents.chunking import chunks
from commission_mcp.documents.model import Chunk, Document, Facts, Place
from commission_mcp.documents.reading import open_reader
from commission_mcp.search.corpus import Corpus, Listed, build_corpus, text_to_embed
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.filters import Filters
from commission_mcp.search.fusion import fused
from commission_mcp.search.lexical import inverse_frequencies, mean_length
from commission_mcp.search.lexicon import Lexicon, built_in
from commission_mcp.search.model import FULL_NAME, fetch_model
from commission_mcp.search.ranking import rank
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
    parser.add_argument("--questions", type=Path, nargs="+", help="questions.jsonl of DIR by default")
    parser.add_argument("--missed", action="store_true", help="list the questions that the last ranking misses at 10")
    parser.add_argument(
        "--ours-only", action="store_true", help="leave out the fixed passages, which cost half the time"
    )
    options = parser.parse_args()
    files: list[Path] = options.questions or [options.directory / "questions.jsonl"]
    paths = documents_of(options.directory)
    sets = {file: read_questions(file, {path.name for path in paths}) for file in files}
    fetch_model(options.model_directory)
    embedder = open_embedder(FULL_NAME, options.model_directory)
    started_s = perf_counter()
    documents = anyio.run(read_documents, paths)
    print(f"read {len(documents)} documents in {perf_counter() - started_s:.0f} s", flush=True)
    fixed = None if options.ours_only else corpus_of(list(map(seed_style, documents)), embedder, options.cache)
    ours = corpus_of(list(map(adaptive, documents)), embedder, options.cache)
    print(f"{ours.size:,} passages of ours, {fixed.size if fixed else 0:,} fixed ones")
    for file, judged in sets.items():
        print(f"\n{file.name}: {len(judged)} questions\n")
        table(judged, ours, fixed, embedder, missed=options.missed)


def table(judged: Sequence[Judged], ours: Corpus, fixed: Corpus | None, embedder: Embedder, *, missed: bool) -> None:
    """Print the table of a set of questions."""
    heads = [f"{scope} {cut}" for scope in ("within", "all") for cut in CUTS]
    print(f"| page hit at | {' | '.join(heads)} |")
    print("|---|" + "---:|" * (2 * len(CUTS)), flush=True)
    if fixed is not None:
        show("fixed 800/100, dense", judged, plainly(fixed, embedder, lexical=False))
        show("+ lexical", judged, plainly(fixed, embedder, lexical=True))
    show("+ our passages and headers", judged, plainly(ours, embedder, lexical=True))
    show("+ question clean-up and routing", judged, ranked(ours, embedder, Lexicon([])))
    unfound = show("+ lexicon (as the tools rank)", judged, ranked(ours, embedder, built_in()))
    show("the same without a model", judged, ranked(ours, None, built_in()))
    if missed:
        print("\nmissed at 10:", *unfound, sep="\n")


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


def documents_of(directory: Path) -> list[Path]:
    """The PDFs of a collection.

    Raises:
        SystemExit: when there are none.
    """
    paths = sorted(path for path in (directory / "pdfs").glob("*") if path.suffix.lower() == ".pdf")
    if not paths:
        raise SystemExit(f"{directory / 'pdfs'} holds no PDFs")
    return paths


def read_questions(path: Path, documents: Collection[str]) -> list[Judged]:
    """The questions with their pages.

    Args:
        path: The file.
        documents: The names of the documents; one may be named without its ending.

    Raises:
        SystemExit: when a question is not of the form, or about a document that is not there.
    """
    names = {name: name for name in documents} | {Path(name).stem: name for name in documents}
    judged: list[Judged] = []
    for where, entry in json_lines(path, ("question", "document", "evidence_pages")):
        document = names.get(str(entry["document"]))
        if document is None:
            raise SystemExit(f"{where}: there is no document {entry['document']} in pdfs/")
        evidence = pages(entry["evidence_pages"], where)
        judged.append(Judged(str(entry["question"]), document, frozenset((document, page) for page in evidence)))
    if not judged:
        raise SystemExit(f"{path} holds no questions")
    return judged


if __name__ == "__main__":
    main()
