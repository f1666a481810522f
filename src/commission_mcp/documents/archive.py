"""Packed formats (DOCX, XLSX): what the package holds, checked before anything is unpacked by a parser."""

from __future__ import annotations

import io
import zipfile
import zlib

from commission_mcp.documents.limits import MIB, ReadingLimits
from commission_mcp.documents.refusals import damaged, encrypted, too_large, wrong_type

DIRECTORY_BYTES_MAX = 4 * MIB
_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_XML = (".xml", ".rels", ".vml")
_DECLARATIONS = tuple(
    word.encode(encoding) for word in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)


def opened_archive(content: bytes, limits: ReadingLimits, main_part: str) -> zipfile.ZipFile:
    """A package that unpacks within the limits and declares no entities of its own.

    Args:
        content: The file.
        limits: How much it may hold.
        main_part: A member that tells the format.

    Raises:
        Refused: It is damaged, encrypted, of another format, or a bomb; or its XML declares entities, which Office
            never writes and which would make text of other files or of nothing.
    """
    _check_directory(content)
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged("The file is damaged: it is cut off, or its table of contents is broken.") from error
    members = archive.infolist()
    if len(members) > limits.members_max:
        raise too_large(f"The file holds {len(members):,} parts; at most {limits.members_max:,} are read.")
    if any(member.flag_bits & 1 for member in members):
        raise encrypted()
    for member in members:
        _check_member(member, limits)
    if sum(member.file_size for member in members) > limits.unpacked_bytes_max:
        raise too_large(f"The file unpacks to more than {limits.unpacked_bytes_max // MIB} MiB.")
    if main_part not in archive.namelist():
        raise wrong_type(
            "The file is a ZIP archive, but not a document of the type that its name says.",
            "Give it the ending of what it is, or export it again from the program that made it.",
        )
    _check_declarations(archive)
    return archive


def _check_directory(content: bytes) -> None:
    """The table of contents is read as a whole: it must not be large itself."""
    at = content.rfind(_END_RECORD)
    record = content[at : at + _END_RECORD_BYTES]
    if at < 0 or len(record) < _END_RECORD_BYTES:
        raise damaged("The file is cut off: its table of contents is missing.")
    if int.from_bytes(record[12:16], "little") > DIRECTORY_BYTES_MAX:
        raise too_large("The file's table of contents is larger than that of any document.")


def _check_member(member: zipfile.ZipInfo, limits: ReadingLimits) -> None:
    if ".." in member.filename.split("/") or member.filename.startswith(("/", "\\")):
        raise damaged("The file holds parts outside of itself, as no Office program writes them.")
    bomb = member.file_size > max(MIB, member.compress_size * limits.unpacked_ratio_max)
    if bomb or member.file_size > limits.unpacked_bytes_max:
        raise too_large(f"A part of the file unpacks to {member.file_size // MIB:,} MiB, far more than it should.")


def _check_declarations(archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        if name.lower().endswith(_XML):
            part = member_bytes(archive, name)
            if any(declaration in part for declaration in _DECLARATIONS):
                raise damaged("The file's XML declares entities, as no Office program writes them.")


def member_bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member, unpacked: never more than its checked size.

    Raises:
        Refused: It is damaged.
    """
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, KeyError, NotImplementedError) as error:
        raise damaged("The file is damaged: a part of it cannot be unpacked.") from error
