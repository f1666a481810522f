from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`commission-mcp index`, with a data directory of its own and no model."""
    variables = {
        "COMMISSION_DATA_DIRECTORY": str(folder / "data"),
        "COMMISSION_MODEL_FETCH": "false",
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "commission_mcp", "index", *arguments]
    return subprocess.run(command, capture_output=True, env=variables, cwd=folder, timeout=120, check=False, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents of two clients and for all, one of them unreadable."""
    documents = tmp_path / "data" / "documents"
    for name, text in {
        "all.md": "# All",
        "client-specific/client-a/a.md": "# A",
        "client-specific/client-a/broken.pdf": "no PDF",
        "client-specific/client-b/b.md": "# B",
    }.items():
        path = documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_everything_is_indexed_and_what_cannot_be_read_is_listed(folder: Path) -> None:
    first = run(folder)
    second = run(folder)

    assert first.returncode == 0, first.stderr
    assert "documents for all: 1 read" in first.stderr
    assert "client-a: 1 read" in first.stderr
    assert "client-b: 1 read" in first.stderr
    assert "E_DOCUMENT_TYPE (client-a/broken.pdf)" in first.stderr
    assert "client-a: 0 read, 1 as they were" in second.stderr


def test_one_client_is_indexed_beside_what_is_for_all(folder: Path) -> None:
    done = run(folder, "--client", "client-b")

    assert done.returncode == 0
    assert "client-b: 1 read" in done.stderr
    assert "client-a" not in done.stderr


def test_what_is_no_client_id_is_refused(folder: Path) -> None:
    done = run(folder, "--client", "../client-a")

    assert done.returncode == 2
    assert "E_CLIENT_ID" in done.stderr


def test_an_index_that_cannot_be_written_is_an_error(folder: Path) -> None:
    (folder / "data" / "index").write_text("no folder")

    assert run(folder).returncode == 1
