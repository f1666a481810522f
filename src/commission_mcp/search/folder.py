"""The folder of a collection's documents: what is in it, and opening exactly that.

Nothing outside is ever reached: every step from the folder to a file is opened by name from the one before, and links
are not followed. Links, sockets and other special files, hidden files and those that programs keep beside a document
while it is open are no documents; they are not there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.entries import FileState

FILES_MAX = 200_000
_DEPTH_MAX = 32
_HIDDEN_BYTES_MAX = 1 << 20
_NAME_BYTES_MAX = 255  # of each part of a path
_TEMPORARY_BEGINNINGS = (".", "~$", "~")
_TEMPORARY_ENDINGS = ("~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp", ".swx", ".lock")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: the file may have become a pipe since it was listed.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_SUCH_THING = frozenset({errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENOENT})


@dataclass(frozen=True, slots=True)
class FoundFile:
    r"""A file in the folder.

    Attributes:
        name: Its path inside the folder, with ``/``. Bytes that are no UTF-8, and signs that cannot be printed, are
            written as escapes such as ``\xff``; such a file cannot be opened by its name.
        state: What the file system says of it.
    """

    name: str
    state: FileState


class NotADocument(Exception):  # noqa: N818 - an answer, not an error
    """There is no document of this name."""


class Folder:
    """The documents under one directory. Blocks the thread.

    Args:
        root: The directory, which need not exist.
        without: A directory below it that belongs to others, by whatever path it is reached.
        linked: Whether the directory itself may be a link.
    """

    def __init__(self, root: Path, *, without: Path | None = None, linked: bool = False) -> None:
        self.root = root
        self._without = without
        self._flags = _FOLDER & ~os.O_NOFOLLOW if linked else _FOLDER

    def files(self) -> list[FoundFile]:
        """The documents, by name.

        Raises:
            OSError: the folder is there and cannot be read.
            Refused: with `E_DOCUMENT_TOO_LARGE`, when there are more than `FILES_MAX`.
        """
        found: list[FoundFile] = []
        try:
            root = _opened(self.root, self._flags, None)
        except NotADocument:
            return found
        try:
            for file in self._walk(root, (), self._foreign()):
                found.append(file)
                if len(found) > FILES_MAX:
                    raise Refused(
                        Problem(
                            Code.DOCUMENT_TOO_LARGE,
                            f"There are more than {FILES_MAX:,} files in the folder.",
                            "Leave fewer in it.",
                        )
                    )
        finally:
            os.close(root)
        return sorted(found, key=lambda file: file.name)

    def read(self, name: str, bytes_max: int) -> tuple[bytes, FileState]:
        """The first `bytes_max` + 1 bytes of a document, and the state that it had before.

        Raises:
            NotADocument: there is none of this name.
            OSError: it is there and cannot be read.
        """
        with self._parent(name) as (parent, last):
            descriptor = _opened(last, _FILE, parent)
            of = os.fstat(descriptor)
            if not stat.S_ISREG(of.st_mode):
                os.close(descriptor)
                raise NotADocument
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
                return file.read(bytes_max + 1), _state(of)

    def hidden(self, name: str) -> bytes | None:
        """The beginning of a file of this program's own, which is no document; None when it is not there.

        Args:
            name: A name without folders, which no caller chooses.
        """
        try:
            root = _opened(self.root, self._flags, None)
            try:
                descriptor = _opened(name, _FILE, root)
            finally:
                os.close(root)
        except (NotADocument, PermissionError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(_HIDDEN_BYTES_MAX)

    def write(self, name: str, content: bytes) -> None:
        """Put a document into the folder, in place of one of the same name; the folder is made if need be.

        Raises:
            NotADocument: the name is not one of a document, or a part of its path is no folder.
            OSError: it cannot be written.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._parent(name, make=True) as (parent, last):
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
                    raise NotADocument
            temporary = f".{os.getpid()}-{os.urandom(4).hex()}.tmp"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, last, src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)

    def delete(self, name: str) -> None:
        """Take a document out of the folder.

        Raises:
            NotADocument: there is none of this name.
            OSError: it cannot be deleted.
        """
        with self._parent(name) as (parent, last):
            try:
                if not stat.S_ISREG(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
                    raise NotADocument
                os.unlink(last, dir_fd=parent)
            except FileNotFoundError:
                raise NotADocument from None
            os.fsync(parent)

    def _walk(self, folder: int, above: tuple[str, ...], foreign: tuple[int, int] | None) -> Iterator[FoundFile]:
        if len(above) > _DEPTH_MAX or _identity(os.fstat(folder)) == foreign:
            return
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not _is_temporary(entry.name)]
        for entry in listed:
            with suppress(FileNotFoundError, NotADocument):  # deleted or replaced meanwhile
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk_into(folder, (*above, entry.name), foreign)
                elif entry.is_file(follow_symlinks=False):
                    state = _state(entry.stat(follow_symlinks=False))
                    yield FoundFile(_printable("/".join((*above, entry.name))), state)

    def _walk_into(self, folder: int, path: tuple[str, ...], foreign: tuple[int, int] | None) -> Iterator[FoundFile]:
        inner = _opened(path[-1], _FOLDER, folder)
        try:
            yield from self._walk(inner, path, foreign)
        finally:
            os.close(inner)

    def _foreign(self) -> tuple[int, int] | None:
        """The identity of the directory that belongs to others."""
        if self._without is None:
            return None
        with suppress(FileNotFoundError):
            return _identity(self._without.stat())
        return None

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Generator[tuple[int, str]]:
        """The folder that a document is in, as a descriptor, and its last name."""
        parts = tuple(name.split("/"))
        if len(parts) > _DEPTH_MAX or not all(map(_is_plain, parts)):
            raise NotADocument
        foreign = self._foreign()
        folder = _opened(self.root, self._flags, None)
        try:
            for part in parts[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                inner = _opened(part, _FOLDER, folder)
                os.close(folder)
                folder = inner
                if _identity(os.fstat(folder)) == foreign:
                    raise NotADocument
            yield folder, parts[-1]
        finally:
            os.close(folder)


def _opened(name: str | Path, flags: int, folder: int | None) -> int:
    """A descriptor; a link, or what is no folder where one should be, is not there."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except ValueError:  # a name that no file can have
        raise NotADocument from None
    except OSError as error:
        if error.errno in _NO_SUCH_THING:
            raise NotADocument from None
        raise


def _is_plain(part: str) -> bool:
    if part in {"", ".", ".."} or not part.isprintable() or _is_temporary(part):
        return False
    return len(part.encode()) <= _NAME_BYTES_MAX


def _identity(of: os.stat_result) -> tuple[int, int]:
    return of.st_dev, of.st_ino


def _is_temporary(name: str) -> bool:
    return name.startswith(_TEMPORARY_BEGINNINGS) or name.lower().endswith(_TEMPORARY_ENDINGS)


def _printable(name: str) -> str:
    """The name, with what nobody can read or type written as an escape."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _state(of: os.stat_result) -> FileState:
    return FileState(of.st_size, of.st_mtime_ns, of.st_ctime_ns, of.st_ino)
