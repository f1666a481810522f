"""The reader and its workers: what is checked before, and what a bad file may not do."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import psutil
import pytest

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.reading import open_reader, read_document
from commission_mcp.errors import Code, Refused

pytestmark = pytest.mark.anyio
LIMITS = ReadingLimits()


async def refusal(name: str, content: bytes | Path, limits: ReadingLimits = LIMITS) -> Code:
    with pytest.raises(Refused) as refused:
        await read_document(name, content, limits)
    return refused.value.problems[0].code


@pytest.mark.parametrize(
    "name",
    [
        "../a.txt",
        "/etc/a.txt",
        "a/../../b.txt",
        "a//b.txt",
        "a\\b.txt",
        "C:/a.txt",
        "./a.txt",
        "a\0.txt",
        "a\n.txt",
        "",
        "x" * 300 + ".txt",
        "a/" * 600 + "b.txt",
    ],
)
async def test_names_that_are_no_plain_path_are_refused(name: str) -> None:
    assert await refusal(name, b"text") is Code.DOCUMENT_NAME


@pytest.mark.parametrize("name", ["a.exe", "a.doc", "a.pdf.zip", ".txt", "a/.md"])
async def test_other_types_are_refused(name: str) -> None:
    assert await refusal(name, b"text") is Code.DOCUMENT_TYPE


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("a.doc", ".docx"),
        ("a.RTF", ".docx"),
        ("a.odt", ".docx"),
        ("a.ods", ".xlsx"),
        ("a.pptx", ".pdf"),
        ("a.html", ".pdf"),
        ("a.eml", "attached"),
        ("a.tar.gz", "Unpack"),
        ("a.heic", ".png"),
        ("a.yaml", ".txt"),
        ("a.exe", "These are read"),
    ],
)
async def test_a_type_that_is_not_read_is_refused_with_what_to_do_instead(name: str, instead: str) -> None:
    with pytest.raises(Refused) as refused:
        await read_document(name, b"content")

    assert refused.value.problems[0].code is Code.DOCUMENT_TYPE
    assert instead in refused.value.problems[0].fix


@pytest.mark.parametrize("name", ["README", "plans/LICENSE", "notes.log"])
async def test_text_without_a_usual_ending_is_read(name: str) -> None:
    document = await read_document(name, b"Commission is paid monthly.")

    assert (document.media_type, document.blocks[0].text) == ("text/plain", "Commission is paid monthly.")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scan", b"%PDF-1.7"),
        ("program", b"\x7fELF\x02"),
        ("data", bytes(range(256)) * 4),
        ("a.txt", b"{\\rtf1\\ansi Commission.}"),
        ("a.xls", b"<html><table><tr><td>Rate</td></tr></table></html>"),
        ("a.pdf", b"\xef\xbb\xbf <!DOCTYPE html><title>Log in</title>"),
        ("a.pdf", b"PK\x03\x04zip"),
        ("a.docx", b"%PDF-1.7"),
        ("a.png", b"\xff\xd8\xff\xe0jpeg"),
        ("a.txt", b"%PDF-1.7"),
        ("a.csv", b"PK\x03\x04zip"),
        ("a.json", b"\x89PNG\r\n"),
        ("a.md", b"\x7fELF\x02"),
        ("a.xls", b"PK\x03\x04zip"),
        ("a.txt", bytes(range(256)) * 4),
    ],
)
async def test_content_that_is_not_what_the_name_says_is_refused(name: str, content: bytes) -> None:
    assert await refusal(name, content) is Code.DOCUMENT_TYPE


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.csv", "a.txt", "a.json", "a.png"])
async def test_an_empty_file_is_a_failure(name: str) -> None:
    assert await refusal(name, b"") is Code.DOCUMENT_EMPTY


async def test_a_file_of_white_space_is_a_failure() -> None:
    assert await refusal("a.txt", b" \n\t \r\n" * 10) is Code.DOCUMENT_EMPTY


async def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 101)

    assert await refusal("a.txt", path, replace(LIMITS, file_bytes_max=100)) is Code.DOCUMENT_TOO_LARGE


async def test_more_text_than_the_limit_is_refused() -> None:
    assert await refusal("a.txt", b"word " * 50, replace(LIMITS, text_chars_max=100)) is Code.DOCUMENT_TOO_LARGE


async def test_a_document_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_bytes("Grüße aus dem Süden".encode())

    document = await read_document("rates/emea.txt", path)

    assert (document.name, document.blocks[0].text) == ("rates/emea.txt", "Grüße aus dem Süden")


async def test_a_worker_reads_several_documents() -> None:
    async with open_reader() as reader:
        for number in range(5):
            assert (await reader.read("a.txt", f"text {number}".encode())).blocks[0].text == f"text {number}"

        assert len(children()) == 1

    assert children() == []


async def test_documents_are_read_side_by_side() -> None:
    async with open_reader(workers=2) as reader, anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(reader.read, "a.txt", f"text {number}".encode())


async def test_a_killed_worker_loses_no_other_document() -> None:
    async with open_reader() as reader:
        await reader.read("a.txt", b"warm")
        children()[0].send_signal(signal.SIGKILL)

        assert (await reader.read("b.txt", b"next")).blocks[0].text == "next"


async def test_cancelling_ends_the_worker(make_pdf: Callable[..., bytes]) -> None:
    slow = make_pdf([(72, 72 + n, "page " * 9, 11, False) for n in range(600)], copies=200)
    with anyio.move_on_after(0.05) as scope:
        await read_document("a.pdf", slow)

    assert scope.cancelled_caught
    assert children() == []


async def test_too_slow_is_refused_and_the_next_is_read(make_pdf: Callable[..., bytes]) -> None:
    slow = make_pdf([(72, 72 + n, "page " * 9, 11, False) for n in range(600)], copies=200)
    async with open_reader(replace(LIMITS, seconds_max=1)) as reader:
        with pytest.raises(Refused) as refused:
            await reader.read("a.pdf", slow)
        await reader.read("b.txt", b"next")

    assert refused.value.problems[0].code is Code.DOCUMENT_TOO_SLOW


async def test_too_little_memory_is_refused_in_words(make_pdf: Callable[..., bytes]) -> None:
    limits = replace(LIMITS, memory_bytes_max=400 << 20)
    picture = make_pdf([(72, 72, "x", 11, False)])

    assert await refusal("a.pdf", picture, limits) in {Code.DOCUMENT_TOO_LARGE, Code.DOCUMENT_DAMAGED}


async def test_the_worker_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMISSION_TEST_SECRET", "sesame")  # what a worker must not inherit
    async with open_reader() as reader:
        await reader.read("a.txt", b"text")

        assert "COMMISSION_TEST_SECRET" not in children()[0].environ()


async def test_the_signature_is_what_the_document_says(make_pdf: Callable[..., bytes]) -> None:
    async with open_reader() as reader:
        document = await reader.read("a.pdf", make_pdf([(72, 72, "text", 11, False)]))

        assert await reader.signature("b.pdf") == document.reader


def children() -> list[psutil.Process]:
    """The workers of this process."""
    return [child for child in psutil.Process().children() if "commission_mcp.documents.worker" in child.cmdline()]
