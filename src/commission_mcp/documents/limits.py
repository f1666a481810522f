"""What reading one document may take."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Bounds of reading one document; what exceeds one is refused, and the server is unharmed.

    Attributes:
        file_bytes_max: The file itself.
        unpacked_bytes_max: What a packed format (DOCX, XLSX) unpacks to, all members together.
        unpacked_ratio_max: How many times its packed size a member may unpack to, once it is larger than 1 MiB.
        members_max: How many members a packed format may have.
        image_pixels_max: A picture, or a page rendered for OCR.
        images_max: How many pictures inside a document are read; the rest is noted.
        pages_max: How many pages a PDF or TIFF may have.
        text_chars_max: The text of the document.
        blocks_max: How many blocks (paragraphs, rows) it may have.
        memory_bytes_max: Address space of the process that reads.
        seconds_max: How long reading may take, and how much CPU time.
        languages: What OCR expects, in Tesseract's names joined by ``+``.
    """

    file_bytes_max: int = 64 * MIB
    unpacked_bytes_max: int = 512 * MIB
    unpacked_ratio_max: int = 200
    members_max: int = 10_000
    image_pixels_max: int = 100_000_000
    images_max: int = 200
    pages_max: int = 5_000
    text_chars_max: int = 20_000_000
    blocks_max: int = 400_000
    memory_bytes_max: int = 3 << 30
    seconds_max: int = 300
    languages: str = "eng"
