"""The two ways of OCR: the program where one with the language is on the PATH, otherwise the package."""

from __future__ import annotations

import io
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import psutil
import pytest
from PIL import Image

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import TesseractLibrary, TesseractProgram, find_ocr
from commission_mcp.documents.reading import open_reader
from commission_mcp.errors import Code, Refused

from .conftest import texts

pytestmark = pytest.mark.anyio
MakePicture = Callable[..., bytes]


@pytest.fixture
def program() -> str:
    found = shutil.which("tesseract")
    if found is None and os.environ.get("CI"):
        pytest.fail("the program tesseract is not installed")
    return found or pytest.skip("the program tesseract is not installed")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers get their directories, so that those of other tests are not among them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the directory for temporary files is cached there
    return tmp_path


def without_program(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("PATH", str(place))


def program_that_says(place: Path, languages: str) -> None:
    """A program of that name with other languages, since none can be taken from an installed one."""
    script = place / "tesseract"
    script.write_text(f"#!/bin/sh\necho 'List of available languages (1):'\necho {languages}\n", "utf-8")
    script.chmod(0o755)


def test_the_program_is_taken_where_it_has_the_language(program: str) -> None:
    del program
    ocr = find_ocr("eng")

    assert isinstance(ocr, TesseractProgram)
    assert ocr.engine.startswith("tesseract ")
    assert ocr.engine.endswith(" eng")


def test_without_the_program_the_package_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_program(monkeypatch, tmp_path)
    ocr = find_ocr("eng")

    assert isinstance(ocr, TesseractLibrary)
    assert ocr.engine.startswith("tesserocr ")


def test_a_program_without_the_language_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program_that_says(tmp_path, "deu")
    without_program(monkeypatch, tmp_path)

    assert isinstance(find_ocr("eng"), TesseractLibrary)
    assert isinstance(find_ocr("deu"), TesseractProgram)
    assert find_ocr("deu+eng") is None


def test_both_read_the_same(program: str, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = make_picture("Rate 7.5 percent in the North")
    by_program = parse("a.png", picture, ReadingLimits(), find_ocr("eng"))
    without_program(monkeypatch, Path(program).parent / "nowhere")
    by_package = parse("a.png", picture, ReadingLimits(), find_ocr("eng"))

    assert texts(by_program) == texts(by_package) == ["Rate 7.5 percent in the North"]
    assert by_program.reader != by_package.reader


async def test_the_worker_uses_the_program_and_leaves_no_picture_behind(
    program: str, make_picture: MakePicture, scratch: Path
) -> None:
    del program
    async with open_reader() as reader:
        document = await reader.read("a.png", make_picture("Rate 7.5 percent"))
        assert "tesseract 5" in document.reader
        assert await reader.signature("b.png") == document.reader
        (own,) = inside(scratch)
        assert modes(own) == 0o700
        assert inside(own) == []

    assert inside(scratch) == []


async def test_on_time_out_the_program_ends_with_its_worker(
    program: str, make_noise: Callable[[], bytes], scratch: Path
) -> None:
    del program
    async with open_reader(replace(ReadingLimits(), seconds_max=2)) as reader:
        with pytest.raises(Refused) as refused:
            await reader.read("a.png", make_noise())

        assert refused.value.problems[0].code is Code.DOCUMENT_TOO_SLOW
        await nothing_is_left_in(scratch)


async def test_cancelled_the_program_ends_with_its_worker(
    program: str, make_noise: Callable[[], bytes], scratch: Path
) -> None:
    del program
    async with open_reader() as reader, anyio.create_task_group() as group:
        group.start_soon(reader.read, "a.png", make_noise())
        with anyio.fail_after(30):
            while not running(scratch):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()

    await nothing_is_left_in(scratch)


def inside(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def modes(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def nothing_is_left_in(scratch: Path) -> None:
    """No files at once, and no process as soon as the system has ended it."""
    assert inside(scratch) == []
    with anyio.fail_after(30):
        while running(scratch):
            await anyio.sleep(0.01)


@pytest.fixture
def make_noise() -> Callable[[], bytes]:
    """A picture full of specks, which takes OCR a long time."""

    def noise() -> bytes:
        side = 2500
        specks = random.Random(1).randbytes(side * side)  # noqa: S311 - the same picture each time
        target = io.BytesIO()
        Image.frombytes("L", (side, side), specks).save(target, "PNG")
        return target.getvalue()

    return noise


def running(scratch: Path) -> list[psutil.Process]:
    """The OCR programs that read pictures of workers whose directories are here."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        alive = process.info["name"] == "tesseract" and process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and str(scratch) in " ".join(process.info["cmdline"] or ()):
            found.append(process)
    return found
