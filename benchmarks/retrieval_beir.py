"""How well passages are found in a collection of BEIR's form (Thakur et al. 2021).

    python benchmarks/retrieval_beir.py DIR [--split test] [--model-directory DIR] [--cache DIR]

DIR holds corpus.jsonl (`_id`, `text`, perhaps `title`), queries*.jsonl (`_id`, `text`) and qrels/SPLIT.tsv (query-id,
corpus-id, score); other fields are passed over. Prints nDCG@10, recall@10 and MRR@10 of words alone, of
meaning alone, and of both fused by `rank`, the one function that the tools use; that with the lexicon of commissions
and finance too, which a collection of another field has no use for.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from collection import json_lines, judgements
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
    documents = read_documents(options.directory / "corpus.jsonl")
    judged = read_judgements(options.directory / "qrels", options.split)
    questions = {number: text for number, text in read_questions(options.directory) if number in judged}
    checked(questions, judged, documents)
    fetch_model(options.model_directory)
    embedder = open_embedder(FULL_NAME, options.model_directory)
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
    """One document with one passage for each line of `_id`, `text` and, where it has one, `title`.

    Raises:
        SystemExit: when a line is not of the form, or an id stands twice.
    """
    documents: dict[str, Listed] = {}
    for where, entry in json_lines(path, ("_id",)):
        name, title, text = (str(entry.get(field) or "") for field in ("_id", "title", "text"))
        if "text" not in entry:
            raise SystemExit(f"{where}: lacks text; it has {', '.join(sorted(entry))}")
        if name in documents:
            raise SystemExit(f"{where}: the _id {name} stands twice")
        chunk = Chunk(0, text, 0, len(text), Place(), title)
        documents[name] = Listed(name, "text/plain", Facts(title), [chunk])
    if not documents:
        raise SystemExit(f"{path} holds no documents")
    return list(documents.values())


def read_questions(directory: Path) -> Iterable[tuple[str, str]]:
    """Every question of the files queries*.jsonl.

    Raises:
        SystemExit: when there is no such file, or a line is not of the form.
    """
    paths = sorted(directory.glob("queries*.jsonl"))
    if not paths:
        raise SystemExit(f"{directory} holds no queries.jsonl")
    for path in paths:
        yield from ((str(entry["_id"]), str(entry["text"])) for _, entry in json_lines(path, ("_id", "text")))


def read_judgements(directory: Path, split: str | None) -> Judgements:
    """The grade of each judged document, by question.

    Raises:
        SystemExit: when it is not clear which file is meant, or that is not of the form.
    """
    there = sorted(directory.glob("*.tsv"))
    paths = [path for path in there if split in (None, path.stem)]
    if not there:
        raise SystemExit(f"{directory} holds no judgements; SPLIT.tsv is wanted")
    if len(paths) != 1:
        raise SystemExit(f"name one of the splits with --split: {', '.join(path.stem for path in there)}")
    return judgements(paths[0])


def checked(questions: Mapping[str, str], judged: Judgements, documents: Iterable[Listed]) -> None:
    """Say which judgements are about nothing that is there, and stop where none is left.

    Raises:
        SystemExit: when no question has a judgement.
    """
    names = {listed.name for listed in documents}
    lost = sum(document not in names for number in questions for document in judged[number])
    if lost:
        print(f"{lost:,} judgements are about documents that are not in the corpus; they count as not found")
    if len(questions) < len(judged):
        print(f"{len(judged) - len(questions):,} judged questions have no text in queries*.jsonl and are left out")
    if not questions:
        raise SystemExit("no question has a judgement: the ids of queries*.jsonl and of the judgements differ")


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
