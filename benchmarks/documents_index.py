"""Keeping documents: indexing, indexing again what has not changed, many clients one after the other.

    python benchmarks/documents_index.py [--documents 10000] [--clients 10000] [--chunks 100] [--memory-mb 256]

Either half is left out with 0.

Texts are made up; vectors are random where only their keeping is measured, so that no model is needed.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median

import anyio
import numpy as np

from commission_mcp.documents.model import BlockKind, Chunk, Facts, Place
from commission_mcp.documents.reading import open_reader
from commission_mcp.domain.caller import MaskingClass
from commission_mcp.domain.masking import mask
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.entries import Embedding, Entry, FileState, Properties, Span
from commission_mcp.search.folder import Folder
from commission_mcp.search.holdings import Places
from commission_mcp.search.indexer import Cutting, Indexing
from commission_mcp.search.lexicon import built_in
from commission_mcp.search.progress import Progress
from commission_mcp.search.ranking import rank
from commission_mcp.search.shelves import Shelves
from commission_mcp.search.store import Store

DIMENSIONS = 384
WORDS = ("commission", "rate", "quota", "territory", "bonus", "plan", "product", "payee", "period", "clawback", "draw")


class RandomEmbedder:
    """Vectors without meaning."""

    identity = "random 1"
    dimensions = DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector a text."""
        vectors = np.random.default_rng(len(texts)).standard_normal((len(texts), DIMENSIONS), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--memory-mb", type=int, default=256, help="for the loaded indexes of all clients together")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if given.documents:
            print("| documents | s | read | unchanged | MiB at most |\n|---|---:|---:|---:|---:|", flush=True)
            anyio.run(measure_unchanged, Path(place), given.documents)
        if given.clients:
            anyio.run(measure_clients, Path(place), given.clients, given.chunks, given.memory_mb << 20)


async def measure_unchanged(place: Path, documents: int) -> None:
    """Index many small files, then again without a change."""
    root = place / "documents"
    for number in range(documents):
        path = root / f"{number % 100:02}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Document {number}.\n\n{sentence(number)}\n", "utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    store = Store(place / "index")
    async with open_reader() as reader:

        async def model(_: object) -> tuple[Embedder | None, str]:
            return RandomEmbedder(), ""

        async def index() -> Progress | None:
            cutting = Cutting(800, 100, 64 << 20, mask, racy_s=0)
            return await Indexing(store, Folder(root), reader, cutting, model, unheard).run()

        await timed(f"{documents:,} text files, first time (random vectors)", index)
        await timed(f"{documents:,} text files, unchanged", index)
        (root / "00" / "0.txt").write_text("Changed.", "utf-8")
        await timed(f"{documents:,} text files, one changed", index)


async def measure_clients(place: Path, clients: int, chunks: int, memory_bytes: int) -> None:
    """Open the indexes of many clients one after the other, and search each once."""
    places = Places(place / "none", place / "none" / "clients", place / "indexes")
    started_s = time.perf_counter()
    for number in range(clients):
        with places.client_collection(f"client-{number}").store.indexing() as writer:
            if writer is None:
                raise RuntimeError("somebody else is writing")
            writer.change(entries=[made_up(number, chunks)])
            writer.seal()
    written_s = time.perf_counter() - started_s
    shelves = Shelves(memory_bytes, mask)
    times_ms: list[float] = []
    before_mb = memory_mb()
    held: list[str] = []
    for number in range(clients):
        started_s = time.perf_counter()
        shelf = await shelves.get(places.client_collection(f"client-{number}"), MaskingClass.MASKED)
        rank("What is the rate of the quota bonus?", [shelf.corpus], RandomEmbedder(), built_in(), limit=5)
        times_ms.append((time.perf_counter() - started_s) * 1000)
        if (number + 1) % max(1, clients // 10) == 0:
            held.append(f"{memory_mb():.0f} after {number + 1:,}")
    times_ms.sort()
    names = ("clients", "chunks each", "written s", "opened and searched p50 ms", "p99 ms", "memory MiB", "indexes MiB")
    print(f"\n| {' | '.join(names)} |\n|---:|---:|---:|---:|---:|---|---|")
    print(
        f"| {clients:,} | {chunks} | {written_s:.1f} | {median(times_ms):.1f} "
        f"| {times_ms[int(len(times_ms) * 0.99)]:.1f} | {before_mb:.0f} to {memory_mb():.0f} "
        f"| {shelves.size_bytes / 2**20:.0f} of {memory_bytes / 2**20:.0f} |\n"
    )
    print(f"the most memory held so far, in MiB: {', '.join(held)}")


def made_up(number: int, chunks: int) -> Entry:
    """A document of many paragraphs."""
    paragraphs = [f"{sentence(number * 1000 + each)}" for each in range(chunks)]
    spans: list[Span] = []
    at = 0
    for page, paragraph in enumerate(paragraphs, 1):
        spans.append(Span(BlockKind.PARAGRAPH, at, at + len(paragraph), Place(page=page)))
        at += len(paragraph) + 2
    text = "\n\n".join(paragraphs)
    cut = tuple(Chunk(i, text[of.start : of.end], of.start, of.end, of.place, "Plan") for i, of in enumerate(spans))
    embedding = Embedding("random 1", RandomEmbedder().embed(paragraphs))
    properties = Properties("text/plain", chunks, Facts("Plan"), "made up")
    state = FileState(len(text), 1, 1, number)
    return Entry("plan.txt", state, "0" * 64, "made up", 1.0, properties, text, None, tuple(spans), cut, embedding)


def sentence(seed: int) -> str:
    """Two hundred words of the domain."""
    return " ".join(WORDS[(seed * 7 + each * each + each) % len(WORDS)] for each in range(200)) + f" {seed}."


def unheard(progress: Progress) -> None:
    """Nobody looks at the progress."""
    del progress


async def timed(title: str, work: Callable[[], Awaitable[Progress | None]]) -> None:
    """Run and print how long it took."""
    started_s = time.perf_counter()
    done = await work()
    if done is None:
        raise RuntimeError("somebody else is indexing")
    print(
        f"| {title} | {time.perf_counter() - started_s:.2f} | {done.indexed:,} | {done.unchanged:,} "
        f"| {memory_mb():.0f} |",
        flush=True,
    )


def memory_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
