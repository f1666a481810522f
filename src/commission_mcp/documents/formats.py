"""Which formats are read, by name and by content; the two must agree."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType

from commission_mcp.documents.refusals import refused, wrong_type
from commission_mcp.errors import Code

HEAD_BYTES = 8192
"""How much of a file's beginning tells its format."""

NAME_CHARS_MAX = 1024
NAME_PART_BYTES_MAX = 255


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is read.

    Attributes:
        name: What people call it.
        parser: The module in `commission_mcp.documents.parsers` that reads it.
        media_type: Its media type.
        extensions: What its files' names end in, lower-case.
        magic: What its files begin with, one of them; empty for plain text.
        packages: The distributions whose versions decide what is read.
        pictures: Whether it may hold pictures that are read by OCR.
    """

    name: str
    parser: str
    media_type: str
    extensions: tuple[str, ...]
    magic: tuple[bytes, ...] = ()
    packages: tuple[str, ...] = ()
    pictures: bool = False


_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BIFF = (b"\x09\0\x04\0", b"\x09\x02\x06\0", b"\x09\x04\x06\0", b"\x09\x08\x08\0", b"\x09\x08\x10\0")
"""Workbooks of Excel 2 to 5, which have no container: the record that begins each version's stream."""

_OFFICE = "application/vnd.openxmlformats-officedocument."

FORMATS: tuple[Format, ...] = (
    Format("PDF", "pdf", "application/pdf", ("pdf",), (b"%PDF-",), ("pymupdf",), pictures=True),
    Format("Word", "word", f"{_OFFICE}wordprocessingml.document", ("docx",), (_ZIP,), ("python-docx",), pictures=True),
    Format(
        "Excel",
        "workbook",
        f"{_OFFICE}spreadsheetml.sheet",
        ("xlsx", "xlsm"),
        (_ZIP,),
        pictures=True,
    ),
    Format("Excel 97", "old_workbook", "application/vnd.ms-excel", ("xls",), (_OLE, *_BIFF), ("xlrd",)),
    Format("CSV", "delimited", "text/csv", ("csv", "tsv")),
    Format("Text", "text", "text/plain", ("txt", "text", "log")),
    Format("Markdown", "text", "text/markdown", ("md", "markdown")),
    Format("JSON", "structured", "application/json", ("json",)),
    Format("JSON lines", "structured", "application/jsonl", ("jsonl", "ndjson")),
    Format("PNG", "picture", "image/png", ("png",), (b"\x89PNG\r\n\x1a\n",), ("pillow",), pictures=True),
    Format("JPEG", "picture", "image/jpeg", ("jpg", "jpeg"), (b"\xff\xd8\xff",), ("pillow",), pictures=True),
    Format(
        "TIFF",
        "picture",
        "image/tiff",
        ("tif", "tiff"),
        (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        ("pillow",),
        pictures=True,
    ),
)

BY_EXTENSION = MappingProxyType({ending: made for made in FORMATS for ending in made.extensions})
WITHOUT_ENDING = replace(BY_EXTENSION["txt"], name="text, for want of an ending")
"""README, LICENSE and the like; read where they hold text."""

_INSTEAD = (
    ("Open it in Word or LibreOffice and save it as .docx or .pdf.", "doc dot dotx docm rtf odt ott pages wps"),
    ("Open it in Excel or LibreOffice and save it as .xlsx.", "xlsb xlt xltx ods ots numbers"),
    ("Export it as .pdf.", "ppt pptx pps ppsx odp key pub vsd vsdx epub mobi djvu ps eps xps"),
    ("Open it in a browser and print it to .pdf, or save its text as .txt.", "htm html xhtml mht mhtml xml rss"),
    ("Save the message as .pdf or .txt, and what is attached to it as files of their own.", "eml msg mbox"),
    ("Unpack it and add the files that it holds.", "zip gz tgz tar bz2 xz 7z rar"),
    ("Save the picture as .png or .jpg.", "gif bmp webp heic heif avif svg jp2 psd"),
    ("If it holds plain text, save it as .txt.", "yaml yml ini cfg conf tex rst adoc org sql py ipynb"),
)
INSTEAD = MappingProxyType({ending: fix for fix, endings in _INSTEAD for ending in endings.split()})
"""What to do with files that people have and that are not read, by their ending."""

_FOREIGN = (
    (b"%PDF-", "a PDF"),
    (_ZIP, "a ZIP archive (as DOCX and XLSX are)"),
    (_OLE, "an older Office file, or one with a password"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "gzip data"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"{\\rtf", "a text with RTF's marks, as word processors write it"),
)
_MARKED_UP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|table|meta)\b", re.IGNORECASE)
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")


def checked_name(name: str) -> str:
    """The name of a document, if it is a plain path inside its folder.

    Raises:
        Refused: It is absolute, has ``..``, a backslash, a control character, or is too long.
    """
    parts = name.split("/")
    plain = all(part not in {"", ".", ".."} for part in parts)
    short = (
        len(name) <= NAME_CHARS_MAX and max(len(part.encode(errors="replace")) for part in parts) <= NAME_PART_BYTES_MAX
    )
    printable = name.isprintable() and "\\" not in name and ":" not in parts[0][1:2]
    if plain and short and printable:
        return name
    raise refused(
        Code.DOCUMENT_NAME,
        "The name is not a plain path inside the documents folder.",
        "Use a relative name such as rates/emea.xlsx: no leading /, no .., no backslash, no control characters, "
        f"at most {NAME_CHARS_MAX} characters.",
    )


def named_format(name: str) -> Format:
    """The format that a name promises.

    Raises:
        Refused: It is none that is read.
    """
    ending = PurePosixPath(name).suffix.lower().removeprefix(".")
    if not ending and not PurePosixPath(name).name.startswith("."):
        return WITHOUT_ENDING
    if ending in BY_EXTENSION:
        return BY_EXTENSION[ending]
    known = ", ".join(BY_EXTENSION)
    raise wrong_type(
        f"Files of type .{ending} are not read." if ending else "The name is nothing but an ending.",
        f"{INSTEAD.get(ending, 'Save it as a type that is read.')} These are read: {known}.",
    )


def check_content(named: Format, content: bytes) -> None:
    """Compare the beginning of a file with what its name promises.

    Raises:
        Refused: It is something else, or an Office file with a password.
    """
    head = content[:HEAD_BYTES]
    if named.magic and head.startswith(named.magic):
        return
    if named.parser == "pdf" and b"%PDF-" in head[:1024]:
        return  # the standard allows a little before the header
    other = next((what for magic, what in _FOREIGN if head.startswith(magic)), None)
    if named.magic and other is None and _MARKED_UP.match(head):
        other = "a web page"
    if head.startswith(_OLE) and named.magic == (_ZIP,) and _ENCRYPTED_OFFICE in content:
        raise refused(
            Code.DOCUMENT_ENCRYPTED,
            "The file is protected by a password.",
            "Save a copy without a password and add that.",
        )
    if named.magic or other is not None:
        raise wrong_type(
            f"The file is named as {named.name}, but it is {other or 'something else'}.",
            "Give it the ending of what it is, or export it again from the program that made it.",
        )
