"""Machines of which one thing is really broken: `doctor` names it, what its fix says is done, and all is well.

An old PostgreSQL and a missing OCR, which cannot be made here, are in test_doctor.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from commission_mcp.hosts import claude_desktop_config
from commission_mcp.storage.prepare import administration

if TYPE_CHECKING:
    from conftest import Installation, Valkey

pytestmark = pytest.mark.usefixtures("anyio_backend")


@dataclass
class Machine:
    """Runs commands of this program in an environment that a test may change."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command."""
        command = [sys.executable, "-m", "commission_mcp", *arguments]
        return subprocess.run(
            command, env=self.variables, cwd=self.folder, capture_output=True, timeout=300, check=False
        )

    def failed(self, *checks: str) -> dict[str, dict[str, str]]:
        """What `doctor` found wrong in these checks; its exit code agrees."""
        ran = self.run("doctor", "--json", *(part for check in checks for part in ("--only", check)))
        found: list[dict[str, Any]] = json.loads(ran.stdout[ran.stdout.index(b"[") :])
        wrong = {finding["check"]: finding for finding in found if not finding["ok"]}
        assert ran.returncode == bool(wrong), ran.stderr
        return wrong

    def do(self, fix: str) -> None:
        """Run the command that a fix names."""
        named = re.search(r"`commission-mcp ([^`]+)`", fix)
        assert named is not None, fix
        ran = self.run(*named[1].split())
        assert ran.returncode == 0, ran.stderr


@pytest.fixture
def machine(healthy: dict[str, str], tmp_path: Path) -> Machine:
    (tmp_path / "documents" / "a.txt").write_text("A rule about accelerators.")
    return Machine(tmp_path, healthy)


async def test_redis_that_stands_still(machine: Machine, valkey: Valkey) -> None:
    machine.variables["COMMISSION_REDIS_URL"] = valkey.address()
    valkey.kill()
    wrong = await anyio.to_thread.run_sync(machine.failed, "redis")
    await valkey.start()

    assert "E_REDIS_UNREACHABLE" in wrong["redis: history"]["detail"]
    assert "Check that it runs" in wrong["redis: history"]["fix"]
    assert await anyio.to_thread.run_sync(machine.failed, "redis") == {}


async def test_a_wrong_password_of_redis(machine: Machine, valkey: Valkey) -> None:
    machine.variables["COMMISSION_REDIS_URL"] = valkey.address("not-the-password")
    wrong = await anyio.to_thread.run_sync(machine.failed, "redis")
    machine.variables["COMMISSION_REDIS_URL"] = valkey.address()

    assert "password" in (wrong["redis: history"]["detail"] + wrong["redis: history"]["fix"])
    assert "COMMISSION_REDIS_URL" in wrong["redis: history"]["detail"] + wrong["redis: history"]["fix"]
    assert await anyio.to_thread.run_sync(machine.failed, "redis") == {}


def test_a_master_secret_of_another_database(machine: Machine, postgres_18: Installation) -> None:
    own = {"COMMISSION_POSTGRES_URL": postgres_18.superuser_url}
    machine.variables |= {**own, "COMMISSION_MASTER_SECRET": "the secret that another database was prepared with"}
    wrong = machine.failed("postgresql")
    machine.variables["COMMISSION_MASTER_SECRET"] = postgres_18.credentials.master_secret

    assert "COMMISSION_MASTER_SECRET" in wrong["postgresql"]["fix"]
    assert machine.failed("postgresql") == {}


def test_a_model_that_was_cut_short(machine: Machine, model_directory: Path) -> None:
    machine.variables["COMMISSION_EMBEDDING_MODEL"] = "all-MiniLM-L6-v2"
    shutil.copytree(model_directory, machine.folder / "model", copy_function=os.link)
    weights = next((machine.folder / "model").rglob("model.safetensors"))
    begin = weights.read_bytes()[:1_000_000]
    weights.unlink()  # the copy shares its bytes with the one that all tests use
    weights.write_bytes(begin)
    wrong = machine.failed("model")
    machine.do(wrong["model"]["fix"])

    assert "E_MODEL_DAMAGED" in wrong["model"]["detail"]
    assert machine.failed("model") == {}


def test_an_index_that_is_not_what_was_written(machine: Machine) -> None:
    assert machine.run("index").returncode == 0
    store = next((machine.folder / "indexes" / "shared").glob("*.sqlite*"))
    store.write_bytes(store.read_bytes().replace(b"A rule about", b"A fake about"))
    wrong = machine.failed("index")
    machine.do(wrong["index: documents for all"]["fix"])

    assert "E_INDEX_DAMAGED" in wrong["index: documents for all"]["detail"]
    assert machine.failed("index") == {}


def test_a_role_that_may_do_too_much(machine: Machine, postgres_18: Installation) -> None:
    with administered(postgres_18, undo="ALTER ROLE cm_gate NOCREATEDB") as execute:
        execute("ALTER ROLE cm_gate CREATEDB")
        wrong = machine.failed("postgresql")
        execute("ALTER ROLE cm_gate NOCREATEDB")  # the change is undone, as the fix says first
        machine.do(wrong["isolation: roles"]["fix"])

        assert "E_ISOLATION" in wrong["isolation: roles"]["detail"]
        assert "cm_gate" in wrong["isolation: roles"]["detail"]
        assert machine.failed("postgresql") == {}


def test_something_that_prints_to_stdout(machine: Machine) -> None:
    (machine.folder / "loud").mkdir()
    wrapper = machine.folder / "loud" / "sitecustomize.py"
    wrapper.write_text("print('hello')\n")
    machine.variables["PYTHONPATH"] = str(machine.folder / "loud")
    wrong = machine.failed("stdio")
    wrapper.write_text("import sys\nprint('hello', file=sys.stderr)\n")

    assert "E_STDOUT_POLLUTED" in wrong["stdio"]["detail"]
    assert "stderr" in wrong["stdio"]["fix"]
    assert machine.failed("stdio") == {}


def test_a_data_directory_that_this_user_may_not_write(machine: Machine) -> None:
    """Of another user: where this one is root, which may write everywhere, the directory is another's all the same."""
    data = machine.folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    else:
        data.chmod(0o500)
    machine.variables["COMMISSION_DATA_DIRECTORY"] = str(data)
    wrong = machine.failed("postgresql")
    if os.geteuid() == 0:
        os.chown(data, 0, 0)
    else:
        data.chmod(0o700)

    assert "E_DATA_DIRECTORY" in wrong["servers"]["detail"]
    assert wrong["servers"]["fix"]
    assert "servers" not in machine.failed("postgresql")
    machine.run("client", "list")


def test_an_entry_of_claude_desktop_that_starts_nothing(machine: Machine) -> None:
    config = claude_desktop_config(machine.folder)
    config.parent.mkdir(parents=True)
    entry = {"command": "/nonexistent/commission-mcp", "args": ["serve"]}
    config.write_text(json.dumps({"mcpServers": {"commission": entry}}))
    wrong = machine.failed("host entry")
    named = re.search(r"`commission-mcp ([^`]+)`", wrong["host entry"]["fix"])
    assert named is not None
    printed = machine.run(
        *named[1].split(), *(() if "claude" in named[1] else ("claude-desktop",)), "--client", "client-a"
    )
    config.write_bytes(printed.stdout)

    assert "no program" in wrong["host entry"]["detail"]
    assert machine.failed("host entry") == {}


@contextmanager
def administered(installation: Installation, undo: str) -> Generator[Callable[[str], None]]:
    """Runs statements as the administrator, and at the end the one that undoes them."""

    async def work(statement: str) -> None:
        async with administration(installation.address) as connection:
            await connection.execute(statement.encode())

    def execute(statement: str) -> None:
        anyio.run(work, statement)

    try:
        yield execute
    finally:
        execute(undo)
