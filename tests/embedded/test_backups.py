"""A data directory as one file, and back: with real data, a conversation, and somebody at work meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from commission_mcp.app import open_administration, open_operations
from commission_mcp.client import AsyncCommissionClient
from commission_mcp.embedded.backups import Backup, restore_backup, take_backup
from commission_mcp.errors import Refused
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client, LoginLimits, add_client

pytestmark = pytest.mark.anyio

SOLD = "SELECT name FROM uoms ORDER BY name"


@dataclass(frozen=True)
class Original:
    """A directory with data, and its backup."""

    settings: Settings
    file: Path
    backup: Backup
    session_id: str


def quiet(_done: int, _total: int | None) -> None:
    """Nobody watches."""


def settings_of(folder: Path) -> Settings:
    return load_settings(environment={}, overrides={"data_directory": folder, "client_id": "acme"}).settings


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cm-bk-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
async def original(folder: Path) -> Original:
    """A backup that was taken while a server was connected and asked all the time."""
    settings = settings_of(folder / "data")
    async with open_administration(settings) as (connection, credentials):
        await add_client(connection, Client("acme", "Acme"), credentials, LoginLimits())
    async with open_operations(settings) as connection:
        await connection.execute("INSERT INTO cm.uom VALUES ('acme', 'EA', 'before the backup')")
    file = folder / "backup.tgz"
    async with AsyncCommissionClient(server=build_server(settings), environment={}, retries=20) as client:
        said = await client.chat_history("append", role="user", content="Kept with the data.")
        backup = await take_backup(settings.data_directory, file, quiet)
        assert (await client.query(SOLD)).column("name") == ["before the backup"]  # it goes on, on the same servers
        async with open_operations(settings) as connection:
            await connection.execute("INSERT INTO cm.uom VALUES ('acme', 'BX', 'after the backup')")
    return Original(settings, file, backup, str(said.session_id))


async def test_what_was_there_at_the_backup_is_there_again(original: Original, folder: Path) -> None:
    settings = settings_of(folder / "restored")
    restored = restore_backup(original.file, settings.data_directory, quiet)
    async with AsyncCommissionClient(server=build_server(settings), environment={}) as client:
        rows = await client.query(SOLD)
        read = await client.chat_history(session_id=original.session_id)

    assert restored == original.backup
    assert rows.column("name") == ["before the backup"]
    assert read.messages[0].content == "Kept with the data."


async def test_roles_and_rights_are_the_same(original: Original, folder: Path) -> None:
    """The server looks at all of them when it opens; and they are compared here."""
    rights = "SELECT rolname, rolsuper, rolbypassrls, rolconnlimit, rolconfig::text FROM pg_roles ORDER BY rolname"
    found: list[object] = []
    for settings in (original.settings, settings_of(folder / "restored")):
        async with open_administration(settings) as (connection, _):
            found.append(await (await connection.execute(rights)).fetchall())

    assert found[0] == found[1]


async def test_a_backup_holds_secrets_and_is_its_owners_alone(original: Original) -> None:
    names = set(original.backup.files)

    assert stat.S_IMODE(original.file.stat().st_mode) == 0o600
    assert {"secrets.json", "layout.json", "postgres/PG_VERSION"} <= names
    assert not any(name.startswith(("cache/", "logs/", "locks/", "run/", "model/")) for name in names)


async def test_nothing_is_overwritten(original: Original) -> None:
    with pytest.raises(Refused, match="E_BACKUP_FILE"):
        await take_backup(original.settings.data_directory, original.file, quiet)
    with pytest.raises(Refused, match="E_DATA_DIRECTORY"):
        restore_backup(original.file, original.settings.data_directory, quiet)


async def test_a_directory_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="E_DATA_DIRECTORY"):
        await take_backup(tmp_path / "none", tmp_path / "backup.tgz", quiet)


def changed(original: Path, place: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> Path:
    """A copy of a backup with members changed."""
    with tarfile.open(original) as source, tarfile.open(place, "w:gz", compresslevel=1) as sink:
        for member in source:
            file = source.extractfile(member)
            member.name, content = change(member.name, file.read() if file else b"")
            member.size = len(content)
            sink.addfile(member, io.BytesIO(content))
    return place


def content(name: str, body: bytes, **about: object) -> tuple[str, bytes]:
    """The member with what the backup says of itself changed."""
    return (name, json.dumps({**json.loads(body), **about}).encode()) if name == "backup.json" else (name, body)


CHANGES: dict[str, Callable[[str, bytes], tuple[str, bytes]]] = {
    "another PostgreSQL": lambda name, body: content(name, body, postgres_major=17),
    "another layout": lambda name, body: content(name, body, layout=99),
    "another format": lambda name, body: content(name, body, format=2),
    "a file that is not what was backed up": lambda name, body: (name, body.replace(b"18", b"17")),
    "a file that is not listed": lambda name, body: (name.replace("layout.json", "other.json"), body),
    "a folder elsewhere": lambda name, body: content(name, body, folders=["../../elsewhere"]),
    "no list": lambda name, body: content(name, body, files=None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_wrong_with_a_backup_is_found_and_nothing_is_left(
    original: Original, tmp_path: Path, change: str
) -> None:
    file = changed(original.file, tmp_path / "changed.tgz", CHANGES[change])
    with pytest.raises(Refused, match="E_BACKUP_FILE"):
        restore_backup(file, tmp_path / "to" / "data", quiet)

    assert list((tmp_path / "to").iterdir()) == []
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("damage", ["cut off", "not a backup", "empty", "missing"])
async def test_a_damaged_file_is_refused(original: Original, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "damaged.tgz"
    whole = original.file.read_bytes()
    contents = {"cut off": whole[: len(whole) // 2], "not a backup": gzip.compress(b"x" * 2000), "empty": b""}
    if damage in contents:
        file.write_bytes(contents[damage])
    with pytest.raises(Refused, match="E_BACKUP_FILE"):
        restore_backup(file, tmp_path / "to" / "data", quiet)


async def test_who_needs_the_servers_meanwhile_waits_and_is_served(original: Original, folder: Path) -> None:
    answers: list[object] = []
    async with (
        AsyncCommissionClient(server=build_server(original.settings), environment={}, retries=30) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            for _ in range(20):
                answers.append((await client.query("SELECT count(*) FROM uoms WHERE uom = 'EA'")).scalar())
                await anyio.sleep(0.05)

        tasks.start_soon(ask)
        await take_backup(original.settings.data_directory, folder / "second.tgz", quiet)

    assert answers == [1] * 20


def test_the_commands_do_it(original: Original, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "commission_mcp", *arguments]
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, timeout=120, check=False)

    data = str(original.settings.data_directory)
    taken = run("backup", "b.tgz", "--data-directory", data)
    again = run("backup", "b.tgz", "--data-directory", data)
    restored = run("restore", "b.tgz", "--data-directory", str(tmp_path / "new"))
    exported = run("audit", "export", "--client", "acme", "--data-directory", str(tmp_path / "new"))
    verified = run("audit", "verify", "--data-directory", str(tmp_path / "new"))
    external = run("restore", "b.tgz", "--env-file", "external.env")
    entries = [json.loads(line) for line in exported.stdout.splitlines()]

    assert (taken.returncode, again.returncode, restored.returncode) == (0, 2, 0), restored.stderr
    assert b"E_BACKUP_FILE" in again.stderr
    assert (tmp_path / "new" / "postgres" / "PG_VERSION").read_text() == "18\n"
    assert [(entry["object"], entry["assurance"]) for entry in entries[-2:]] == [
        ("backup", "asserted"),
        ("restore", "asserted"),
    ]
    assert verified.returncode == 0, verified.stdout
    assert external.returncode == 2
