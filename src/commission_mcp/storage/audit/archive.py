"""Archives: entries of a trail as JSON lines in a file, written before they are removed, and proven again from it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson

from commission_mcp.durable_files import file_sha256, open_private, sync_folder
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.audit.chain import Walk
from commission_mcp.storage.audit.entry import Entry, Phase, Recorded

_TEXTS = (
    "entry_id",
    "call_id",
    "client_id",
    "issuer",
    "subject",
    "assurance",
    "action",
    "object",
    "outcome",
    "facts",
)


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of entries.

    Attributes:
        file: Where it is.
        entries: How many entries it holds.
        sha256: The checksum of the file.
    """

    file: Path
    entries: int
    sha256: str


def line_of(entry: Recorded) -> bytes:
    """An entry as a line of an archive."""
    return orjson.dumps(
        {"seq": entry.seq, "at": entry.time, **asdict(entry.entry), "sha256": entry.sha256.hex()},
        option=orjson.OPT_APPEND_NEWLINE,
    )


async def write_archive(file: Path, entries: AsyncIterator[Recorded], walk: Walk) -> Archive:
    """Write entries into a new file that only its owner can read, and prove it whole from what was written.

    Args:
        file: The file, which must not be there.
        entries: The entries, in their order.
        walk: Where they begin in their chain; it is left as it is.

    Raises:
        Refused: with `E_AUDIT_FILE` when it cannot be written, or is not whole when it is read back.
    """
    draft = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with open(draft, "xb", opener=open_private) as stream:  # noqa: ASYNC230 - a line at a time
            async for entry in entries:
                stream.write(line_of(entry))
            stream.flush()
            os.fsync(stream.fileno())
        written = _proven(draft, Walk(walk.client_id, walk.seq, walk.sha256))
        _publish(draft, file)
    except OSError as error:
        raise _unusable(file, f"{error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return Archive(file, written.seq - walk.seq, file_sha256(file))


def read_archive(file: Path, begins: Mapping[tuple[str, int], bytes], known: Mapping[str, Mapping[int, str]]) -> Walk:
    """The way along an archive, which ends before a fault.

    Args:
        file: The archive.
        begins: The hash before the first entry, by client and number: of checkpoints.
        known: Hashes that are known from elsewhere, by client and number.

    Raises:
        Refused: with `E_AUDIT_FILE` when it is no archive, or does not begin where one can.
    """
    entries = _lines(file)
    first = next(entries, None)
    if first is None:
        raise _unusable(file, "There are no entries in it.")
    client_id = first.entry.client_id
    before = begins.get((client_id, first.seq - 1), b"" if first.seq == 1 else None)
    if before is None:
        raise _unusable(file, f"It begins with entry {first.seq}, before which no checkpoint stands.")
    walk = Walk(client_id, first.seq - 1, before, dict(known.get(client_id, {})))
    if walk.take(first):
        _follow(walk, entries)
    return walk


def _follow(walk: Walk, entries: Iterator[Recorded]) -> None:
    for entry in entries:
        if not walk.take(entry):
            return


def _proven(file: Path, walk: Walk) -> Walk:
    _follow(walk, _lines(file))
    if walk.fault is not None:
        raise _unusable(file, "What was read back is not what was written.")
    return walk


def _lines(file: Path) -> Iterator[Recorded]:
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                yield _entry(file, number, line)
    except OSError as error:
        raise _unusable(file, f"{error.strerror or error}.") from None


def _entry(file: Path, number: int, line: bytes) -> Recorded:
    try:
        content = cast("dict[str, Any]", orjson.loads(line))
        texts = {name: str(content[name]) for name in _TEXTS}
        entry = Entry(**texts, phase=Phase(content["phase"]))
        at = datetime.fromisoformat(content["at"])
        return Recorded(int(content["seq"]), at, entry, bytes.fromhex(content["sha256"]))
    except (ValueError, KeyError, TypeError):
        raise _unusable(file, f"Line {number} is no entry.") from None


def _publish(draft: Path, file: Path) -> None:
    """Give the file its name; unlike a renaming this overwrites nothing. The same file may be there from an attempt."""
    try:
        os.link(draft, file)
    except FileExistsError:
        if file_sha256(draft) != file_sha256(file):
            raise
    sync_folder(file.parent)


def _unusable(file: Path, reason: str) -> Refused:
    fix = "Name a file or folder that can be written, or an archive that `audit prune` or `audit export` wrote."
    return Refused(Problem(Code.AUDIT_FILE, f"{file}: {reason}", fix, "FILE"))
