"""Which documents a question is about: by the companies, years, quarters and kinds of documents that it names.

Other words of titles lead nowhere here: they stand in the headers of passages, and counting them twice cost hits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from commission_mcp.documents.model import Facts
from commission_mcp.search.question import Question
from commission_mcp.search.words import fold

ORGANISATION, YEAR, QUARTER, KIND = "organisation", "year", "quarter", "kind"
_IMPORTANCE = {ORGANISATION: 1.0, YEAR: 0.6, QUARTER: 0.5, KIND: 0.3}
_LATER_YEAR = 0.5  # what a document's second and further years weigh against its first, and earlier ones of a question
_ENOUGH = 1.0  # what a question has to name for a full boost

_LEGAL = """
inc incorporated corp corporation co company companies ltd limited llc llp lp plc gmbh ag se kg sa sarl nv bv spa
srl ab as oy oyj kk pte pty holding holdings group the and
"""
_LEGAL_FORMS = frozenset(_LEGAL.split())
_REPORTS = frozenset({"annual", "quarterly", "current", "earnings"})
_LABEL_WORDS = frozenset({"form", "filed", "dated", "for", "of", "fy", "report", "earnings", "exhibit", "final"})
_ALIAS_LENGTH_MIN = 2
_SPLIT = re.compile(r"[\s_./\\()\[\]\-,;:]+")
_NAME_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
_NAME_QUARTER = re.compile(r"(?<![A-Za-z])(?:Q\s?([1-4])|([1-4])Q)(?!\d)", re.IGNORECASE)
# The names of `Facts.category`, and kinds of reports within one of them.
_KINDS = (
    ("annual", re.compile(r"\b10-?k\b|\b20-?f\b|\bannual report\b|\bgesch\u00e4ftsbericht\b", re.IGNORECASE)),
    ("quarterly", re.compile(r"\b10-?q\b|\bquarterly report\b|\binterim report\b", re.IGNORECASE)),
    ("current", re.compile(r"\b8-?k\b|\bcurrent report\b", re.IGNORECASE)),
    ("earnings", re.compile(r"\bearnings (?:release|call|report)\b|\bpress release\b", re.IGNORECASE)),
    ("policy", re.compile(r"\bpolic(?:y|ies)\b", re.IGNORECASE)),
    ("rates", re.compile(r"\brates?\b|\brate (?:sheet|card|table)s?\b", re.IGNORECASE)),
    ("contract", re.compile(r"\bcontracts?\b|\bagreements?\b", re.IGNORECASE)),
    ("guidelines", re.compile(r"\bguidelines?\b|\bhandbook\b|\bguide\b", re.IGNORECASE)),
    ("bonus", re.compile(r"\bbonus(?:es)?\b|\bspiff?s?\b", re.IGNORECASE)),
    ("performance", re.compile(r"\bperformance\b|\bmetrics\b|\bkpis?\b|\bscorecards?\b", re.IGNORECASE)),
    ("minutes", re.compile(r"\bminutes of\b|\bmeeting notes\b", re.IGNORECASE)),
    ("invoice", re.compile(r"\binvoices?\b|\breceipts?\b", re.IGNORECASE)),
    ("plan", re.compile(r"\b(?:commission|compensation|incentive|sales) plans?\b", re.IGNORECASE)),
)

Affinities = npt.NDArray[np.float32]
Key = tuple[str, str]
"""A class of facts and a value: ``("year", "2018")``."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a document is known by, each with how strongly, between 0 and 1."""

    weights: Mapping[Key, float]


def label_of(name: str, facts: Facts) -> Label:
    """The label of a document, from its name and its facts."""
    stem = PurePosixPath(name).stem
    spaced = re.sub(r"(?<=\d)(?=Q[1-4])", " ", " ".join(_SPLIT.split(stem)))
    text = f"{spaced} | {facts.title}"
    weights: dict[Key, float] = {}
    for alias in _aliases((*facts.organisations, _name_in_capitals(stem))):
        weights[ORGANISATION, alias] = 1.0
    years = [*_NAME_YEAR.findall(spaced), *map(str, facts.years)]
    for year in dict.fromkeys(years):
        weights[YEAR, year] = 1.0 if year == years[0] else _LATER_YEAR
    for quarter in _NAME_QUARTER.finditer(text):
        weights[QUARTER, quarter[1] or quarter[2]] = 1.0
    for kind in (*_kinds(text), facts.category):
        weights[KIND, kind] = 1.0
    return Label(weights)


def is_label(title: str, facts: Facts) -> bool:
    """Whether a title only names a company, a time and a kind of report, as in ``BESTBUY 2023 10K``."""
    left = _NAME_QUARTER.sub(" ", title)
    for kind, pattern in _KINDS:
        left = pattern.sub(" ", left) if kind in _REPORTS else left
    named = {fold(word) for organisation in facts.organisations for word in re.findall(r"[^\W_]+", organisation)}
    known = named.union(_aliases(facts.organisations), _LABEL_WORDS)
    return all(word.isdigit() or word in known for word in map(fold, re.findall(r"[^\W_]+", left)))


class Router:
    """The labels of a collection's documents, by what they hold."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self.size = len(labels)
        self.holders: dict[Key, list[tuple[int, float]]] = {}
        for number, label in enumerate(labels):
            for key, weight in label.weights.items():
                self.holders.setdefault(key, []).append((number, weight))


def affinities(question: Question, routers: Sequence[Router]) -> list[Affinities]:
    """For each document of each collection a number from 0 to 1: nothing, or all, of what the question names.

    What many documents are known by says little; what all or none are known by says nothing.
    """
    size = sum(router.size for router in routers)
    found = [np.zeros(router.size, np.float32) for router in routers]
    total = 0.0
    for key, asked in (_asked(question) | _shortened(question, routers)).items():
        holding = sum(len(router.holders.get(key, ())) for router in routers)
        if holding in {0, size}:
            continue
        weight = asked * _IMPORTANCE[key[0]] * log(1 + size / holding) / log(1 + size)
        total += weight
        for router, values in zip(routers, found, strict=True):
            for number, carried in router.holders.get(key, ()):
                values[number] += weight * carried
    return [values / np.float32(max(total, _ENOUGH)) for values in found]


def _asked(question: Question) -> dict[Key, float]:
    """What a question names."""
    asked: dict[Key, float] = {(ORGANISATION, name): 1.0 for name in question.names}
    latest = max(question.years, default=0)
    asked |= {(YEAR, str(year)): 1.0 if year == latest else _LATER_YEAR for year in question.years}
    asked |= {(QUARTER, str(quarter)): 1.0 for quarter in question.quarters}
    asked |= {(KIND, kind): 1.0 for kind in _kinds(question.text)}
    if question.fiscal:
        asked.setdefault((KIND, "annual"), 1.0)
    if question.quarters:
        asked.setdefault((KIND, "quarterly"), 1.0)
    return asked


def _shortened(question: Question, routers: Sequence[Router]) -> dict[Key, float]:
    """Companies that the question names by the first letters of their name: JPM, of JPMorgan."""
    known = {key for router in routers for key in router.holders if key[0] == ORGANISATION} if question.acronyms else ()
    return {
        key: 1.0
        for acronym in question.acronyms
        if (ORGANISATION, acronym) not in known
        for key in known
        if key[1].startswith(acronym)
    }


def _kinds(text: str) -> list[str]:
    return [kind for kind, pattern in _KINDS if pattern.search(text)]


def _name_in_capitals(stem: str) -> str:
    """The words in capitals that a file's name begins with, as in ``BESTBUY_2023_10K``: those before its year."""
    words: list[str] = []
    for part in _SPLIT.split(stem):
        if not part.isupper() or _NAME_YEAR.search(part) or _NAME_QUARTER.search(part) or _kinds(part):
            break
        words.append(part)
    return " ".join(words)


def _aliases(organisations: Iterable[str]) -> Iterable[str]:
    """The ways a company is written: in one word, without its legal form, by its initials."""
    for organisation in organisations:
        parts = [fold(part) for part in re.findall(r"[^\W_]+", organisation.replace("&", " and "))]
        core = [part for part in parts if part not in _LEGAL_FORMS]
        forms = {"".join(parts), "".join(core), "".join(part for part in parts if part != "and")}
        if len(core) > _ALIAS_LENGTH_MIN:
            forms.add("".join(part[0] for part in core))
        if len(core) == _ALIAS_LENGTH_MIN and core[0][0] == core[1][0]:
            first, second = core[0][0], core[1][0]
            forms |= {f"{first}n{second}", f"{first}and{second}"}  # Johnson & Johnson: JnJ, J&J
        yield from (form for form in sorted(forms) if len(form) >= _ALIAS_LENGTH_MIN)
