"""Companies that a document is about, with the short forms that people ask by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

ORGANISATIONS_MAX = 3
FORMS_MAX = 12
WORDS_MAX = 6
PROMINENT = 4
"""A company that is named less than one over this many times as often as the first is only mentioned."""

_SUFFIX = (
    r"Inc(?:orporated)?|Corp(?:oration)?|Company|Co|Companies|Ltd|Limited|LLC|LLP|L\.P|LP|PLC|plc|GmbH|AG|SE|KGaA|KG|S\.A|SA|"
    r"N\.V|NV|B\.V|BV|S\.p\.A|SpA|S\.r\.l|Srl|K\.K|KK|Pty|AB|ASA|Oyj|Group|Holdings?|Industries|Enterprises|Partners|"
    r"International|Technologies|Trading"
)
_WORD = r"(?:[A-Z0-9][\w'’&.-]{0,40})"
_NAMED = re.compile(
    rf"\b({_WORD}(?:[ \t]+(?:{_WORD}|&|and|of|de|und)){{0,5}}?,?[ \t]+"
    rf"(?:{_SUFFIX})\b\.?(?:,?[ \t]+(?:{_SUFFIX})\b\.?)*)"
)
_LEGAL = re.compile(
    r",?\s+(?:Inc(?:orporated)?|Corp(?:oration)?|Company|Companies|Co|Ltd|Limited|LLC|LLP|L\.P|LP|PLC|plc|GmbH|AG|SE|KGaA|KG|S\.A|SA|"
    r"N\.V|NV|B\.V|BV|S\.p\.A|SpA|S\.r\.l|Srl|K\.K|KK|Pty|AB|ASA|Oyj|and Subsidiaries)\.?$",
    re.IGNORECASE,
)
_CHARTER = re.compile(r"([^\n(]{2,80}?)\s*\n?\s*\(Exact name of registrant", re.IGNORECASE)
_NO_COMPANY = re.compile(
    r"\b(?:united states|securities and exchange|stock exchange|nasdaq|and international)\b"
    r"|\d\. |^\w+ \d{4}\b|^portions of|^acquisition of"
    r"|^(?:emerging growth|smaller reporting|shell|parent|holding|the|this|our|such)\s"
    r"(?:company|group|corporation|limited)$",
    re.IGNORECASE,
)
_IN_NAME = re.compile(r"[A-Z][A-Za-z&]+|[A-Z0-9][A-Z0-9&]+|\d[A-Z]+")
_OTHER_NAME_PART = re.compile(
    r"^(?:(?:19|20)\d\d.*|[QH][1-4].*|FY.*|\d+|10-?[KQ].*|8-?K.*|20-?F|v\d+|dated|final|draft|copy|scan(?:ned)?|annual|report|"
    r"earnings|release|plan|policy|rates?|contract|agreement|guidelines?|bonus(?:es)?|metrics|performance|commissions?|sales|"
    r"invoice|inv|minutes|notes|test|doc|document|file|data|sheet|table|page|multipage|image|the|and|for|of|q\d.*|h\d.*)$",
    re.IGNORECASE,
)
_NOT_FIRST = frozenset("the a an this our by for in of and dear to from with at on as each both all".split())


def organisations_of(name: str, title: str, properties: Mapping[str, str], opening: str) -> tuple[str, ...]:
    """Companies, most prominent first, each followed by its short forms.

    A file's name counts most where the text names a company that begins like it: ``AMERICANWATERWORKS_2020`` and
    *American Water Works Company, Inc.* are one.
    """
    token = _name_token(name)
    weights: Counter[str] = Counter()
    for text, weight in ((opening, 1), (title, 5), (properties.get("author", ""), 3)):
        for found in _named(text):
            weights[found] += weight
    charter = _CHARTER.search(opening)
    if charter is not None:
        weights[_tidy(charter[1].split("\n")[-1])] += 20
    ranked = _merged(weights)
    if ranked:
        ranked = [full for full in ranked if weights[full] * PROMINENT >= weights[ranked[0]]]
    if token:
        ranked.sort(key=lambda full: not _squashed(full).startswith(_squashed(token)[:12]))
        if not ranked or not _squashed(ranked[0]).startswith(_squashed(token)[:12]):
            ranked.insert(0, token)
    forms = (form for full in ranked[:ORGANISATIONS_MAX] for form in _forms(full, token))
    return tuple(dict.fromkeys(form for form in forms if form))[:FORMS_MAX]


def _name_token(name: str) -> str:
    """What a dated file's name says first, unless that is a word for documents or times."""
    parts = re.split(r"[_\s-]+", PurePosixPath(name).stem)
    first = parts[0] if parts else ""
    if len(parts) < 2 or _OTHER_NAME_PART.match(first) or not _IN_NAME.fullmatch(first):  # noqa: PLR2004 - a company, and what it is about
        return ""
    dated = any(re.match(r"(?:19|20)\d\d", part) for part in parts[1:])
    return first if dated else ""


def _named(text: str) -> Iterator[str]:
    for match in _NAMED.finditer(text):
        found = _tidy(match[1])
        if len(found.split()) > 1 and not _NO_COMPANY.search(found):
            yield found


def _tidy(name: str) -> str:
    words = " ".join(name.split()).strip(" ,;:").split(" ")
    while words and words[0].lower() in _NOT_FIRST:
        words.pop(0)
    return " ".join(words[-WORDS_MAX:])


def _merged(weights: Counter[str]) -> list[str]:
    """Names by weight; spellings of one company count together, under the longest."""
    groups: dict[str, Counter[str]] = {}
    for found, weight in weights.items():
        groups.setdefault(_squashed(_LEGAL.sub("", _LEGAL.sub("", found))), Counter())[found] += weight
    ranked = sorted((key for key in groups if key), key=lambda key: -sum(groups[key].values()))
    return [max(groups[key], key=lambda full: (groups[key][full], len(full))) for key in ranked]


def _forms(full: str, token: str) -> Iterator[str]:
    """A company and its short forms: without its legal form, the file's word for it, its initials."""
    yield full
    short = _LEGAL.sub("", _LEGAL.sub("", full)).strip(" ,")
    yield short
    if token and _squashed(full).startswith(_squashed(token)[:12]):
        yield token
    words = [word for word in re.split(r"[\s-]+", short) if word[:1].isalnum() and word.lower() not in _NOT_FIRST]
    if len(words) > 2:  # noqa: PLR2004 - two letters are anything
        yield "".join(word[0] for word in words).upper()


def _squashed(name: str) -> str:
    return re.sub(r"\W+", "", name).casefold()
