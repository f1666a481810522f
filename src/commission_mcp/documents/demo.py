"""The documents of the demo companies, which come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import commission_mcp

INSTALLED = "demo_documents"
"""The folder inside the installed package; in a checkout it is `data`."""


def demo_documents() -> Path:
    """The folder of the demo documents: shared ones, and under ``client-specific`` those of one client each."""
    package = Path(commission_mcp.__file__).parent
    installed = package / INSTALLED
    return installed if installed.is_dir() else package.parent.parent / "data"


def copy_demo_documents(target: Path) -> list[str]:
    """Copy the demo documents into a documents folder; what is there stays as it is.

    Returns:
        The names of those that were copied.

    Raises:
        OSError: The folder cannot be written.
    """
    source = demo_documents()
    copied: list[str] = []
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            copied.append(path.relative_to(source).as_posix())
    return copied
