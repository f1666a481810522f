"""What the files of an index should be: their checksums, written last and replaced in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from commission_mcp.durable_files import replace_file

MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Derived:
    """Files made from the store, which can be made again at any time.

    Attributes:
        generation: The generation of the store that they were made from.
        recipe: What made them, with its settings: files of another recipe are made anew.
        files: The SHA-256 of each file, by its name.
    """

    generation: int
    recipe: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The checksums of an index at one moment.

    Attributes:
        generation: The generation of the store that `store_sha256` is of.
        store_sha256: The SHA-256 of the store's file.
        derived: The derived files, by the view that they serve.
    """

    generation: int
    store_sha256: str
    derived: Mapping[str, Derived] = field(default_factory=dict[str, Derived])

    def dump(self) -> bytes:
        """The manifest as JSON that carries its own checksum."""
        derived = {
            view: {"generation": made.generation, "recipe": made.recipe, "files": dict(made.files)}
            for view, made in self.derived.items()
        }
        content = {"generation": self.generation, "store_sha256": self.store_sha256, "derived": derived}
        return orjson.dumps({"content": content, "sha256": _digest(content)}, option=orjson.OPT_INDENT_2)

    @classmethod
    def parse(cls, text: bytes) -> Manifest | None:
        """The manifest that `dump` wrote; None for anything else."""
        try:
            document: Any = orjson.loads(text)
            content = document["content"]
            if _digest(content) != document["sha256"]:
                return None
            derived = {view: Derived(**made) for view, made in content["derived"].items()}
            return cls(content["generation"], content["store_sha256"], derived)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a directory; None when there is none, or it is damaged."""
    try:
        return Manifest.parse((directory / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest of a directory."""
    replace_file(directory / MANIFEST, manifest.dump())


def _digest(content: object) -> str:
    return hashlib.sha256(orjson.dumps(cast("Any", content), option=orjson.OPT_SORT_KEYS)).hexdigest()
