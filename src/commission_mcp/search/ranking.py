"""Finding passages: the one way from a question to ranked passages, for tools and benchmarks alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from commission_mcp.documents.model import Chunk
from commission_mcp.search.corpus import Corpus
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.filters import Filters
from commission_mcp.search.fusion import POOL, best, fused
from commission_mcp.search.lexical import inverse_frequencies, mean_length
from commission_mcp.search.lexicon import Lexicon
from commission_mcp.search.question import Question, understand
from commission_mcp.search.routing import affinities
from commission_mcp.search.words import said

ROUTING_WEIGHT = 0.6
"""What a document that answers to everything a question names is given on top of a passage's score of 0 to 1."""

IMPLIED_WEIGHT = 0.5
"""What the meaning of the lexicon's additions counts against that of the question."""

_ROUTED_MIN = 0.5  # of the best affinity: whose passages are candidates even if others crowd them out
_ALIKE_MIN = 0.9  # of the words of two passages with the same numbers: they say the same

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Why:
    """What speaks for a passage.

    Attributes:
        words: Words of the question and of the lexicon that stand in it, by what they add, highest first.
        lexical: Its BM25 score.
        cosine: Of its vector to the question's; None without vectors.
        routing: How much of what the question names its document is known by, 0 to 1.
    """

    words: tuple[str, ...]
    lexical: float
    cosine: float | None
    routing: float


@dataclass(frozen=True, slots=True)
class Place:
    """A passage among the corpora: of which, of which of its documents, and itself."""

    corpus: int
    document: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        place: Where it is.
        score: Higher is better; comparable within one ranking only.
        why: What speaks for it.
        alike: Where else the same is said; those are no hits of their own.
    """

    place: Place
    score: float
    why: Why
    alike: tuple[Place, ...] = ()


def rank(
    question: str,
    corpora: Sequence[Corpus],
    embedder: Embedder | None,
    lexicon: Lexicon,
    *,
    limit: int,
    filters: Filters | None = None,
) -> list[Hit]:
    """The passages that answer a question best, best first; blocks for some milliseconds, so call it in a worker.

    Words and meaning are scored over all corpora as if they were one. A corpus whose vectors are missing, or of another
    model than the embedder's, is searched by words.

    Args:
        question: As it was asked.
        corpora: The collections to search, of one client.
        embedder: The model; None while there is none.
        lexicon: The domain's words.
        limit: How many hits at most.
        filters: Which documents are searched; all by default.
    """
    languages = frozenset[str]().union(*(corpus.languages for corpus in corpora))
    asked = understand(question, lexicon, languages)
    vector = question_vector(asked, embedder) if embedder is not None else None
    search = _Search(corpora, asked, vector, embedder.identity if embedder is not None else "", filters or Filters())
    return list(search.hits(limit))


def question_vector(question: Question, embedder: Embedder) -> Vectors:
    """Where a question, and what the lexicon adds to it, stands among the passages; of unit length."""
    if not question.implied:
        return embedder.embed([question.text])[0]
    asked, implied = embedder.embed([question.text, question.implied])
    together = asked + np.float32(IMPLIED_WEIGHT) * implied
    return together / np.linalg.norm(together)


class _Search:
    """One search: scores over all corpora, candidates, hits."""

    def __init__(
        self, corpora: Sequence[Corpus], question: Question, vector: Vectors | None, model: str, filters: Filters
    ) -> None:
        self._corpora = corpora
        self._vector = vector
        self._meant = [vector is not None and corpus.model == model for corpus in corpora]
        indices = [corpus.lexical for corpus in corpora]
        idf = inverse_frequencies(indices, question.terms)
        self._weights = {term: value * question.terms[term] for term, value in idf.items()}
        mean = mean_length(indices)
        self._lexical = [index.scores(self._weights, mean) for index in indices]
        self._routing = affinities(question, [corpus.router for corpus in corpora])
        self._admitted = [_admitted(corpus, filters) for corpus in corpora]

    def hits(self, limit: int) -> Iterator[Hit]:
        """The best, those that say the same as one before left out."""
        candidates = [self._candidates(number) for number in range(len(self._corpora))]
        numbers = np.repeat(np.arange(len(candidates)), [len(rows) for rows in candidates])
        rows = np.concatenate(candidates) if candidates else np.empty(0, np.int64)
        scores = self._scored(candidates)
        order = np.lexsort((rows, numbers, -scores))
        kept: list[tuple[Hit, _Said]] = []
        for position in order:
            number, row = int(numbers[position]), int(rows[position])
            hit = self._hit(number, row, float(scores[position]))
            said = _Said.by(hit.place.chunk.text)
            twin = next((at for at, (_, other) in enumerate(kept) if said.is_like(other)), None)
            if twin is not None:
                first, words_said = kept[twin]
                kept[twin] = (Hit(first.place, first.score, first.why, (*first.alike, hit.place)), words_said)
            elif len(kept) < limit:
                kept.append((hit, said))
            else:
                break
        yield from (hit for hit, _ in kept)

    def _candidates(self, number: int) -> Rows:
        """The rows of a corpus that the words, the meaning, or what the question names propose."""
        admitted = self._admitted[number]
        everything = np.arange(self._corpora[number].size) if admitted is None else np.flatnonzero(admitted)
        groups = [everything, self._routed(number, everything)]
        proposed = [self._by_words(number, rows) for rows in groups]
        if self._meant[number]:
            proposed += [self._by_meaning(number, rows) for rows in groups]
        return np.unique(np.concatenate(proposed))

    def _routed(self, number: int, rows: Rows) -> Rows:
        highest = max((float(values.max(initial=0)) for values in self._routing), default=0.0)
        if highest <= 0:
            return rows[:0]
        chosen = self._routing[number] >= _ROUTED_MIN * highest
        return rows[chosen[self._corpora[number].document_of[rows]]]

    def _by_words(self, number: int, rows: Rows) -> Rows:
        scores = self._lexical[number][rows]
        found = rows[best(scores, POOL)]
        return found[self._lexical[number][found] > 0]

    def _by_meaning(self, number: int, rows: Rows) -> Rows:
        dense = self._corpora[number].dense
        if dense is None or self._vector is None:
            return rows[:0]
        if len(rows) == self._corpora[number].size:
            return dense.nearest(self._vector, POOL)
        return rows[best(dense.cosines(self._vector, rows), POOL)]

    def _scored(self, candidates: Sequence[Rows]) -> Scores:
        lexical = _joined([scores[rows] for scores, rows in zip(self._lexical, candidates, strict=True)])
        routing = _joined(
            [
                values[corpus.document_of[rows]]
                for corpus, values, rows in zip(self._corpora, self._routing, candidates, strict=True)
            ]
        )
        scores = fused(lexical, None)
        meant = np.repeat(self._meant, [len(rows) for rows in candidates])
        if meant.any():
            cosines = _joined(
                [self._cosines(number, rows) for number, rows in enumerate(candidates) if self._meant[number]]
            )
            scores[meant] = fused(lexical[meant], cosines)
        return (scores + np.float32(ROUTING_WEIGHT) * routing).astype(np.float32)

    def _cosines(self, number: int, rows: Rows) -> Scores:
        dense = self._corpora[number].dense
        if dense is None or self._vector is None:
            return np.zeros(len(rows), np.float32)
        return dense.cosines(self._vector, rows)

    def _hit(self, number: int, row: int, score: float) -> Hit:
        corpus = self._corpora[number]
        document = int(corpus.document_of[row])
        chunk = corpus.chunk(row)
        by_weight = sorted(self._weights.items(), key=lambda entry: -entry[1])
        why = Why(
            tuple(term for term, _ in by_weight if corpus.lexical.holds(term, row)),
            float(self._lexical[number][row]),
            float(self._cosines(number, np.array([row]))[0]) if self._meant[number] else None,
            float(self._routing[number][document]),
        )
        return Hit(Place(number, document, chunk), score, why)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a passage says, to be compared with another: its words, and its numbers in their order."""

    words: frozenset[str]
    numbers: tuple[str, ...]

    @classmethod
    def by(cls, text: str) -> _Said:
        return cls(*said(text))

    def is_like(self, other: _Said) -> bool:
        """Whether they say the same: one rate more or less is a difference."""
        fewer, more = sorted((len(self.words), len(other.words)))
        if self.numbers != other.numbers or fewer < _ALIKE_MIN * more:
            return False
        return len(self.words & other.words) >= _ALIKE_MIN * len(self.words | other.words)


def _admitted(corpus: Corpus, filters: Filters) -> npt.NDArray[np.bool_] | None:
    """The rows that filters let through; None when they let all through."""
    if filters == Filters():
        return None
    documents = np.array([filters.admit(listed) for listed in corpus.documents], bool)
    return documents[corpus.document_of]


def _joined(parts: Sequence[Scores]) -> Scores:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
