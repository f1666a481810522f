"""Backups of a data directory: one file, taken while the servers stand still, put back as a whole or not at all.

A backup is a gzip-compressed tar file: first `backup.json` with versions and every file's checksum, then the files of
PostgreSQL, of the conversations, of documents and indexes, and the secrets. What can be made anew is left out: the
cache, the embedding model, logs, locks. It holds the secrets of the directory, so its owner alone may read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, cast

from anyio import to_thread

from commission_mcp import __version__
from commission_mcp.durable_files import sync_folder
from commission_mcp.embedded.binaries import POSTGRES_MAJOR
from commission_mcp.embedded.directory import LAYOUT, DataDirectory, claim
from commission_mcp.embedded.locks import holders, lock_within
from commission_mcp.errors import Code, Problem, Refused

FORMAT = 1
_CONTENT = "backup.json"
_LEFT_OUT = frozenset({"cache", "locks", "logs", "model", "run", "postgres.new"})
_NEEDED = frozenset({"layout.json", "secrets.json", "postgres/PG_VERSION"})
_SERVERS = ("postgres", "history", "cache")
_STOP_S = 40.0
_BLOCK = 1 << 20
_CONTENT_BYTES_MAX = 64 << 20

Progress = Callable[[int, int | None], None]
"""Told the bytes done, and of how many."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What is in a backup.

    Attributes:
        made_at: When it was taken.
        written_by: The version of this program that took it.
        files: The checksum and size of each file, by its path.
    """

    made_at: str
    written_by: str
    files: dict[str, tuple[str, int]]

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(size for _, size in self.files.values())


async def take_backup(data_directory: Path, file: Path, progress: Progress) -> Backup:
    """Write a backup. The servers stand still while files are copied, and go on while those are compressed.

    Args:
        data_directory: A data directory that was used before.
        file: The file to write, which must not be there yet.
        progress: Is told how far compressing is.

    Raises:
        Refused: with `E_BACKUP_FILE`, `E_DATA_DIRECTORY` or `E_SERVER_START`.
    """
    await to_thread.run_sync(check_places, data_directory, file)
    directory = await to_thread.run_sync(claim, data_directory)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.parent) as scratch:
        copy = Path(scratch) / "copy"
        async with standing_still(directory):
            await to_thread.run_sync(_copied, directory.root, copy)
        return await to_thread.run_sync(_packed, copy, file, progress)


def check_places(data_directory: Path, file: Path) -> None:
    """Refuse to take a backup of nothing, or over something.

    Raises:
        Refused: with `E_BACKUP_FILE` or `E_DATA_DIRECTORY`.
    """
    if file.exists():
        raise _unusable(f"{file} is there already.", "Name a new file.")
    if not (data_directory / "postgres").is_dir():
        raise Refused(
            Problem(
                Code.DATA_DIRECTORY,
                f"There is no data in {data_directory}.",
                "Name the data directory by --data-directory or COMMISSION_DATA_DIRECTORY.",
                "COMMISSION_DATA_DIRECTORY",
            )
        )


def restore_backup(file: Path, data_directory: Path, progress: Progress) -> Backup:
    """Make a data directory out of a backup: all of it, checked, or nothing.

    Raises:
        Refused: with `E_BACKUP_FILE`, or with `E_DATA_DIRECTORY` when the directory is not empty.
    """
    root = data_directory.absolute()
    if root.exists() and any(root.iterdir()):
        fix = "Name an empty directory, or move this one away: nothing is overwritten."
        raise Refused(Problem(Code.DATA_DIRECTORY, f"{root} is not empty.", fix, "COMMISSION_DATA_DIRECTORY"))
    root.parent.mkdir(parents=True, exist_ok=True)
    with _refusing_damage(file), tempfile.TemporaryDirectory(prefix=".restore-", dir=root.parent) as scratch:
        made = Path(scratch) / "data"
        backup = _unpacked(file, made, progress)
        os.sync()
        if root.exists():
            root.rmdir()
        made.rename(root)
        sync_folder(root.parent)
    return backup


@asynccontextmanager
async def standing_still(directory: DataDirectory) -> AsyncGenerator[None]:
    """No server of the directory runs in this block, and none is started. Whoever needs them waits, and goes on after.

    Raises:
        Refused: with `E_SERVER_START` when they do not stop.
    """
    held: list[int] = []
    try:
        # Nobody starts a supervisor without this lock; so the one that is asked to end is the last.
        held.append(await _locked(directory, "starting"))
        supervisor = directory.lock("supervisor")
        for number in holders(supervisor):
            if _is_noted(supervisor, number):
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGTERM)
        held.extend([await _locked(directory, name) for name in ("supervisor", *_SERVERS)])
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


async def _locked(directory: DataDirectory, name: str) -> int:
    descriptor = await lock_within(directory.lock(name), _STOP_S)
    if descriptor is None:
        message = f"The servers of {directory.root} do not stop: {name} is still at work."
        raise Refused(Problem(Code.SERVER_START, message, "End the programs that use it, and try again."))
    return descriptor


def _is_noted(lock: Path, number: int) -> bool:
    """Whether the lock's file names this process: others may have it open for a moment."""
    with suppress(OSError, ValueError):
        return int(lock.read_text(encoding="ascii")) == number
    return False


def _kept(root: Path) -> Iterator[Path]:
    """The files of a data directory that a backup holds: plain files, no links or sockets."""
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path
        folders.sort()


def _copied(root: Path, copy: Path) -> None:
    for path in _kept(root):
        place = copy / path.relative_to(root)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    for folder, _, _ in os.walk(root / "postgres"):  # PostgreSQL wants its empty folders too
        (copy / Path(folder).relative_to(root)).mkdir(mode=0o700, parents=True, exist_ok=True)


def _packed(copy: Path, file: Path, progress: Progress) -> Backup:
    files = {str(path.relative_to(copy)): (_sha256(path), path.stat().st_size) for path in _kept(copy)}
    folders = sorted(str(Path(folder).relative_to(copy)) for folder, _, _ in os.walk(copy / "postgres"))
    backup = Backup(datetime.now(UTC).isoformat(timespec="seconds"), __version__, files)
    about = {
        "format": FORMAT,
        "layout": LAYOUT,
        "postgres_major": POSTGRES_MAJOR,
        "written_by": backup.written_by,
        "made_at": backup.made_at,
        "folders": folders,
        "files": files,
    }
    draft = copy.with_name("draft")
    done = 0
    with open(draft, "xb", opener=_private) as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive:
        _add(archive, _CONTENT, io.BytesIO(json.dumps(about).encode()), len(json.dumps(about).encode()))
        for name, (_, size) in files.items():
            with (copy / name).open("rb") as content:
                _add(archive, name, content, size)
            done += size
            progress(done, backup.size_bytes)
    draft.rename(file)
    return backup


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int) -> None:  # noqa: ANN401 - any binary file
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unpacked(file: Path, made: Path, progress: Progress) -> Backup:
    made.mkdir(mode=0o700)
    with tarfile.open(file, "r|gz") as archive:
        members = iter(archive)
        about = _about(archive, next(members, None))
        for folder in about["folders"]:
            (made / _inside(folder)).mkdir(mode=0o700, parents=True, exist_ok=True)
        files = cast("dict[str, list[Any]]", about["files"])
        backup = Backup(
            about["made_at"], about["written_by"], {name: (sha256, size) for name, (sha256, size) in files.items()}
        )
        missing, done = set(files), 0
        for member in members:
            if member.name not in missing or not member.isreg():
                raise _unusable("It holds a file that it does not list.", "Take another backup.")
            missing.discard(member.name)
            if _write(archive, member, made / _inside(member.name)) != files[member.name][0]:
                raise _unusable(f"{member.name} is not what was backed up.", "Take another backup.")
            done += member.size
            progress(done, backup.size_bytes)
    if missing:
        raise _unusable(f"{len(missing)} files are missing.", "The file was cut off: copy it again, or take another.")
    return backup


def _about(archive: tarfile.TarFile, first: tarfile.TarInfo | None) -> dict[str, Any]:
    """What the backup says of itself.

    Raises:
        Refused: with `E_BACKUP_FILE` when it is of another version, or no backup.
    """
    content = archive.extractfile(first) if first is not None and first.name == _CONTENT else None
    if content is None:
        raise _unusable("It is no backup of this program.", "Name a file that `commission-mcp backup` wrote.")
    about: dict[str, Any] = json.loads(content.read(_CONTENT_BYTES_MAX))
    found = tuple(about.get(key) for key in ("format", "layout", "postgres_major"))
    if found != (FORMAT, LAYOUT, POSTGRES_MAJOR):
        message = (
            f"commission-mcp {about.get('written_by')} wrote it (format {found[0]}, layout {found[1]}, PostgreSQL "
            f"{found[2]}); this is {__version__} (format {FORMAT}, layout {LAYOUT}, PostgreSQL {POSTGRES_MAJOR})."
        )
        raise _unusable(message, f"Restore it with commission-mcp {about.get('written_by')}.")
    if not set(about["files"]) >= _NEEDED:
        raise _unusable("It lacks what every data directory has.", "Take another backup.")
    return about


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _unusable("It holds a path that leads elsewhere.", "Do not use it.")
    return path


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> str:
    """Write a member; its checksum."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    content = archive.extractfile(member)
    with open(place, "xb", opener=_private) as file:
        while content is not None and (block := content.read(_BLOCK)):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _refusing_damage(file: Path) -> Generator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _unusable("It is damaged, or no backup of this program.", "Take another backup.") from error
    except OSError as error:
        raise _unusable(f"{file}: {error.strerror or error}.", "Check the file and the space on the disk.") from error


def _unusable(message: str, fix: str) -> Refused:
    return Refused(Problem(Code.BACKUP_FILE, message, fix, "FILE"))
