"""The documents of the demo companies, which come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import commission_mcp

CLIENTS = "client-specific"
INSTALLED = "demo_documents"
"""The folder inside the installed package; in a checkout it is `data`."""


def demo_documents() -> Path:
    """The folder of the demo documents: shared ones, and under ``client-specific`` those of one client each."""
    package = Path(commission_mcp.__file__).parent
    installed = package / INSTALLED
    return installed if installed.is_dir() else package.parent.parent / "data"


def copy_demo_documents(shared: Path, clients: Path | None = None) -> list[str]:
    """Copy the demo documents to where documents lie; what is there stays as it is.

    Args:
        shared: The folder of documents that every client may read.
        clients: The folder with a folder for each client; ``client-specific`` in the other unless given.

    Returns:
        The names of those that were copied, as in `demo_documents`.

    Raises:
        OSError: A folder cannot be written.
    """
    source = demo_documents()
    copied: list[str] = []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        place = shared / name
        if clients is not None and name.parts[0] == CLIENTS:
            place = clients.joinpath(*name.parts[1:])
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            copied.append(name.as_posix())
    return copied
