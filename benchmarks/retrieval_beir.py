"""How well passages are found in a collection of BEIR's form (Thakur et al. 2021).

    python benchmarks/retrieval_beir.py DIR [--split test] [--model-directory DIR] [--cache DIR]

DIR holds corpus.jsonl, queries*.jsonl and qrels/SPLIT.tsv. Prints nDCG@10, recall@10 and MRR@10 of words alone, of
meaning alone, and of both fused by `rank`, the one function that the tools use; that with the lexicon of commissions
and finance too, which a collection of another field has no use for.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from commission_mcp.documents.model import Chunk, Facts, Place
from commission_mcp.search.corpus import Corpus, Listed, build_corpus, text_to_embed
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.lexicon import Lexicon, built_in
from commission_mcp.search.model import FULL_NAME, fetch_model
from commission_mcp.search.ranking import rank

DEPTH = 10
BATCH = 512

Judgements = dict[str, dict[str, int]]
Ranking = Callable[[str], list[str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--split", default=None, help="the file in qrels/ to judge by; the only one by default")
    parser.add_argument(
        "--model-directory", type=Path, default=Path.home() / ".cache" / "commission-mcp-tests" / "model"
    )
    parser.add_argument("--cache", type=Path, default=None, help="where vectors are kept for another run")
    options = parser.parse_args()
    fetch_model(options.model_directory)
    embedder = open_embedder(FULL_NAME, options.model_directory)
    documents = read_documents(options.directory / "corpus.jsonl")
    judged = read_judgements(options.directory / "qrels", options.split)
    questions = {number: text for number, text in read_questions(options.directory) if number in judged}
    texts = [text_to_embed(chunk, listed.facts) for listed in documents for chunk in listed.chunks]
    corpus = build_corpus(documents, embedded(texts, embedder, options.cache), embedder.identity)
    print(f"{len(documents):,} documents, {len(questions):,} questions with judgements\n")
    print("| | nDCG@10 | recall@10 | MRR@10 | ms a question |")
    print("|---|---:|---:|---:|---:|")
    for label, ranking in rankings(corpus, embedder).items():
        show(label, questions, judged, ranking)


def rankings(corpus: Corpus, embedder: Embedder) -> dict[str, Ranking]:
    """The ways to rank, by what they are called in the table."""
    none = Lexicon([])

    def by_meaning(question: str) -> list[str]:
        assert corpus.dense is not None  # noqa: S101 - built with vectors
        rows: list[int] = corpus.dense.nearest(embedder.embed([question])[0], DEPTH).tolist()
        return [corpus.documents[row].name for row in rows]

    def by_rank(model: Embedder | None, lexicon: Lexicon) -> Ranking:
        return lambda question: [
            corpus.documents[hit.place.document].name for hit in rank(question, [corpus], model, lexicon, limit=DEPTH)
        ]

    return {
        "lexical": by_rank(None, none),
        "dense": by_meaning,
        "hybrid": by_rank(embedder, none),
        "hybrid, with the lexicon": by_rank(embedder, built_in()),
    }


def show(label: str, questions: Mapping[str, str], judged: Judgements, ranking: Ranking) -> None:
    """Print a row of the table."""
    started_s = perf_counter()
    runs = {number: ranking(text) for number, text in questions.items()}
    taken_ms = (perf_counter() - started_s) / max(1, len(runs)) * 1000
    figures = [
        statistics.fmean(measure(runs[n], judged[n]) for n in runs) for measure in (ndcg, recall, reciprocal_rank)
    ]
    print(f"| {label} | " + " | ".join(f"{figure:.4f}" for figure in figures) + f" | {taken_ms:.1f} |", flush=True)


def ndcg(found: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain at 10, as trec_eval computes it."""
    ideal = gain(sorted(relevant.values(), reverse=True)[:DEPTH])
    return gain([relevant.get(name, 0) for name in found[:DEPTH]]) / ideal if ideal else 0.0


def gain(grades: Iterable[int]) -> float:
    """The discounted cumulative gain of grades in their order."""
    return sum(grade / math.log2(position + 2) for position, grade in enumerate(grades))


def recall(found: Sequence[str], relevant: Mapping[str, int]) -> float:
    """The share of relevant documents among the first ten."""
    wanted = {name for name, grade in relevant.items() if grade > 0}
    return len(wanted & set(found[:DEPTH])) / len(wanted) if wanted else 0.0


def reciprocal_rank(found: Sequence[str], relevant: Mapping[str, int]) -> float:
    """One over the position of the first relevant document among the first ten."""
    return next((1 / (at + 1) for at, name in enumerate(found[:DEPTH]) if relevant.get(name, 0) > 0), 0.0)


def read_documents(path: Path) -> list[Listed]:
    """One document with one passage for each line."""
    documents: list[Listed] = []
    with path.open(encoding="utf-8") as lines:
        for entry in map(json.loads, lines):
            title, text = str(entry.get("title") or ""), str(entry["text"])
            chunk = Chunk(0, text, 0, len(text), Place(), title)
            documents.append(Listed(str(entry["_id"]), "text/plain", Facts(title), [chunk]))
    return documents


def read_questions(directory: Path) -> Iterable[tuple[str, str]]:
    """Every question of the files queries*.jsonl."""
    for path in sorted(directory.glob("queries*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from ((str(entry["_id"]), str(entry["text"])) for entry in map(json.loads, lines))


def read_judgements(directory: Path, split: str | None) -> Judgements:
    """The grade of each judged document, by question."""
    paths = [directory / f"{split}.tsv"] if split else sorted(directory.glob("*.tsv"))
    if len(paths) != 1:
        raise SystemExit(f"name one of the splits with --split: {', '.join(path.stem for path in paths)}")
    judged: Judgements = {}
    with paths[0].open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judged.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return judged


def embedded(texts: Sequence[str], embedder: Embedder, cache: Path | None) -> Vectors:
    """The vectors of texts; from the cache where the same texts were embedded by the same model before."""
    digest = hashlib.sha256("\0".join([embedder.identity, *texts]).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    kept = cache / f"{digest}.npy" if cache else None
    if kept is not None and kept.exists():
        return np.load(kept)
    started_s = perf_counter()
    parts = [embedder.embed(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    vectors = np.concatenate(parts) if parts else np.empty((0, embedder.dimensions), np.float32)
    print(f"embedded {len(texts):,} texts, {len(texts) / (perf_counter() - started_s):.0f} a second", flush=True)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors)
    return vectors


if __name__ == "__main__":
    main()
