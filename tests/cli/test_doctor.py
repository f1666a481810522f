"""`doctor` on machines of which one thing is broken: it is named, with a fix."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import pytest

from commission_mcp.diagnosis import documents
from commission_mcp.embedded import open_servers
from commission_mcp.hosts import claude_desktop_config
from commission_mcp.settings import load_settings

if TYPE_CHECKING:
    from conftest import Installation

SECRET = "not the one that any database was prepared with"  # noqa: S105 - opens nothing

pytestmark = pytest.mark.usefixtures("anyio_backend")


class Examine(Protocol):
    """Runs `doctor --json` with these variables."""

    def __call__(self, *arguments: str, **environment: str) -> Examined:
        """What it found."""
        ...


class Examined:
    """What `doctor` said."""

    def __init__(self, ran: subprocess.CompletedProcess[bytes]) -> None:
        self.code = ran.returncode
        self.err = ran.stderr.decode()
        self.out = ran.stdout.decode()
        found: list[dict[str, Any]] = json.loads(self.out[self.out.index("[") :])
        self.failed = {finding["check"]: finding for finding in found if not finding["ok"]}
        self.passed = {finding["check"]: finding for finding in found if finding["ok"]}

    def names(self, check: str, code: str) -> bool:
        """Whether exactly this check failed, with this code and a fix."""
        finding = self.failed.get(check, {"detail": "", "fix": ""})
        return self.code == 1 and set(self.failed) == {check} and code in finding["detail"] and bool(finding["fix"])


@pytest.fixture
def examine(healthy: dict[str, str], tmp_path: Path) -> Examine:
    def run(*arguments: str, **environment: str) -> Examined:
        command = [sys.executable, "-m", "commission_mcp", "doctor", "--json", *arguments]
        variables = {**healthy, **environment}
        return Examined(
            subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, timeout=120, check=False)
        )

    return run


def test_a_healthy_machine_passes_every_check(examine: Examine) -> None:
    examined = examine()

    assert (examined.code, examined.failed) == (0, {})
    assert {
        "versions",
        "settings",
        "postgresql",
        "isolation",
        "client",
        "isolation: proof",
        "redis: history",
        "redis: cache",
        "disk",
        "model",
        "index: documents for all",
        "index: client-a",
        "ocr",
        "stdio",
        "host entry",
    } <= set(examined.passed)


def test_a_wrong_secret(examine: Examine, postgres_18: Installation) -> None:
    examined = examine(
        "--only",
        "postgresql",
        COMMISSION_POSTGRES_URL=postgres_18.superuser_url,
        COMMISSION_MASTER_SECRET=SECRET,
    )

    assert examined.names("postgresql", "E_DATABASE")


def test_a_client_that_does_not_exist(examine: Examine) -> None:
    assert examine("--only", "client", COMMISSION_CLIENT_ID="nobody").names("client", "E_CLIENT_UNKNOWN")


def test_redis_down(examine: Examine) -> None:
    examined = examine("--only", "redis", COMMISSION_REDIS_URL="redis://127.0.0.1:1/0")

    assert examined.code == 1
    assert set(examined.failed) == {"redis: history", "redis: cache"}
    assert "E_REDIS_UNREACHABLE" in examined.failed["redis: history"]["detail"]


def test_a_redis_that_evicts_conversations(examine: Examine, data_directory: Path) -> None:
    async def cache_url() -> str:
        async with open_servers(data_directory) as servers:
            return servers.cache_url

    assert examine("--only", "redis", COMMISSION_REDIS_URL=anyio.run(cache_url)).names("redis: history", "E_REDIS_FULL")


def test_a_model_that_is_missing_while_there_are_documents(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "documents" / "a.txt").write_text("A rule.")
    examined = examine("--only", "model", COMMISSION_EMBEDDING_MODEL="all-MiniLM-L6-v2")

    assert "E_MODEL_MISSING" in examined.failed["model"]["detail"]
    assert "commission-mcp model fetch" in examined.failed["model"]["fix"]
    assert examined.failed["model"]["mend"]


def test_a_model_that_is_not_the_published_one(examine: Examine, tmp_path: Path) -> None:
    for folder in (tmp_path / "model", tmp_path / "model" / "all-MiniLM-L6-v2"):
        folder.mkdir(exist_ok=True)
        for name in ("model.safetensors", "tokenizer.json", "config.json"):
            (folder / name).write_text("{}")

    assert examine("--only", "model", COMMISSION_EMBEDDING_MODEL="all-MiniLM-L6-v2").names("model", "E_MODEL_DAMAGED")


def test_an_index_behind_its_documents_is_mended(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "documents" / "a.txt").write_text("A rule about accelerators.")
    behind, mended = examine("--only", "index"), examine("--only", "index", "--fix")
    (tmp_path / "documents" / "a.txt").unlink()

    assert behind.names("index: documents for all", "E_INDEX_STALE")
    assert mended.code == 0
    assert "fixed:" in mended.err
    assert examine("--only", "index").names("index: documents for all", "E_INDEX_STALE")


def test_a_corrupt_index_is_mended(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "documents" / "a.txt").write_text("A rule about accelerators.")
    assert examine("--only", "index", "--fix").code == 0
    store = next((tmp_path / "indexes" / "shared").glob("*.sqlite*"))
    content = bytearray(store.read_bytes())
    position = content.find(b"A rule about accelerators")
    content[position : position + 6] = b"B fake"
    store.write_bytes(content)

    assert examine("--only", "index").names("index: documents for all", "E_INDEX_DAMAGED")
    assert examine("--only", "index", "--fix").code == 0


@pytest.mark.anyio
async def test_no_ocr_while_documents_are_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> None:
        """Find no OCR."""

    def waiting(_: object) -> list[str]:
        return ["shared/scan.png"]

    monkeypatch.setattr(documents, "find_ocr", none)  # OCR is installed with the tests
    monkeypatch.setattr(documents, "_pictures_waiting", waiting)  # pictures that nothing reads yet
    loaded = load_settings(environment={}, overrides={"data_directory": tmp_path / "data"})
    findings = [finding async for finding in documents.ocr(loaded)]

    assert [finding.ok for finding in findings] == [False]
    assert "tesseract" in findings[0].fix


def test_a_polluted_stdout(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud" / "sitecustomize.py").write_text("print('hello from a wrapper')\n")

    assert examine("--only", "stdio", PYTHONPATH=str(tmp_path / "loud")).names("stdio", "E_STDOUT_POLLUTED")


def test_a_data_directory_that_cannot_be_used(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    examined = examine(COMMISSION_DATA_DIRECTORY=str(tmp_path / "file" / "data"))

    assert examined.code == 1
    assert "E_DATA_DIRECTORY" in examined.failed["servers"]["detail"]
    assert examined.failed["servers"]["fix"]


def test_a_wrong_entry_in_claude_desktop(examine: Examine, tmp_path: Path) -> None:
    config = claude_desktop_config(tmp_path)
    config.parent.mkdir(parents=True)
    entry = {"command": "commission-mcp", "args": ["serve"], "env": {"COMMISSION_CLIENT_ID": "client-a"}}
    config.write_text(json.dumps({"mcpServers": {"commission": entry}}))
    wrong = examine("--only", "host entry")
    config.write_text(json.dumps({"mcpServers": {"commission": {**entry, "command": sys.executable}}}))

    assert wrong.names("host entry", "absolute path")
    assert examine("--only", "host entry").code == 0


def test_an_old_postgresql(examine: Examine, old_postgresql: str) -> None:
    examined = examine("--only", "postgresql", COMMISSION_POSTGRES_URL=old_postgresql, COMMISSION_MASTER_SECRET=SECRET)

    assert examined.names("postgresql", "E_DATABASE")


@pytest.mark.anyio
async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_FREE_MB_MIN", 10**9)  # no disk is filled for this
    loaded = load_settings(environment={}, overrides={"data_directory": tmp_path / "not" / "there"})
    findings = [finding async for finding in documents.space(loaded)]

    assert [finding.ok for finding in findings] == [False]
    assert findings[0].fix


@pytest.fixture
def old_postgresql() -> str:
    """Something that speaks as PostgreSQL 12 does, as far as its greeting."""
    listening = create_server(("127.0.0.1", 0))

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">I", len(body) + 4) + body

    def greet() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                while (head := connection.recv(8)) and head[4:] in {b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"}:
                    connection.sendall(b"N")  # no TLS, no GSSAPI
                connection.recv(4096)
                parameters = {b"server_version": b"12.4", b"client_encoding": b"UTF8", b"TimeZone": b"UTC"}
                status = b"".join(message(b"S", name + b"\0" + value + b"\0") for name, value in parameters.items())
                connection.sendall(message(b"R", struct.pack(">I", 0)) + status + message(b"Z", b"I"))
                connection.recv(4096)
                error = b"SERROR\0C42601\0Mno\0\0"
                connection.sendall(message(b"E", error) + message(b"Z", b"I"))
                connection.recv(4096)

    Thread(target=greet, daemon=True).start()
    return f"postgresql://u:p@127.0.0.1:{listening.getsockname()[1]}/commission"
