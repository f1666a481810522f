"""The store of one collection of documents: a SQLite file that is the truth, and files derived from it.

A directory (mode 0700) holds the documents of one client, or those that all share:

``documents.sqlite``
    What was read, cut and embedded. Each document is one row with a digest of its own, so a document is there whole or
    not at all. It has a rollback journal rather than a write-ahead log: at rest the truth is one file with one
    checksum, and a reader copies what it needs in one short transaction instead of keeping the store open.
    ``synchronous=EXTRA`` brings every commit to the disk, ``secure_delete`` overwrites what is deleted.
``*.index``
    Files made from it for searching. They can always be made again.
``manifest.json``
    The checksum of each file, written after them. As long as the store is at the generation of the manifest, its file
    must have that checksum; a store that was written to since is checked row by row instead.
``store.lock``, ``indexing.lock``
    Shared by readers and taken alone for a commit; taken alone for the length of an indexing.

Whatever is found damaged is left out by readers, and `Writer` throws it away, so that the documents are read anew.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from commission_mcp.durable_files import file_sha256, replace_file, sync_folder
from commission_mcp.search import locks
from commission_mcp.search.entries import (
    DOCUMENT_COLUMNS,
    FAILURE_COLUMNS,
    Damaged,
    Embedding,
    Entry,
    Failure,
    FileState,
    Properties,
    document_row,
    embedding_values,
    entry_of,
    failure_of,
    failure_row,
    properties_of,
)
from commission_mcp.search.manifest import (
    MANIFEST,
    Derived,
    Manifest,
    read_manifest,
    write_manifest,
)

STORE = "documents.sqlite"
_FORMAT = 1
_BUSY_S = 30.0
_SCHEMA = """
CREATE TABLE document (
  name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
  inode INTEGER NOT NULL, sha256 TEXT NOT NULL, reading TEXT NOT NULL, indexed_at REAL NOT NULL, model TEXT NOT NULL,
  dimensions INTEGER NOT NULL, properties BLOB NOT NULL, digest BLOB NOT NULL, vectors_digest BLOB NOT NULL,
  text TEXT NOT NULL, masked_text TEXT, spans BLOB NOT NULL, chunks BLOB NOT NULL, vectors BLOB NOT NULL,
  masked_numbers BLOB NOT NULL, masked_vectors BLOB NOT NULL
);
CREATE TABLE failure (
  name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
  inode INTEGER NOT NULL, sha256 TEXT NOT NULL, reading TEXT NOT NULL, failed_at REAL NOT NULL, code TEXT NOT NULL,
  message TEXT NOT NULL, fix TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
PRAGMA user_version = 1;
"""
# Results of SQLite that say nothing of the file: the disk is full, memory is short, somebody else writes.
_NOT_OF_THE_FILE = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR}
    | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
_SELECT_DOCUMENT = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE rowid = ?"
_SELECT_NAMED = f"SELECT {DOCUMENT_COLUMNS} FROM document WHERE name = ?"
_INSERT_DOCUMENT = f"INSERT OR REPLACE INTO document ({DOCUMENT_COLUMNS}) VALUES ({', '.join(['?'] * 20)})"
_INSERT_FAILURE = f"INSERT OR REPLACE INTO failure ({FAILURE_COLUMNS}) VALUES ({', '.join(['?'] * 12)})"
_UPDATE_EMBEDDING = (
    "UPDATE document SET model = ?, dimensions = ?, vectors = ?, masked_numbers = ?, masked_vectors = ?, "
    "vectors_digest = ? WHERE name = ?"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a store knows of a file.

    Attributes:
        state: The file when it was read.
        sha256: Of its content; empty when that could not be read.
        reading: How it was read.
        model: The identity of the model of its vectors; empty when it has none.
        at: When it was read, in seconds since 1970.
        failed: Whether reading it failed.
    """

    state: FileState
    sha256: str
    reading: str
    model: str
    at: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds at one moment.

    Attributes:
        generation: Counts its commits.
        entries: The documents, in the order of their names.
        damaged: Whether something else was there and was not what had been written.
    """

    generation: int
    entries: tuple[Entry, ...]
    damaged: bool


class Store:
    """The store in one directory, which is made when first written to.

    Every method blocks the thread, for reading as well; use it in a worker.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = directory / STORE

    def signature(self) -> tuple[int, ...] | None:
        """What is another value after every change; None as long as nothing was written. Cheap."""
        try:
            of = self._file.stat()
        except FileNotFoundError:
            return None
        return of.st_ino, of.st_size, of.st_mtime_ns

    def load(self) -> Contents:
        """Everything that is sound."""
        if not self._file.exists():
            return Contents(0, (), damaged=False)
        with locks.shared(self.directory / "store.lock"):
            return self._load()

    def entry(self, name: str) -> Entry | None:
        """One document; None when it is not there, or not sound."""
        rows = self._rows(_SELECT_NAMED, (name,))
        with suppress(Damaged):
            return next((entry_of(row) for row in rows), None)
        return None

    def listing(self) -> list[tuple[str, int, Properties]]:
        """Name, size in bytes and properties of each document, by name; for showing, its content is not checked."""
        found: list[tuple[str, int, Properties]] = []
        for name, size_bytes, properties in self._rows("SELECT name, size_bytes, properties FROM document"):
            with suppress(ValueError, TypeError, KeyError):  # damaged; `load` tells
                found.append((name, size_bytes, properties_of(properties)))
        return sorted(found, key=lambda listed: listed[0])

    def failures(self) -> tuple[Failure, ...]:
        """The files that could not be read, in the order of their names."""
        found: list[Failure] = []
        for row in self._rows(f"SELECT {FAILURE_COLUMNS} FROM failure ORDER BY name"):
            with suppress(Damaged):
                found.append(failure_of(row))
        return tuple(found)

    def known(self) -> dict[str, Known]:
        """What is known of each file, by its name."""
        columns = "name, size_bytes, mtime_ns, ctime_ns, inode, sha256, reading"
        rows = self._rows(
            f"SELECT {columns}, model, indexed_at, 0 FROM document "
            f"UNION ALL SELECT {columns}, '', failed_at, 1 FROM failure"
        )
        return {
            row[0]: Known(FileState(*row[1:5]), row[5], row[6], row[7], row[8], failed=bool(row[9])) for row in rows
        }

    def derived(self, view: str, recipe: str, generation: int) -> dict[str, bytes] | None:
        """The files that `Writer.derive` or `keep_derived` wrote for this generation; None unless all are sound."""
        if not self._file.exists():
            return None
        with locks.shared(self.directory / "store.lock"):
            manifest = read_manifest(self.directory)
            made = manifest.derived.get(view) if manifest else None
            if made is None or (made.recipe, made.generation) != (recipe, generation):
                return None
            try:
                if any(file_sha256(self.directory / name) != sha256 for name, sha256 in made.files.items()):
                    return None
                return {name: (self.directory / name).read_bytes() for name in made.files}
            except FileNotFoundError:
                return None

    def keep_derived(self, view: str, recipe: str, generation: int, files: Mapping[str, bytes]) -> None:
        """Write derived files, if the store is sealed at this generation; otherwise do nothing.

        Args:
            view: Whom they serve; files of another view stay.
            recipe: What made them.
            generation: The generation that they were made from.
            files: Their contents, by names that end with ``.index``.
        """
        with locks.exclusive(self.directory / "store.lock"):
            manifest = read_manifest(self.directory)
            if manifest is None or manifest.generation != generation:
                return
            for name, content in files.items():
                replace_file(self.directory / name, content)
            made = Derived(generation, recipe, {name: file_sha256(self.directory / name) for name in files})
            write_manifest(
                self.directory,
                Manifest(manifest.generation, manifest.store_sha256, {**manifest.derived, view: made}),
            )

    @contextmanager
    def indexing(self) -> Generator[Writer | None]:
        """The right to write, one at a time over all processes; None while somebody else has it.

        What is damaged is thrown away first: nothing that was written is lost but that.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locks.exclusive_now(self.directory / "indexing.lock") as held:
            if not held:
                yield None
                return
            with locks.exclusive(self.directory / "store.lock"):
                self._prepare()
            with _connected(self._file) as connection:
                yield Writer(self.directory, connection)

    def _rows(self, statement: str, params: Sequence[object] = ()) -> list[Any]:
        if not self._file.exists():
            return []
        # What is damaged is left out here; `load` tells.
        with locks.shared(self.directory / "store.lock"), suppress(Damaged), _connected(self._file) as connection:
            return connection.execute(statement, params).fetchall()
        return []

    def _load(self) -> Contents:
        with suppress(Damaged), _connected(self._file) as connection:
            generation = _generation(connection)
            sealed = self._sealed(generation)
            entries, lost = _sound_entries(connection, whole=sealed is True)
            sound = _structure_sound(connection) if sealed is None else sealed
            return Contents(generation, entries, damaged=lost or not sound)
        return Contents(0, (), damaged=True)

    def _rests(self) -> bool:
        """Whether the file is the one that was sealed: then its rows need not be looked at."""
        with suppress(Damaged), _connected(self._file) as connection:
            return self._sealed(_generation(connection)) is True
        return False

    def _sealed(self, generation: int) -> bool | None:
        """Whether the file has the checksum that it was sealed with; None when it is not sealed."""
        manifest = read_manifest(self.directory)
        if manifest is None or manifest.generation < generation:
            return None
        # A second descriptor on the file drops this process's SQLite locks on it, which is why it is only opened under
        # `store.lock` and outside of transactions.
        return manifest.generation == generation and file_sha256(self._file) == manifest.store_sha256

    def _prepare(self) -> None:
        """Have a sound store, with whatever of the present one is sound."""
        for left in self.directory.glob(".*.new"):
            left.unlink(missing_ok=True)
        if not self._file.exists():
            (self.directory / MANIFEST).unlink(missing_ok=True)
            self._replace((), 0)
            return
        if self._rests():
            return
        contents = self._load()
        if contents.damaged:
            self._replace(contents.entries, contents.generation)

    def _replace(self, entries: Sequence[Entry], generation: int) -> None:
        """Put a new store with these documents in place of the present one."""
        mended = self.directory / f".{STORE}.new"
        os.close(os.open(mended, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with _connected(mended) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            connection.executemany(_INSERT_DOCUMENT, map(document_row, entries))
            connection.execute("UPDATE generation SET number = ?", (generation + 1,))
            connection.execute("COMMIT")
        # A journal belongs to the file that it was written for; beside another one it would be rolled into that.
        for beside in ("journal", "wal", "shm"):
            self._file.with_name(f"{STORE}-{beside}").unlink(missing_ok=True)
        mended.replace(self._file)
        sync_folder(self.directory)


class Writer:
    """Changes a store, in the name of the one that is indexing; every method is one transaction."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._connection = connection

    def change(
        self,
        *,
        entries: Iterable[Entry] = (),
        failures: Iterable[Failure] = (),
        touched: Mapping[str, FileState] | None = None,
        embeddings: Mapping[str, Embedding] | None = None,
        removed: Iterable[str] = (),
    ) -> None:
        """Make these changes, all or none of them.

        Args:
            entries: Documents, each to be kept in place of whatever was known under its name.
            failures: Files that cannot be read; what was known under their names is gone.
            touched: Documents whose files have another state and the content that they had.
            embeddings: The vectors that documents have from now on.
            removed: Names to forget, with all that came from them.
        """
        with self._transaction() as connection:
            for name in removed:
                connection.execute("DELETE FROM document WHERE name = ?", (name,))
                connection.execute("DELETE FROM failure WHERE name = ?", (name,))
            for failure in failures:
                connection.execute("DELETE FROM document WHERE name = ?", (failure.name,))
                connection.execute(_INSERT_FAILURE, failure_row(failure))
            for entry in entries:
                connection.execute("DELETE FROM failure WHERE name = ?", (entry.name,))
                connection.execute(_INSERT_DOCUMENT, document_row(entry))
            for name, state in (touched or {}).items():
                _touch(connection, name, state)
            for name, embedding in (embeddings or {}).items():
                connection.execute(_UPDATE_EMBEDDING, (*embedding_values(embedding), name))

    def seal(self) -> None:
        """Write the manifest for the store as it is now."""
        with locks.exclusive(self._directory / "store.lock"):
            generation = _generation(self._connection)
            manifest = read_manifest(self._directory)
            if manifest is not None and manifest.generation == generation:
                return
            write_manifest(self._directory, Manifest(generation, file_sha256(self._directory / STORE)))
            for stale in self._directory.glob("*.index"):
                stale.unlink()

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        connection = self._connection
        with locks.exclusive(self._directory / "store.lock"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("UPDATE generation SET number = number + 1")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise


@contextmanager
def _connected(file: Path) -> Generator[sqlite3.Connection]:
    """A connection; whatever SQLite finds wrong with the file is `Damaged`."""
    connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("synchronous = EXTRA", "secure_delete = ON", "trusted_schema = OFF", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _NOT_OF_THE_FILE:
            raise
        raise Damaged from None
    except UnicodeDecodeError:  # SQLite's own message quotes the damaged schema
        raise Damaged from None
    finally:
        connection.close()


def _touch(connection: sqlite3.Connection, name: str, state: FileState) -> None:
    row = connection.execute(_SELECT_NAMED, (name,)).fetchone()
    if row is not None:
        connection.execute(_INSERT_DOCUMENT, document_row(replace(entry_of(row), state=state, indexed_at=time.time())))


def _generation(connection: sqlite3.Connection) -> int:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    row = connection.execute("SELECT number FROM generation").fetchone()
    if version != _FORMAT or row is None or not isinstance(row[0], int):
        raise Damaged
    return row[0]


def _structure_sound(connection: sqlite3.Connection) -> bool:
    return connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]


def _sound_entries(connection: sqlite3.Connection, *, whole: bool) -> tuple[tuple[Entry, ...], bool]:
    """The documents that are what was written, by their names, and whether there are others.

    Args:
        connection: To the store.
        whole: Whether the file's own checksum has shown that all of them are.
    """
    entries: list[Entry] = []
    lost = False
    for (number,) in connection.execute("SELECT rowid FROM document").fetchall():
        try:
            entries.append(entry_of(connection.execute(_SELECT_DOCUMENT, (number,)).fetchone(), checked=whole))
        except (sqlite3.DatabaseError, UnicodeDecodeError, Damaged):
            lost = True
    return tuple(sorted(entries, key=lambda entry: entry.name)), lost
