"""`commission-mcp outbox` as an operator uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Installation


pytestmark = pytest.mark.anyio


def run(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the data directory of the run."""
    directory = ["--data-directory", installation.variables["COMMISSION_DATA_DIRECTORY"]]
    command = [sys.executable, "-m", "commission_mcp", "outbox", *arguments, *directory]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def written(folder: Path, content: str) -> str:
    """A file of the operator's."""
    file = folder / "backend.json"
    file.write_text(content, "utf-8")
    return str(file)


async def test_a_destination_is_set_and_taken_back(postgres_18: Installation, tmp_path: Path) -> None:
    for content in ({"url": "https://backend.example.com", "webhook": {"url": "https://hook.example.com"}}, {}):
        done = run(postgres_18, "set", "client-b", written(tmp_path, json.dumps(content)))
        assert done.returncode == 0, done.stderr
    assert run(postgres_18, "list", "--client", "client-b").stdout == ""
    assert "0 messages" in run(postgres_18, "retry", "--client", "client-b").stderr


@pytest.mark.parametrize(
    ("content", "code"), [('{"url": "x"}', "E_SETTING"), ("[", "E_JSON"), ("{}", "E_CLIENT_UNKNOWN")]
)
async def test_what_cannot_be_is_refused(postgres_18: Installation, tmp_path: Path, content: str, code: str) -> None:
    client = "client-none" if code == "E_CLIENT_UNKNOWN" else "client-b"
    done = run(postgres_18, "set", client, written(tmp_path, content))

    assert (done.returncode, code in done.stderr) == (2, True)
