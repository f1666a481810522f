"""BM25 as its formula says, over one index or several."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest

from commission_mcp.search.lexical import (
    HEADER_REPEATS,
    K1,
    B,
    LexicalIndex,
    Passage,
    build_lexical,
    inverse_frequencies,
    mean_length,
)
from commission_mcp.search.words import words

PASSAGES = [
    Passage("Plan", "Bonus bonus rate 7.5 10 12 14 16"),
    Passage("Plan", "The rate of the North"),
    Passage("", "An accelerator pays a higher rate above quota; the bonus is capped"),
    Passage("Draws", ""),
]


def by_formula(passages: list[Passage], term: str) -> list[float]:
    """The score of each passage for one term, written as in the paper."""
    bags = [Counter(w for w, _ in words(p.text)) + _times(p.header) for p in passages]
    lengths = [
        sum(not n for _, n in words(p.text)) + HEADER_REPEATS * sum(not n for _, n in words(p.header)) for p in passages
    ]
    holding = sum(term in bag for bag in bags)
    idf = log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
    mean = sum(lengths) / len(lengths)
    return [
        idf * bag[term] / (bag[term] + K1 * (1 - B + B * length / mean))
        for bag, length in zip(bags, lengths, strict=True)
    ]


def _times(header: str) -> Counter[str]:
    return Counter({word: count * HEADER_REPEATS for word, count in Counter(w for w, _ in words(header)).items()})


def scores(indices: list[LexicalIndex], *terms: str) -> list[float]:
    idf = inverse_frequencies(indices, terms)
    mean = mean_length(indices)
    return [float(score) for index in indices for score in index.scores(idf, mean)]


@pytest.mark.parametrize("term", ["rate", "bonus", "plan", "7.5", "quota"])
def test_scores_are_those_of_the_formula(term: str) -> None:
    assert scores([build_lexical(PASSAGES)], term) == pytest.approx(by_formula(PASSAGES, term), rel=1e-5)


@pytest.mark.parametrize("cut", [0, 1, 2, 4])
def test_two_indices_score_as_one(cut: int) -> None:
    """A client's documents and the shared ones are ranked together, whatever lies where."""
    apart = [build_lexical(PASSAGES[:cut]), build_lexical(PASSAGES[cut:])]

    assert scores(apart, "rate", "bonus") == pytest.approx(scores([build_lexical(PASSAGES)], "rate", "bonus"), rel=1e-5)


def test_numbers_are_found_but_do_not_make_a_passage_longer() -> None:
    """A row of a table is not ranked below prose for its figures."""
    figures = " ".join(str(number) for number in range(1000, 1200))
    index = build_lexical([Passage("", "commission rate"), Passage("", f"commission rate {figures}")])

    assert scores([index], "rate")[0] == scores([index], "rate")[1]
    assert scores([index], "1100")[1] > 0


def test_an_unknown_term_and_an_empty_index_score_nothing() -> None:
    assert scores([build_lexical(PASSAGES)], "nowhere") == [0, 0, 0, 0]
    assert scores([build_lexical([])], "rate") == []


def test_an_index_is_the_same_after_a_file() -> None:
    index = build_lexical(PASSAGES)
    again = LexicalIndex.from_bytes(index.to_bytes())

    assert scores([again], "rate", "bonus", "plan") == scores([index], "rate", "bonus", "plan")
    assert LexicalIndex.from_bytes(build_lexical([]).to_bytes()).size == 0


def test_what_is_no_index_is_refused() -> None:
    """Cut short, changed, or a pickle: never executed, never half read."""
    content = build_lexical(PASSAGES).to_bytes()
    pickled = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94."
    for damaged in (b"", b"PK", content[:-30], content[: len(content) // 2], pickled, b"\x93NUMPY" + content):
        with pytest.raises(ValueError, match="not a lexical index"):
            LexicalIndex.from_bytes(damaged)


def test_postings_that_lead_outside_are_refused() -> None:
    index = build_lexical(PASSAGES)
    far = LexicalIndex(index.size, index.terms, index.starts, index.rows + 9, index.counts, index.lengths)
    with pytest.raises(ValueError, match="not a lexical index"):
        LexicalIndex.from_bytes(far.to_bytes())


def test_weights_of_terms_count() -> None:
    index = build_lexical(PASSAGES)
    single = index.scores({"rate": 1.0}, mean_length([index]))
    double = index.scores({"rate": 2.0}, mean_length([index]))

    np.testing.assert_allclose(double, 2 * single)
