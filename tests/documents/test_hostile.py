"""Files made to break their reader: each ends as a refusal with its code, or is read; then the next is read."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

import docx
import openpyxl
import psutil
import pytest

from commission_mcp.documents.limits import MIB, ReadingLimits
from commission_mcp.documents.model import Document
from commission_mcp.documents.reading import DocumentReader, open_reader
from commission_mcp.errors import Code, Refused

from .conftest import pymupdf, texts

pytestmark = pytest.mark.anyio
LIMITS = replace(ReadingLimits(), seconds_max=60, memory_bytes_max=2 << 30)
MakePdf = Callable[..., bytes]


@pytest.fixture(scope="module")
async def one_reader() -> AsyncGenerator[DocumentReader]:
    async with open_reader(LIMITS) as opened:
        yield opened


@pytest.fixture
async def reader(one_reader: DocumentReader) -> AsyncGenerator[DocumentReader]:
    """The reader of all tests; after each it reads on."""
    yield one_reader
    assert texts(await one_reader.read("after.txt", b"the next document")) == ["the next document"]


async def outcome(reader: DocumentReader, name: str, content: bytes) -> Document | Code:
    try:
        return await reader.read(name, content)
    except Refused as refusal:
        return refusal.problems[0].code


def word_with(changes: dict[str, bytes | Callable[[bytes], bytes]], text: str = "Some text.") -> bytes:
    """A Word document with parts added or changed."""
    target = io.BytesIO()
    file = docx.Document()
    file.add_paragraph(text)
    file.save(target)
    return repacked(target.getvalue(), changes)


def book_with(changes: dict[str, bytes | Callable[[bytes], bytes]]) -> bytes:
    """A workbook with parts added or changed."""
    target = io.BytesIO()
    book = openpyxl.Workbook()
    assert book.active is not None
    for number in range(1, 101):
        book.active.append((f"Payee {number}", number))
    book.save(target)
    return repacked(target.getvalue(), changes)


def repacked(package: bytes, changes: dict[str, bytes | Callable[[bytes], bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change = changes.pop(name, None)
            part = old.read(name)
            new.writestr(name, part if change is None else change if isinstance(change, bytes) else change(part))
        for name, added in changes.items():
            assert isinstance(added, bytes)
            new.writestr(name, added)
    return target.getvalue()


@pytest.mark.parametrize("part", ["word/document.xml", "word/media/image1.png", "docProps/app.xml"])
async def test_a_bomb_in_a_word_document(reader: DocumentReader, part: str) -> None:
    assert await outcome(reader, "a.docx", word_with({part: bytes(128 * MIB)})) is Code.DOCUMENT_TOO_LARGE


async def test_a_bomb_in_a_workbook(reader: DocumentReader) -> None:
    assert (
        await outcome(reader, "a.xlsx", book_with({"xl/worksheets/sheet1.xml": b" " * (128 * MIB)}))
        is Code.DOCUMENT_TOO_LARGE
    )


async def test_a_bomb_of_many_small_charges() -> None:
    charge = random.Random(1).randbytes(20_000) + bytes(2 * MIB)  # noqa: S311 - the same on every run
    members = {f"word/media/{number}.png": charge for number in range(20)}

    async with open_reader(replace(LIMITS, unpacked_bytes_max=32 * MIB)) as strict:
        assert await outcome(strict, "a.docx", word_with(dict(members))) is Code.DOCUMENT_TOO_LARGE


async def test_more_parts_than_any_document_has(reader: DocumentReader) -> None:
    assert await outcome(reader, "a.docx", word_with({f"x/{n}": b"" for n in range(11_000)})) is Code.DOCUMENT_TOO_LARGE


async def test_a_part_that_lies_about_its_size(reader: DocumentReader) -> None:
    package = bytearray(word_with({"word/lies.xml": bytes(64 * MIB)}))
    honest = struct.pack("<I", 64 * MIB)
    while (at := package.find(honest)) >= 0:
        package[at : at + 4] = struct.pack("<I", 1000)

    assert await outcome(reader, "a.docx", bytes(package)) is Code.DOCUMENT_DAMAGED


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd"])
async def test_parts_outside_of_the_package(reader: DocumentReader, name: str) -> None:
    assert await outcome(reader, "a.docx", word_with({name: b"x"})) is Code.DOCUMENT_DAMAGED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_entities_of_other_files_are_refused(reader: DocumentReader, tmp_path: Path, encoding: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sesame")

    def declare(part: bytes) -> bytes:
        text = part.decode().replace("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>", "")
        entity = f'<!DOCTYPE d [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        return f'<?xml version="1.0" encoding="{encoding}"?>{entity}{text.replace("Some", "&x;")}'.encode(encoding)

    assert await outcome(reader, "a.docx", word_with({"word/document.xml": declare})) is Code.DOCUMENT_DAMAGED


async def test_entities_that_multiply_are_refused(reader: DocumentReader) -> None:
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))

    def declare(part: bytes) -> bytes:
        return part.replace(b"<worksheet", b'<!DOCTYPE w [<!ENTITY l0 "ha">' + laughs + b"]><worksheet", 1)

    assert await outcome(reader, "a.xlsx", book_with({"xl/worksheets/sheet1.xml": declare})) is Code.DOCUMENT_DAMAGED


async def test_xml_nested_without_end(reader: DocumentReader) -> None:
    def nest(part: bytes) -> bytes:
        return part.replace(b"<w:body>", b"<w:body>" + b"<w:tbl><w:tr><w:tc>" * 50_000, 1)

    assert await outcome(reader, "a.docx", word_with({"word/document.xml": nest})) is Code.DOCUMENT_DAMAGED


async def test_a_false_dimension_hides_no_rows(reader: DocumentReader) -> None:
    def lie(part: bytes) -> bytes:
        assert b'<dimension ref="A1:B100"' in part
        return part.replace(b'<dimension ref="A1:B100"', b'<dimension ref="A1:B2"')

    document = await outcome(reader, "a.xlsx", book_with({"xl/worksheets/sheet1.xml": lie}))

    assert isinstance(document, Document)
    assert len(document.blocks) == 100


async def test_a_cell_in_the_last_row_of_the_last_column(reader: DocumentReader) -> None:
    far = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far away</t></is></c></row></sheetData>'

    def add(part: bytes) -> bytes:
        return part.replace(b"</sheetData>", far)

    document = await outcome(reader, "a.xlsx", book_with({"xl/worksheets/sheet1.xml": add}))

    assert isinstance(document, Document)
    assert texts(document)[-1] == "far away"


async def test_a_string_that_is_not_there(reader: DocumentReader) -> None:
    def point(part: bytes) -> bytes:
        return part.replace(b"</sheetData>", b'<row r="200"><c r="A200" t="s"><v>99999999</v></c></row></sheetData>')

    assert await outcome(reader, "a.xlsx", book_with({"xl/worksheets/sheet1.xml": point})) is Code.DOCUMENT_DAMAGED


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
async def test_packages_cut_off_anywhere(reader: DocumentReader, name: str) -> None:
    whole = word_with({}) if name == "a.docx" else book_with({})
    for part in range(1, 10):
        assert await outcome(reader, name, whole[: len(whole) * part // 10]) is Code.DOCUMENT_DAMAGED


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pdf", "a.png"])
async def test_bytes_flipped_anywhere(
    reader: DocumentReader, name: str, make_pdf: MakePdf, make_picture: Callable[..., bytes]
) -> None:
    """Whatever a file says after an accident, it is read or refused; nothing else happens."""
    made = {
        "a.docx": word_with({}),
        "a.xlsx": book_with({}),
        "a.pdf": make_pdf([(72, 72, "text", 11, False)] * 3),
        "a.png": make_picture("text"),
    }
    chance = random.Random(7)  # noqa: S311 - the same on every run
    for _ in range(12):
        content = bytearray(made[name])
        for _ in range(8):
            content[chance.randrange(20, len(content))] = chance.randrange(256)
        await outcome(reader, name, bytes(content))


async def test_office_files_with_a_password(reader: DocumentReader) -> None:
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600)

    assert await outcome(reader, "a.docx", locked) is Code.DOCUMENT_ENCRYPTED
    assert await outcome(reader, "a.xlsx", locked) is Code.DOCUMENT_ENCRYPTED


async def test_a_pdf_cut_off_anywhere(reader: DocumentReader, make_pdf: MakePdf) -> None:
    """The library repairs what is left of a file to a page or two: then text would be missing without a word."""
    lines = [[(72, 72 + 20 * line, f"line {line} of {page}", 11, False) for line in range(20)] for page in range(9)]
    whole = make_pdf(*lines)
    for part in range(1, 20):
        assert await outcome(reader, "a.pdf", whole[: len(whole) * part // 20]) is Code.DOCUMENT_DAMAGED


def pdf_of(*objects: str) -> bytes:
    """A PDF of these objects, the first its catalogue."""
    body, places = b"%PDF-1.7\n", list[int]()
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    start = len(body)
    return (
        body
        + f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode()
        + f"trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    )


def stream(content: str, entries: str = "") -> str:
    return f"<<{entries}/Length {len(content)}>>\nstream\n{content}\nendstream"


CATALOGUE = "<</Type/Catalog/Pages 2 0 R>>"
FONT = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


@pytest.mark.parametrize(
    "objects",
    [
        (CATALOGUE, "<</Type/Pages/Kids[2 0 R]/Count 1>>"),
        (CATALOGUE, "<</Type/Pages/Kids[3 0 R]/Count 2>>", "<</Type/Pages/Kids[2 0 R]/Count 2/Parent 2 0 R>>"),
        (CATALOGUE, "<</Type/Pages/Kids[3 0 R]/Count 1000000000>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 10 10]>>"),
        (
            CATALOGUE,
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
            stream("/X Do"),
            stream("/X Do /X Do", "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>"),
        ),
        (
            CATALOGUE,
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>",
            stream("q " * 500_000),
        ),
        (
            CATALOGUE,
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>",
            stream("[" * 100_000),
        ),
        (
            CATALOGUE,
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 1e9 1e9]/Contents 4 0 R>>",
            stream("0 0 99999 99999 re f"),
        ),
    ],
    ids=[
        "own kid",
        "two own kids",
        "a billion pages",
        "form draws itself",
        "saves without end",
        "nests without end",
        "huge page",
    ],
)
async def test_pdfs_that_lead_round_in_circles(reader: DocumentReader, objects: tuple[str, ...]) -> None:
    assert await outcome(reader, "a.pdf", pdf_of(*objects)) in {
        Code.DOCUMENT_DAMAGED,
        Code.DOCUMENT_EMPTY,
        Code.DOCUMENT_TOO_LARGE,
        Code.DOCUMENT_TOO_SLOW,
    }


async def test_a_pdf_whose_text_loops() -> None:
    resources = "<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>"
    page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources{resources}>>"
    words = "BT /F 9 Tf 9 9 Td (again and again) Tj ET " * 2_000
    forms = [
        stream(
            f"/Y{n} Do " * 20, f"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</Y{n} {n + 1} 0 R>>>>"
        )
        for n in range(6, 12)
    ]
    last = stream(words, "/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</Font<</F 5 0 R>>>>")
    bomb = pdf_of(CATALOGUE, "<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream("/X Do"), FONT, *forms, last)
    async with open_reader(replace(LIMITS, seconds_max=3)) as impatient:
        assert await outcome(impatient, "a.pdf", bomb) in {
            Code.DOCUMENT_TOO_SLOW,
            Code.DOCUMENT_TOO_LARGE,
            Code.DOCUMENT_DAMAGED,
        }


def png(width: int, height: int, rows: int) -> bytes:
    """A black and white PNG that says to have more rows than it has."""
    packer = zlib.compressobj()
    pixels = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(rows)) + packer.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("rows", [30_000, 1])
async def test_a_picture_of_900_million_pixels(reader: DocumentReader, rows: int) -> None:
    assert await outcome(reader, "a.png", png(30_000, 30_000, rows)) is Code.DOCUMENT_TOO_LARGE


async def test_a_picture_bomb_inside_a_document_fails_only_itself(reader: DocumentReader) -> None:
    file, target = docx.Document(), io.BytesIO()
    file.add_paragraph("Some text.")
    picture = png(30_000, 30_000, 1)
    file.add_picture(io.BytesIO(picture), width=914400)
    file.save(target)
    document = await outcome(reader, "a.docx", target.getvalue())

    assert isinstance(document, Document)
    assert texts(document) == ["Some text."]
    assert document.notes == ("A picture inside the document could not be read.",)


async def test_a_tiff_whose_pages_lead_back_to_the_first(
    reader: DocumentReader, make_picture: Callable[..., bytes]
) -> None:
    content = bytearray(make_picture("page", kind="TIFF"))
    first = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)

    await outcome(reader, "a.tif", bytes(content))


async def test_json_100_000_deep(reader: DocumentReader) -> None:
    assert await outcome(reader, "a.json", b"[" * 100_000 + b"]" * 100_000) is Code.DOCUMENT_DAMAGED


async def test_a_quotation_that_never_ends(reader: DocumentReader) -> None:
    document = await outcome(reader, "a.csv", b'Payee,Note\nAnn,"' + b"no end\n" * 200_000)

    assert isinstance(document, Document)


@pytest.mark.parametrize("sign", ["A-", "a. ", "1 ", "Plan ", "A.A ", "(", "| ", "\u0300", "- ", "x"])
async def test_text_that_repeats_one_sign(reader: DocumentReader, sign: str) -> None:
    """No pattern goes back and forth over it for ever."""
    document = await outcome(reader, "a.md", sign.encode() * 300_000)

    assert isinstance(document, Document)


async def test_a_document_that_prints_and_shouts_breaks_no_pipe(reader: DocumentReader) -> None:
    """The library prints what it thinks of broken fonts and streams; the pipe carries answers only."""
    page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F 99 0 R>>>>>>"
    broken = pdf_of(
        CATALOGUE,
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        page,
        stream("BT /F 9 Tf (x) Tj ET /Q Do BX zz EX unknown 1 2 op"),
    )

    await outcome(reader, "a.pdf", broken)


async def test_memory_stays_within_the_limit(reader: DocumentReader) -> None:
    """A page of many large pictures, read one after another."""
    library = pymupdf()
    file = library.open()
    page = file.new_page()
    page.insert_text((72, 72), "A page of pictures")
    for number in range(2):
        page.insert_image(
            (10, 100 + 90 * number, 500, 180 + 90 * number), stream=png(6_000, 6_000 + number, 6_000 + number)
        )
    await outcome(reader, "a.pdf", file.tobytes())
    workers = [child for child in psutil.Process().children() if "commission_mcp.documents.worker" in child.cmdline()]

    assert all(worker.memory_info().rss < LIMITS.memory_bytes_max for worker in workers)
