from __future__ import annotations

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.search.lexicon import Lexicon, OwnLexicon, Term, built_in, parse_lexicon, stemmed

BASE = Lexicon([Term(("bonus", "premium"), ("award",)), Term(("quota",))])


def said(lexicon: Lexicon, text: str) -> list[tuple[str, ...]]:
    return [term.says for term, _ in lexicon.found_in(stemmed(text))]


def test_a_term_is_found_by_its_stems() -> None:
    assert said(BASE, "Which BONUSES and quotas?") == [("bonus", "premium"), ("quota",)]
    assert said(BASE, "award") == []  # what it means is no name for it


def test_a_longer_phrase_hides_those_inside_it() -> None:
    """A quick ratio is no ratio of something quick."""
    lexicon = Lexicon([Term(("gross margin",)), Term(("margin",))])

    assert said(lexicon, "gross margin") == [("gross margin",)]
    assert said(lexicon, "gross margin and margin") == [("gross margin",), ("margin",)]


def test_a_client_s_terms_take_the_place_of_ours() -> None:
    own = parse_lexicon('[[term]]\nsays = ["Premium", "Zulage"]\n')

    assert said(BASE.with_own(own), "the premium") == [("Premium", "Zulage")]
    assert said(BASE.with_own(own), "the bonus") == []
    assert said(BASE.with_own(own), "the quota") == [("quota",)]


def test_a_client_can_leave_ours_out() -> None:
    own = parse_lexicon('replace = true\n[[term]]\nsays = ["Zulage"]\n')

    assert own == OwnLexicon((Term(("Zulage",)),), replace=True)
    assert said(BASE.with_own(own), "quota Zulage") == [("Zulage",)]


@pytest.mark.parametrize(
    "content",
    [
        "not toml",
        "[[term]]\nmeans = ['no name']\n",
        "[[term]]\nsays = []\n",
        "[[term]]\nsays = 'one string'\n",
        "[[term]]\nsays = ['a']\nmean = ['a slip']\n",
        "surprise = 1\n",
        "x = " + "[" * 5_000,
        "#" * 300_000,
    ],
)
def test_what_is_not_of_the_form_is_refused(content: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_lexicon(content)

    assert {problem.code for problem in refusal.value.problems} == {Code.LEXICON}


def test_all_problems_of_a_lexicon_are_named_at_once() -> None:
    with pytest.raises(Refused) as refusal:
        parse_lexicon("[[term]]\nsays = []\n[[term]]\nmeans = ['x']\n")

    assert [problem.path for problem in refusal.value.problems] == [
        ".lexicon.toml: term.0.says",
        ".lexicon.toml: term.1.says",
    ]


def test_the_built_in_lexicon_names_nothing_twice() -> None:
    """A phrase of two terms would mean both, which nobody intends."""
    phrases = [stemmed(phrase) for term in built_in().terms for phrase in dict.fromkeys(map(stemmed_text, term.says))]

    assert sorted({phrase for phrase in phrases if phrases.count(phrase) > 1}) == []
    assert all(phrases)


def stemmed_text(phrase: str) -> str:
    return " ".join(stemmed(phrase))
