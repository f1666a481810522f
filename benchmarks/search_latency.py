"""How long a search takes, and of what: the question's vector, vectors compared, words scored, and the rest.

    python benchmarks/search_latency.py [--sizes 1000 10000 100000] [--model-directory DIR] [--indexing [FILE]]

The passages are made of words drawn as in natural text (Zipf's law) and their vectors are drawn around a few hundred
directions; the questions and the model are real. Prints medians in milliseconds, all of one run. With --indexing also
how many passages a second are embedded, beside sentence-transformers where that extra is installed, in turns: made-up
ones, or the `text` of the first lines of FILE (such as the corpus.jsonl of a collection of BEIR's form).
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np

from collection import json_lines
from commission_mcp.documents.model import Chunk, Facts, Place
from commission_mcp.search.corpus import Corpus, Listed, build_corpus
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.lexicon import built_in
from commission_mcp.search.model import FULL_NAME, fetch_model
from commission_mcp.search.ranking import rank

ROUNDS = 60
WARM_UP = 6
PASSAGE_WORDS = 120
VOCABULARY = 30_000
DIRECTIONS = 400
PASSAGES_A_DOCUMENT = 100
EMBEDDED = 256
TURNS = 3
QUESTIONS = (
    "What is the commission rate for the North in Q4 2025?",
    "When are bonuses paid after the end of the quarter?",
    "Is a commission recovered when a customer returns the goods?",
    "Who approves exceptions to the plan?",
    "How is a new hire's quota prorated?",
    "What is the accelerator above 120 % of quota?",
)


class Clock:
    """Adds up what calls through it take, by name."""

    def __init__(self) -> None:
        self.taken_s: dict[str, float] = {}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, its time added up under the name."""

        def run(*args: object, **keywords: object) -> object:
            started_s = perf_counter()
            try:
                return call(*args, **keywords)
            finally:
                self.taken_s[name] = self.taken_s.get(name, 0.0) + perf_counter() - started_s

        return run


class Through:
    """An object whose methods are timed."""

    def __init__(self, of: object, clock: Clock, name: str, methods: Sequence[str]) -> None:
        self._of = of
        for method in methods:
            setattr(self, method, clock.timed(name, getattr(of, method)))

    def __getattr__(self, name: str) -> object:
        """Everything else is the object's own."""
        return getattr(self._of, name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument(
        "--model-directory", type=Path, default=Path.home() / ".cache" / "commission-mcp-tests" / "model"
    )
    parser.add_argument("--indexing", nargs="?", const=True, metavar="FILE", help="measure the making of vectors too")
    options = parser.parse_args()
    fetch_model(options.model_directory)
    started_s = perf_counter()
    embedder = open_embedder(FULL_NAME, options.model_directory)
    embedder.embed(["warm"])
    print(f"model loaded and first vector after {perf_counter() - started_s:.2f} s\n")
    print("| passages | p50 ms | embedding | dense | lexical | rest | p95 ms | built in s | MB as files |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for size in options.sizes:
        row(size, embedder)
    if options.indexing:
        texts = made_up_texts(embedder) if options.indexing is True else texts_of(Path(options.indexing))
        throughput(texts, embedder, options.model_directory)


def row(size: int, embedder: Embedder) -> None:
    """Print the row of one size."""
    documents, vectors = made_up(size, embedder)
    started_s = perf_counter()
    corpus = build_corpus(documents, vectors, embedder.identity)
    built_s = perf_counter() - started_s
    megabytes = sum(map(len, corpus.files().values())) / 1e6
    parts, totals = times_of(corpus, embedder)
    cells = [statistics.median(totals), *(statistics.median(parts[name]) for name in ("embedding", "dense", "lexical"))]
    rest = statistics.median(total - sum(parts[name][number] for name in parts) for number, total in enumerate(totals))
    p95 = sorted(totals)[int(len(totals) * 0.95)]
    print(
        f"| {size:,} | "
        + " | ".join(f"{cell * 1000:.2f}" for cell in (*cells, rest, p95))
        + f" | {built_s:.1f} | {megabytes:.0f} |",
        flush=True,
    )


def times_of(corpus: Corpus, embedder: Embedder) -> tuple[dict[str, list[float]], list[float]]:
    """The seconds of each part and of the whole, question by question."""
    parts: dict[str, list[float]] = {"embedding": [], "dense": [], "lexical": []}
    totals: list[float] = []
    lexicon = built_in()
    for number in range(-WARM_UP, ROUNDS):
        clock = Clock()
        watched = replace(
            corpus,
            lexical=cast("Any", Through(corpus.lexical, clock, "lexical", ["scores"])),
            dense=cast("Any", Through(corpus.dense, clock, "dense", ["nearest", "cosines"])),
        )
        model = cast("Embedder", Through(embedder, clock, "embedding", ["embed"]))
        started_s = perf_counter()
        rank(QUESTIONS[number % len(QUESTIONS)], [watched], model, lexicon, limit=10)
        total = perf_counter() - started_s
        if number >= 0:
            totals.append(total)
            for name, times in parts.items():
                times.append(clock.taken_s.get(name, 0.0))
    return parts, totals


def made_up(size: int, embedder: Embedder) -> tuple[list[Listed], Vectors]:
    """Documents of made-up passages, with vectors."""
    random = np.random.default_rng(11)
    vocabulary = [f"{a}{b}{c}" for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES][: VOCABULARY - 200]
    vocabulary = COMMON.split() + vocabulary
    ranks = np.minimum(random.zipf(1.15, size * PASSAGE_WORDS) - 1, 10 * VOCABULARY) % len(vocabulary)
    documents: list[Listed] = []
    for start in range(0, size, PASSAGES_A_DOCUMENT):
        name = f"document-{start // PASSAGES_A_DOCUMENT}.pdf"
        chunks: list[Chunk] = []
        for number in range(start, min(size, start + PASSAGES_A_DOCUMENT)):
            drawn: list[int] = ranks[number * PASSAGE_WORDS : (number + 1) * PASSAGE_WORDS].tolist()
            text = " ".join(vocabulary[rank_of_word] for rank_of_word in drawn)
            chunks.append(
                Chunk(number - start, text, 0, len(text), Place(page=number - start + 1), f"document {start}")
            )
        documents.append(Listed(name, "application/pdf", Facts(name), chunks))
    centres = random.standard_normal((DIRECTIONS, embedder.dimensions)).astype(np.float32)
    vectors = centres[random.integers(0, DIRECTIONS, size)]
    vectors = vectors + random.standard_normal((size, embedder.dimensions)).astype(np.float32)
    return documents, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def made_up_texts(embedder: Embedder) -> list[str]:
    """Made-up passages, as they are embedded."""
    documents, _ = made_up(EMBEDDED, embedder)
    return [f"{chunk.header}\n{chunk.text}" for listed in documents for chunk in listed.chunks]


def texts_of(path: Path) -> list[str]:
    """The texts of a file of JSON lines."""
    return [str(entry["text"]) for _, entry in islice(json_lines(path, ("text",)), EMBEDDED)]


def throughput(texts: Sequence[str], embedder: Embedder, model_directory: Path) -> None:
    """Print how many passages a second are embedded, by whatever is installed; the best of some turns."""
    print(f"\n| {len(texts)} passages of {statistics.mean(map(len, texts)):.0f} characters | a second |\n|---|---:|")
    ways: dict[str, Embedder] = {"ONNX Runtime": embedder}
    if importlib.util.find_spec("sentence_transformers") is not None:
        from commission_mcp.search.sentence_transformers_embedder import (  # noqa: PLC0415 - the extra
            SentenceTransformersEmbedder,
        )

        ways["sentence-transformers"] = SentenceTransformersEmbedder(FULL_NAME, model_directory)
    best_s = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way.embed(texts[:16])
    for _ in range(TURNS):
        for name, way in ways.items():
            started_s = perf_counter()
            way.embed(texts)
            best_s[name] = min(best_s[name], perf_counter() - started_s)
    for name, taken_s in best_s.items():
        print(f"| {name} | {len(texts) / taken_s:.1f} |", flush=True)


SYLLABLES = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
COMMON = (
    "the of and commission rate quota paid quarter bonus plan sales customer approve returns goods north exception "
    "hire accelerator end when who is what above new recovered territory product payout tier threshold credit manager"
)

if __name__ == "__main__":
    main()
