"""Indexes a folder, for tests that kill it: `indexing_program.py PLACE`."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

from commission_mcp.search.store import Store
from search.conftest import Collection


def main(place: Path) -> None:
    """Index `PLACE/documents` into `PLACE/index`, saying when it begins and when it is done."""
    collection = Collection(place / "documents", Store(place / "index"))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    anyio.run(collection.index)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
