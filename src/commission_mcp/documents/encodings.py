"""Text from bytes whose encoding nobody stated."""

from __future__ import annotations

import codecs
import re

from commission_mcp.documents.refusals import wrong_type

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 1 << 20
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_CENTRAL_SIGN = re.compile(rb"(?<=[A-Za-z\xc0-\xff])[\xa3\xa5\xb3\xb9\xbf](?=[A-Za-z\xc0-\xff])")
_CENTRAL_LETTER = re.compile(
    rb"[\x8a\x8d-\x8f\x9a\x9d-\x9f](?=[A-Za-z\xc0-\xff])|(?<=[a-z\xe0-\xff])[\x9a\x9d-\x9f]"
    rb"|[\x8c\x9c](?=[A-Za-z\xc0-\xff])(?![UIDTuidt])"  # where French has its oe: coeur, oeil, foetus
)
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_WIDE = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]")
_KANA = re.compile("[\u3040-\u30ff]")


def decoded_text(content: bytes) -> tuple[str, str]:
    """The text of a file and the encoding that it was taken to be in.

    UTF-8 and whatever a byte order mark says are certain. The rest is told by the pattern of its bytes: UTF-16 without
    a mark has zeros at every second place, East Asian double-byte encodings have their high bytes side by side,
    Western European text has them alone between letters.

    Raises:
        Refused: It is no text.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding.removesuffix("-sig")
    guess = _utf16(content[:4096])
    if guess is not None:
        return content.decode(guess, "replace"), guess
    if len(_CONTROL.findall(content[:_SAMPLE_BYTES])) * 20 > len(content[:_SAMPLE_BYTES]) or b"\0" in content:
        raise wrong_type("The file is named as text, but it holds binary data.", "Give it the ending of what it is.")
    for encoding in ("utf-8", _by_pattern(content)):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return content.decode("cp1252", "replace"), "cp1252"


def _utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: in most text one of the two bytes of a character is mostly 0."""
    half = max(1, len(head) // 2)
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd * 10 > half * 4 and even * 20 <= half:
        return "utf-16-le"
    return "utf-16-be" if even * 10 > half * 4 and odd * 20 <= half else None


def _by_pattern(content: bytes) -> str:
    runs = _HIGH_RUN.findall(content[:_SAMPLE_BYTES])
    high = sum(map(len, runs))
    together = sum(len(run) for run in runs if len(run) > 1)
    if together * 10 < high * 4:
        return "cp1250" if _reads_central_european(content[:_SAMPLE_BYTES], high) else "cp1252"
    for encoding in ("cp932", "euc_jp", "gb18030"):
        if _fits(content, encoding):
            return encoding
    letters = sum(byte >= 0xC0 for run in runs for byte in run)  # noqa: PLR2004 - where cp1251 keeps its letters
    return "cp1251" if letters * 10 >= high * 9 and together * 10 >= high * 8 else "cp1252"


def _reads_central_european(content: bytes, high: int) -> bool:
    """Whether letters stand where Western European text has signs that are never inside words: Polish, Czech ...

    Hungarian and others whose letters have their Western likenesses in the same places are read as cp1252, where the
    accents that differ are of no account in searching.
    """
    inside = len(_CENTRAL_SIGN.findall(content)) + len(_CENTRAL_LETTER.findall(content))
    return inside * 12 >= high


def _fits(content: bytes, encoding: str) -> bool:
    """Whether text in this encoding reads like East Asian text, as opposed to merely decoding."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return False
    foreign = sum(char > "\x7f" for char in text)
    wide, half = len(_WIDE.findall(text)), len(_HALF_WIDTH.findall(text))
    likely = wide * 10 >= foreign * 8 and half * 5 <= foreign
    return likely and (encoding != "euc_jp" or _KANA.search(text) is not None)
