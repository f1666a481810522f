"""The words in a file's name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_QUARTER_AFTER_YEAR = re.compile(r"((?:19|20)\d\d)(?=[QHqh][1-4])")
_SEPARATORS = re.compile(r"[_\s.-]+")
_DATE = re.compile(r"((?:19|20)\d\d)[-_](\d\d)[-_](\d\d)(?!\d)")


def spaced_name(name: str) -> str:
    """A file's name as words: ``AMCOR_2023Q2_10Q.pdf`` as ``AMCOR 2023 Q2 10Q``; dates stay whole."""
    stem = PurePosixPath(name).stem
    dates = [match[0] for match in _DATE.finditer(stem)]
    words = _SEPARATORS.sub(" ", _QUARTER_AFTER_YEAR.sub(r"\1 ", _DATE.sub("\0", stem))).strip()
    for stated in dates:
        words = words.replace("\0", stated, 1)
    return words or stem
