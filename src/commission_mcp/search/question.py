"""What a question asks for, without how it wants to be answered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from commission_mcp.search.lexicon import Lexicon, Term, stemmed
from commission_mcp.search.words import STOP_WORDS, fold, words

LENGTH_MAX = 4_000
"""Characters of a question that are read."""

SYNONYM_WEIGHT = 0.6
"""What a word of the lexicon weighs against a word of the question."""

_NAME_WORDS_MAX = 5
_CENTURY = 2_000
_PIVOT = 70  # FY69 is 2069, FY70 is 1970

_FISCAL = re.compile(r"\b(?:FY|fiscal(?:\s+year)?|financial\s+year)\s*['\u2019]?\s*(\d{4}|\d{2})(?!\d)", re.IGNORECASE)
_JOINED = re.compile(r"(?<![a-z])((?:19|20)\d\d)[\s_-]*(Q[1-4]|[1-4]Q)\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d.,$\u20ac\u00a3])((?:19|20)\d\d)(?![\d%])(?![.,]\d)")
_QUARTER = re.compile(
    r"\b(?:Q\s?([1-4])|([1-4])Q|(first|second|third|fourth|1st|2nd|3rd|4th)[\s-]+(?:fiscal\s+)?quarter|quarter\s+([1-4]))\b",
    re.IGNORECASE,
)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}

# How to answer, which says nothing of where the answer stands.
_UNITS = re.compile(
    r"\(?\b(?:expressed |stated |answer(?:ed)? )?in\s+"
    r"(?:(?:USD|EUR|GBP|JPY|CHF|US|U\.S\.)?\s*(?:dollars?|euros?)?\s*\$?\s*)?"
    r"(?:thousand|million|billion)s?\b(?:\s+of\s+(?:dollars|euros))?\)?",
    re.IGNORECASE,
)
_REMARKS = (
    re.compile(
        r"(?:(?:^|(?<=[.?!]))\s*|\band\s+)(?:please\s+)?round\s+(?:your|the|to|it|off|up|down)\b[^.?!]*(?:[.?!]|$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\brounded\s+to\s+(?:the\s+nearest\s+\w+|\w+\s+(?:decimal|digit|place)s?(?:\s+places?)?)", re.IGNORECASE
    ),
    re.compile(
        r"(?:^|(?<=[.?!]))\s*(?:and\s+)?if\b[^.?!]*\bnot\b[^.?!]*\b(?:metric|measure|useful|relevant|meaningful|asked?|ask)\b"
        r"[^.?!]*[.?!]?",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:^|(?<=[.?!]))\s*(?:please\s+)?(?:answer|reply|respond|give (?:me )?(?:the|an|your) answer)\s+"
        r"(?:in|with|as|to)\b[^.?!]*(?:[.?!]|$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:^|(?<=[.?!]))\s*(?:assume|imagine|suppose|pretend)(?:\s+that)?\s+you(?:\s+are|['\u2019]re)\b[^.?!]*[.?!]",
        re.IGNORECASE,
    ),
)
_INSTRUCTS = re.compile(
    r"\b(?:answer|respond|response|judg(?:e)?ments?|perspective|resources?|access|"
    r"(?:information|details?|data)\s+(?:that\s+(?:is|are)\s+)?(?:\w+ly\s+)*"
    r"(?:shown|provided|outlined|stated|detailed|found|presented|available|within|from|in))\b|"
    r"\b(?:referencing|relying|utilizing|utilising)\b",
    re.IGNORECASE,
)
_INSTRUCTING_WORDS = """
access address analyst answer approximate approximation assume assuming available base based basing calculate clear
compute conclusion conclusions consider considering detail detailed details drawing draw exact extract equities
following found give given here information investment banker judgement judgements judgment judgments look metric
need number only outlined perspective plainly please possible presented primarily primary provide provided public
question reasonable refer reference referencing rely relying respond response resource resources shown show solely
stated taking account take use using utilising utilizing utilise utilize within
"""
_INSTRUCTING = frozenset(_INSTRUCTING_WORDS.split())
_ACRONYM = re.compile(r"(?<![^\W_])[A-Z]{3,5}(?![^\W_])")
_SENTENCE = re.compile(r"(?<=[.?!:])\s+")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, understood as far as finding needs it.

    Attributes:
        text: It in its own words, without remarks on the form of the answer.
        terms: Its stems with their weights: 1 for a word of the question, less for what the lexicon adds.
        implied: What stands in documents where the answer is, by the lexicon; empty when it knows nothing.
        years: Calendar and fiscal years in it.
        quarters: Quarters in it, 1 to 4.
        fiscal: Whether it speaks of a fiscal year as a whole.
        names: Its words and runs of up to five words, joined without spaces: ``bestbuy``.
        acronyms: Its words of three to five capitals: ``jpm``.
    """

    text: str
    terms: Mapping[str, float]
    implied: str
    years: tuple[int, ...]
    quarters: tuple[int, ...]
    fiscal: bool
    names: frozenset[str]
    acronyms: frozenset[str]


def understand(question: str, lexicon: Lexicon, languages: Iterable[str] = ()) -> Question:
    """Read a question.

    Args:
        question: As it was asked.
        lexicon: The domain's words.
        languages: Languages of the documents, ISO 639-1; English is always among them.
    """
    plain = " ".join(question[:LENGTH_MAX].split())
    fiscal = _FISCAL.search(plain) is not None
    plain = _years_written_out(plain)
    text = without_remarks(plain)
    stems = stemmed(text)
    told = lexicon.found_in(stems)
    quarters = _quarters(text)
    return Question(
        text=text,
        terms=_weights(text, told, languages),
        implied="; ".join(dict.fromkeys(phrase for term, _ in told for phrase in (*term.means, *term.says[:2]))),
        years=tuple(dict.fromkeys(int(year) for year in _YEAR.findall(text))),
        quarters=quarters,
        fiscal=fiscal and not quarters,
        names=joined_names(text),
        acronyms=frozenset(map(fold, _ACRONYM.findall(text))),
    )


def without_remarks(question: str) -> str:
    """The question without how to answer it: units, rounding, roles to play, what to do if it makes no sense."""
    text = " ".join(question.split())  # so that no pattern below meets long runs of spaces, which cost it much time
    for remark in (*_REMARKS, _UNITS):
        text = remark.sub(" ", text)
    sentences = [_without_instructions(sentence) for sentence in _SENTENCE.split(text)]
    cleaned = " ".join(" ".join(sentence.split()) for sentence in sentences if sentence.strip())
    return cleaned or " ".join(question.split())


def joined_names(text: str) -> frozenset[str]:
    """Words and runs of words, joined, as names are written in one; ``and`` may be left out."""
    plain = [fold(word) for word in re.findall(r"[^\W_]+", re.sub(r"['\u2019]s\b", "", text).replace("&", " and "))]
    runs = range(1, _NAME_WORDS_MAX + 1)
    spoken = (plain, [word for word in plain if word != "and"])
    return frozenset(
        "".join(some[at : at + run]) for some in spoken for run in runs for at in range(len(some) - run + 1)
    )


def _years_written_out(text: str) -> str:
    """``FY18`` and ``fiscal 2018`` as ``2018``; ``2023Q1`` as ``2023 Q1``."""
    text = re.sub(r"\b(FY\s?\d{2,4})(Q[1-4])\b", r"\1 \2", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(Q[1-4])(FY\s?\d{2,4})\b", r"\1 \2", text, flags=re.IGNORECASE)
    return _JOINED.sub(r"\1 \2", _FISCAL.sub(lambda match: str(_year(match[1])), text))


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:  # noqa: PLR2004 - four digits
        return year
    return year + (_CENTURY if year < _PIVOT else _CENTURY - 100)


def _quarters(text: str) -> tuple[int, ...]:
    found = [next(group for group in match.groups() if group) for match in _QUARTER.finditer(text)]
    return tuple(dict.fromkeys(_ORDINALS.get(quarter.lower(), 0) or int(quarter) for quarter in found))


def _without_instructions(sentence: str) -> str:
    """A sentence that tells how to answer keeps only the words that could stand in a document."""
    if not _INSTRUCTS.search(sentence):
        return sentence
    kept: list[str] = []
    dropping = False
    for token in sentence.split():
        word = fold(token.strip("\"'()[].,;:?!\u2019"))
        dropping = word in _INSTRUCTING or (dropping and word in STOP_WORDS)
        if not dropping:
            kept.append(token)
    return " ".join(kept)


def _weights(text: str, told: Iterable[tuple[Term, tuple[str, ...]]], languages: Iterable[str]) -> dict[str, float]:
    counted = Counter(word for word, _ in words(text))
    weights: dict[str, float] = {word: float(count) for word, count in counted.items()}
    for language in languages:
        for word, _ in words(text, language):
            weights.setdefault(word, 1.0)
    for term, _ in told:
        for phrase in (*term.says, *term.means):
            for word in stemmed(phrase):
                weights.setdefault(word, SYNONYM_WEIGHT)
    return weights
