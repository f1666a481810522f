"""Text to the words that are searched for: folded, stemmed, numbers in one form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import Stemmer

_ALGORITHMS = {  # ISO 639-1 to Snowball's names
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "sv": "swedish",
    "tr": "turkish",
}
DEFAULT_LANGUAGE = "en"
_CACHED_WORDS = 200_000
_WORD_LENGTH_MAX = 64  # beyond it, no word that a person types

# Scripts written without spaces: a run of them is cut into pairs of neighbours.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\u0e00-\u0e7f"
_TOKEN = re.compile(
    r"(?P<number>(?<!\w)(?a:\d+(?:[.,]\d+)*)(?!\w))"
    rf"|(?P<run>[{_UNSPACED}]+)"
    rf"|(?P<word>(?<![^\W{_UNSPACED}_])(?!(?<=[^\W_]['\u2019])(?:s|t|d|m|re|ll|ve)\b)[^\W{_UNSPACED}_]+)"
)
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")
_LETTERS = re.compile(r"[^\W\d_]+")
_WITH_FIGURES = re.compile(r"(?<![^\W_])[^\W\d_]*+\d[^\W_]*(?:[.,]\d+)*")
_GROUP = 3

_STOP_WORDS = """
a an and are as at be but by can could did do does for from had has have how i if in into is it its me my no not of
on or our shall should so such that the their them then there these they this those to was we were what when where
which who whom why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English words that say nothing of what a text is about; neither indexed nor searched."""


class _Stems(Protocol):
    def __call__(self, word: str) -> str: ...


def words(text: str, language: str = DEFAULT_LANGUAGE) -> Iterator[tuple[str, bool]]:
    """The words of a text in reading order, each with whether it is a number.

    Words are compared without case and accents and by their stem; ``1,577.50``, ``1.577,50`` and ``1577.5`` are one
    number; Chinese, Japanese and Thai are searched by pairs of characters.
    """
    stem = stems(language)
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match.lastgroup == "number":
            yield plain_number(token), True
        elif match.lastgroup == "run":
            for pair in _pairs(token):
                yield pair, False
        elif (folded := fold(token)) not in STOP_WORDS:
            yield stem(folded), False


def said(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """What a text says, for comparing it with another: its words, and all that has figures in it, in its order.

    Words are as they are written, but for case: quicker than `words`, which is for finding.
    """
    if _UNSPACED_RUN.search(text):
        told = list(words(text))
        return frozenset(word for word, number in told if not number), tuple(word for word, number in told if number)
    folded = text.lower()
    return frozenset(_LETTERS.findall(folded)), tuple(map(plain_number, _WITH_FIGURES.findall(folded)))


@lru_cache(maxsize=64)
def stems(language: str) -> _Stems:
    """The stemmer of a language, English where there is none for it."""
    library: Any = Stemmer
    stemmer = library.Stemmer(_ALGORITHMS.get(language, _ALGORITHMS[DEFAULT_LANGUAGE]))
    stemmer.maxCacheSize = 0  # the cache below is quicker

    @lru_cache(maxsize=_CACHED_WORDS)
    def stem(word: str) -> str:
        return stemmer.stemWord(word[:_WORD_LENGTH_MAX])

    return stem


def fold(word: str) -> str:
    """Without case and accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def plain_number(token: str) -> str:
    """A number without separators of thousands and without zeros that say nothing: ``7.50`` is ``7.5``.

    One dot before three digits is a decimal point, one comma there separates thousands; where both occur, the last is
    the decimal mark.
    """
    marks = [character for character in token if character in ".,"]
    if not marks:
        return token
    last = marks[-1]
    whole, _, part = token.rpartition(last)
    if marks.count(last) > 1 or (last == "," and len(marks) == 1 and len(part) == _GROUP):
        grouped = all(len(group) == _GROUP for group in re.split("[.,]", token)[1:])
        return token.replace(",", "").replace(".", "") if grouped else token
    whole, part = whole.replace(",", "").replace(".", ""), part.rstrip("0")
    return f"{whole}.{part}" if part else whole


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for start in range(len(run) - 1):
        yield run[start : start + 2]
