"""Read every file of a folder, as the indexer does, and list what became of each.

    python benchmarks/read_folder.py FOLDER [--workers 2] [--expected FOLDER] [--show NAME]

With `--expected`, a folder of texts named as the files: the share of their words that were found is listed too.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from time import perf_counter

import anyio

from commission_mcp.documents.chunking import chunks, full_text
from commission_mcp.documents.model import Document
from commission_mcp.documents.reading import DocumentReader, open_reader
from commission_mcp.errors import Refused

WORD = re.compile(r"\w+")


def outcome(document: Document, expected: Path | None) -> str:
    """One line about a document that was read."""
    text = full_text(document)
    pages = f"{document.pages} pages, " if document.pages else ""
    found = f", {found_share(text, expected):.1%} of the expected words" if expected else ""
    notes = f" ({'; '.join(document.notes)})" if document.notes else ""
    return f"{pages}{len(text):,} characters, {len(chunks(document))} passages{found}{notes}"


def found_share(text: str, expected: Path) -> float:
    """How many of the expected words are in the text."""
    there = set(WORD.findall(text.lower()))
    wanted = WORD.findall(expected.read_text("utf-8").lower())
    return sum(word in there for word in wanted) / max(1, len(wanted))


async def read_folder(folder: Path, workers: int, expected: Path | None, show: str) -> None:
    """Read the files and print a line for each."""
    paths = [path async for path in anyio.Path(folder).rglob("*") if await path.is_file()]
    free = anyio.CapacityLimiter(workers)
    lines: dict[str, str] = {}

    async def read(reader: DocumentReader, path: Path) -> None:
        async with free:
            await read_one(reader, path)

    async def read_one(reader: DocumentReader, path: Path) -> None:
        name = path.relative_to(folder).as_posix()
        known = expected / f"{path.stem}.md" if expected else None
        began_s = perf_counter()
        try:
            document = await reader.read(name, path)
        except Refused as refusal:
            lines[name] = f"REFUSED {refusal.problems[0]}"
            return
        said = outcome(document, known if known and known.exists() and known.stat().st_size else None)
        lines[name] = f"{perf_counter() - began_s:6.2f} s  {said}"
        if name == show:
            print(full_text(document))

    began_s = perf_counter()
    async with open_reader(workers=workers) as reader, anyio.create_task_group() as group:
        for path in sorted(paths):
            group.start_soon(read, reader, Path(path))
    for name in sorted(lines):
        print(f"{name}: {lines[name]}")
    refused = sum(line.startswith("REFUSED") for line in lines.values())
    print(f"{len(paths)} files, {refused} refused, {perf_counter() - began_s:.1f} s with {workers} workers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--show", default="")
    options = parser.parse_args()
    anyio.run(read_folder, options.folder, options.workers, options.expected, options.show)
