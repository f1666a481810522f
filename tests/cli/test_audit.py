"""`commission-mcp audit`: proving a trail whole, keeping its head, exporting it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from commission_mcp.storage import administration
from commission_mcp.storage.audit import open_audit

if TYPE_CHECKING:
    from conftest import Installation


pytestmark = pytest.mark.anyio


def run(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **installation.variables}
    command = [sys.executable, "-m", "commission_mcp", "audit", *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
async def trail(postgres_18: Installation) -> Installation:
    """An installation with some entries of `client-a`."""
    from commission_mcp.storage.audit import Entry, Phase  # noqa: PLC0415 - here alone
    from commission_mcp.storage.identifiers import mint  # noqa: PLC0415 - as above

    async with open_audit(postgres_18.address, postgres_18.credentials) as audit:
        for _ in range(3):
            of = ("client-a", "issuer", "ada", "verified", "tools/call", "query")
            await audit.record(Entry(mint(), mint(), *of, Phase.OUTCOME, "ok", "{}"))
    return postgres_18


async def test_a_whole_trail_is_verified_exported_and_its_head_kept(trail: Installation, tmp_path: Path) -> None:
    kept = tmp_path / "heads"
    kept.write_text(run(trail, "heads").stdout, "utf-8")
    verified = run(trail, "verify", "--heads", str(kept))
    exported = [json.loads(line) for line in run(trail, "export", "--client", "client-a").stdout.splitlines()]
    head = next(
        head for head in map(json.loads, kept.read_text("utf-8").splitlines()) if head["client_id"] == "client-a"
    )

    assert verified.returncode == 0, verified.stdout
    assert f"client-a: {head['seq']} entries, whole" in verified.stdout
    assert [entry["seq"] for entry in exported] == list(range(1, len(exported) + 1))
    assert exported[-1]["sha256"] == head["sha256"]
    assert exported[-1]["subject"] == "ada"


async def test_a_broken_trail_ends_with_another_exit_code(trail: Installation) -> None:
    newest = "(SELECT max(seq) FROM cm.audit_entry WHERE client_id = 'client-a')"
    change = f"UPDATE cm.audit_entry SET subject = '{{}}' WHERE client_id = 'client-a' AND seq = {newest}"
    async with administration(trail.address) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(change.format("eve").encode())
        verified = run(trail, "verify")
        await connection.execute(change.format("ada").encode())

    assert verified.returncode == 1
    assert "client-a: BROKEN" in verified.stdout


async def test_heads_that_cannot_be_read_are_refused(trail: Installation, tmp_path: Path) -> None:
    done = run(trail, "verify", "--heads", str(tmp_path / "none"))

    assert done.returncode == 2
    assert "E_ARGUMENT" in done.stderr
