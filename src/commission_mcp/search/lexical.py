"""The words of passages, scored by BM25.

The form is Lucene's (Kamphuis et al. 2020, "Which BM25 do you mean?"): a term adds
``idf * tf / (tf + k1 * (1 - b + b * length / mean length))`` with ``idf = ln(1 + (N - n + 0.5) / (n + 0.5))``.
Two things are our own. Numbers are found but not counted in a passage's length: tables are mostly numbers, and would
otherwise rank below any prose. And several indices can be searched as one, with statistics over all of them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from commission_mcp.search.words import DEFAULT_LANGUAGE, words

K1 = 1.2
B = 0.75
HEADER_REPEATS = 2
"""How often a passage's header counts among its words."""

Scores = npt.NDArray[np.float32]
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Passage:
    """What is indexed of a passage.

    Attributes:
        header: Where it stands: title, section.
        text: Its text.
        language: ISO 639-1, for the stems; English where empty.
    """

    header: str
    text: str
    language: str = DEFAULT_LANGUAGE


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """Postings in three arrays: those of term ``i`` are at ``starts[i]:starts[i + 1]``.

    Attributes:
        size: How many passages there are.
        terms: Each term's number.
        starts: Where each term's postings begin, and the end of the last.
        rows: The passage of each posting.
        counts: How often the term occurs there.
        lengths: The length of each passage, in words.
    """

    size: int
    terms: Mapping[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float32]

    def holding(self, term: str) -> int:
        """How many passages hold a term."""
        number = self.terms.get(term)
        return 0 if number is None else int(self.starts[number + 1] - self.starts[number])

    def holds(self, term: str, row: int) -> bool:
        """Whether a passage holds a term."""
        number = self.terms.get(term)
        if number is None:
            return False
        rows = self.rows[self.starts[number] : self.starts[number + 1]]  # ascending
        at = int(np.searchsorted(rows, row))
        return at < len(rows) and int(rows[at]) == row

    def scores(self, weights: Mapping[str, float], mean_length: float) -> Scores:
        """The score of each passage for terms with these weights, idf included."""
        norms = K1 * (1 - B + B * self.lengths / np.float32(mean_length or 1))
        scores = np.zeros(self.size, np.float32)
        for term, weight in weights.items():
            number = self.terms.get(term)
            if number is None:
                continue
            at = slice(self.starts[number], self.starts[number + 1])
            rows, counts = self.rows[at], self.counts[at]
            scores[rows] += np.float32(weight) * counts / (counts + norms[rows])
        return scores

    def to_bytes(self) -> bytes:
        """The index as a file's content."""
        vocabulary = np.frombuffer("\n".join(self.terms).encode(), np.uint8)
        sink = io.BytesIO()
        np.savez(
            sink,
            format=np.array([_FORMAT]),
            vocabulary=vocabulary,
            starts=self.starts,
            rows=self.rows,
            counts=self.counts,
            lengths=self.lengths,
        )
        return sink.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> LexicalIndex:
        """The index that `to_bytes` wrote; nothing in it is executed.

        Raises:
            ValueError: when it is not one.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                read: dict[str, npt.NDArray[Any]] = {name: arrays[name] for name in arrays.files}
            vocabulary = read["vocabulary"].tobytes().decode()
            terms = {term: number for number, term in enumerate(vocabulary.split("\n"))} if vocabulary else {}
            index = cls(len(read["lengths"]), terms, read["starts"], read["rows"], read["counts"], read["lengths"])
            sound = read["format"].tolist() == [_FORMAT] and index._is_sound()
        except (KeyError, IndexError, EOFError, OSError, ValueError, zipfile.BadZipFile) as failure:
            raise ValueError("not a lexical index") from failure
        if not sound:
            raise ValueError("not a lexical index")
        return index

    def _is_sound(self) -> bool:
        """Whether no posting leads outside of the arrays."""
        return (
            len(self.starts) == len(self.terms) + 1
            and len(self.rows) == len(self.counts) == self.starts[-1]
            and self.starts[0] == 0
            and bool((np.diff(self.starts) >= 0).all())
            and (len(self.rows) == 0 or (int(self.rows.min()) >= 0 and int(self.rows.max()) < self.size))
        )


def build_lexical(passages: Iterable[Passage]) -> LexicalIndex:
    """Index passages; the first is row 0."""
    terms: dict[str, int] = {}
    headers: dict[tuple[str, str], tuple[list[int], int]] = {}
    tokens: list[list[int]] = []
    lengths: list[int] = []
    for passage in passages:
        key = (passage.header, passage.language)
        if key not in headers:
            headers[key] = _numbered(passage.header, passage.language, terms)
        header, header_words = headers[key]
        text, text_words = _numbered(passage.text, passage.language, terms)
        tokens.append(text + header * HEADER_REPEATS)
        lengths.append(text_words + header_words * HEADER_REPEATS)
    return _indexed(tokens, lengths, terms)


def inverse_frequencies(indices: Sequence[LexicalIndex], terms: Iterable[str]) -> dict[str, float]:
    """The idf of terms over all of these indices; only of those that occur."""
    total = sum(index.size for index in indices)
    found: dict[str, float] = {}
    for term in terms:
        holding = sum(index.holding(term) for index in indices)
        if holding:
            found[term] = log(1 + (total - holding + 0.5) / (holding + 0.5))
    return found


def mean_length(indices: Sequence[LexicalIndex]) -> float:
    """The mean length of a passage over all of these indices, in words."""
    total = sum(index.size for index in indices)
    return sum(float(index.lengths.sum()) for index in indices) / total if total else 0.0


def _numbered(text: str, language: str, terms: dict[str, int]) -> tuple[list[int], int]:
    """The numbers of a text's terms, new ones added, and how many of them are words."""
    numbers: list[int] = []
    counted = 0
    for word, is_number in words(text, language or DEFAULT_LANGUAGE):
        numbers.append(terms.setdefault(word, len(terms)))
        counted += not is_number
    return numbers, counted


def _indexed(tokens: Sequence[Sequence[int]], lengths: Sequence[int], terms: Mapping[str, int]) -> LexicalIndex:
    """Sort (term, row) pairs and count the equal ones."""
    size = len(tokens)
    flat = np.fromiter(chain.from_iterable(tokens), np.int64, sum(map(len, tokens)))
    rows = np.repeat(np.arange(size, dtype=np.int64), [len(row) for row in tokens])
    pairs, counts = np.unique(flat * max(size, 1) + rows, return_counts=True)
    of_term, of_row = np.divmod(pairs, max(size, 1))
    starts = np.searchsorted(of_term, np.arange(len(terms) + 1))
    return LexicalIndex(
        size,
        terms,
        starts.astype(np.int64),
        of_row.astype(np.int32),
        counts.astype(np.float32),
        np.array(lengths, np.float32),
    )
