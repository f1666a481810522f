"""Small real parts for tests of indexing: a reader of plain text and an embedder that hashes words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from commission_mcp.documents.model import Block, BlockKind, Document, Facts, Place
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.folder import Folder
from commission_mcp.search.indexer import Cutting, Indexing
from commission_mcp.search.progress import Progress
from commission_mcp.search.store import Store

_ADDRESS = re.compile(r"\w+@\w+\.\w+")


def mask(text: str) -> str:
    """E-mail addresses, as stars."""
    return _ADDRESS.sub(lambda found: "*" * len(found[0]), text)


@dataclass
class PlainReader:
    """Reads text files: pages end with a form feed, paragraphs with an empty line."""

    version: int = 1
    read_names: list[str] = field(default_factory=list[str])

    async def signature(self, name: str) -> str:
        """Its version."""
        if not name.endswith(".txt"):
            raise Refused(Problem(Code.DOCUMENT_TYPE, "Only .txt is read.", "Save it as text."))
        return f"plain {self.version}"

    async def read(self, name: str, content: bytes) -> Document:
        """The text, or what the test asks for in it."""
        self.read_names.append(name)
        reader = await self.signature(name)
        text = content.decode()
        if "BROKEN" in text:
            raise Refused(Problem(Code.DOCUMENT_DAMAGED, "It is broken.", "Mend it."))
        if "BUG" in text:
            raise RuntimeError(text)
        pages = text.split("\f")
        blocks = [
            Block(BlockKind.PARAGRAPH, paragraph, Place(page=number))
            for number, page in enumerate(pages, 1)
            for paragraph in page.split("\n\n")
            if paragraph.strip()
        ]
        stated = re.match(r"title: (.*)", text)
        title = stated[1] if stated else name.rpartition("/")[2].removesuffix(".txt")
        return Document(name, "text/plain", tuple(blocks), len(pages), Facts(title), reader)


@dataclass
class HashingEmbedder:
    """Counts words in as many buckets as there are dimensions."""

    identity: str = "hashing 1"
    dimensions: int = 32
    embedded: int = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector a text."""
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or ["?"]:
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass
class Collection:
    """A folder of text files, its store, and indexing one into the other."""

    root: Path
    store: Store
    reader: PlainReader = field(default_factory=PlainReader)
    embedder: HashingEmbedder | None = field(default_factory=HashingEmbedder)
    chunk_size: int = 200
    racy_s: float = 2.0
    reports: list[Progress] = field(default_factory=list[Progress])

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def indexing(self) -> Indexing:
        """An indexing that has not begun."""

        async def embedder(_: object) -> tuple[Embedder | None, str]:
            return self.embedder, "" if self.embedder else "There is no model."

        cutting = Cutting(self.chunk_size, 20, 100_000, mask, "cutting 1", self.racy_s)
        return Indexing(self.store, Folder(self.root), self.reader, cutting, embedder, self.reports.append)

    async def index(self) -> Progress:
        """Index once, and say what was read."""
        self.reader.read_names.clear()
        progress = await self.indexing().run()
        assert progress is not None
        return progress

    def texts(self) -> dict[str, str]:
        """What the store says, by name; everything is sound."""
        contents = self.store.load()
        assert not contents.damaged
        return {entry.name: entry.text for entry in contents.entries}


@pytest.fixture
def open_collection() -> Callable[[Path], Collection]:
    """Makes a collection in a directory."""
    return lambda place: Collection(place / "documents", Store(place / "index"))


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """An empty collection."""
    return Collection(tmp_path / "documents", Store(tmp_path / "index"))
