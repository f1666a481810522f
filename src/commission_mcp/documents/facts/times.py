"""Years, quarters and dates."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date

from commission_mcp.documents.facts.names import spaced_name

YEARS_MAX = 6
DATES_MAX = 36
FIRST_YEAR, LAST_YEAR = 1990, 2049
NAMED_WEIGHT, TITLE_WEIGHT, FISCAL_WEIGHT = 1000, 100, 20

_YEAR = re.compile(
    r"(?<![\d.,$€£-])(?:(?:FY|CY|fiscal|fiscal year)\s?'?)?((?:19|20)\d\d)(?![\w%]|[.,]\d)", re.IGNORECASE
)
_SHORT_YEAR = re.compile(r"\b(?:FY|CY)\s?'?(\d\d)\b|\b[QH][1-4][\s/-]?'?(\d\d)\b", re.IGNORECASE)
_FISCAL = re.compile(
    r"(?:fiscal\s+year|financial\s+year|year|quarter(?:ly)?(?:\s+period)?|months)\s+end(?:ed|ing)[^.\n]{0,40}?\b((?:19|20)\d\d)\b"
    r"|\b(?:fiscal|FY)\s?'?((?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_QUARTER = re.compile(
    r"(?<![a-z\d])(?:q([1-4])|([1-4])q)(?![a-z])|\b(first|second|third|fourth)[\s-]quarter", re.IGNORECASE
)
_HALF = re.compile(r"(?<![a-z\d])h([12])(?![a-z\d])", re.IGNORECASE)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero",
            "february feb februar février febrero",
            "march mar märz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août agosto",
            "september sep sept septembre septiembre",
            "october oct oktober octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember décembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)\b")
_JAPANESE = re.compile(r"((?:19|20)\d\d)年(\d{1,2})月(\d{1,2})日")
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+((?:19|20)\d\d)\b", re.IGNORECASE)
_DAY_FIRST = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:de\s+)?({_MONTH})\.?,?\s+(?:de\s+)?((?:19|20)\d\d)\b", re.IGNORECASE
)
_DOTTED = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.((?:19|20)\d\d)\b")
_SLASHED = re.compile(r"\b(\d{1,2})/(\d{1,2})/((?:19|20)\d\d)\b")


def years_of(name: str, title: str, opening: str) -> tuple[int, ...]:
    """Calendar and fiscal years, most prominent first: those of the name, of the title, then of the text."""
    weights: Counter[int] = Counter()
    for text, weight in ((spaced_name(name), NAMED_WEIGHT), (title, TITLE_WEIGHT), (opening, 1)):
        for match in _YEAR.finditer(text):
            weights[int(match[1])] += weight
    for match in _SHORT_YEAR.finditer(f"{spaced_name(name)}\n{title}"):
        weights[2000 + int(match[1] or match[2])] += TITLE_WEIGHT
    for match in _FISCAL.finditer(opening):
        weights[int(match[1] or match[2])] += FISCAL_WEIGHT
    ranked = sorted(weights, key=lambda year: (-weights[year], -year))
    return tuple(year for year in ranked if FIRST_YEAR <= year <= LAST_YEAR)[:YEARS_MAX]


def quarters_in(text: str) -> tuple[str, ...]:
    """Quarters and halves that a name or title mentions: ``q3``, ``h2``."""
    quarters = (match[1] or match[2] or _ORDINALS[match[3].lower()] for match in _QUARTER.finditer(text))
    found = [f"q{number}" for number in quarters] + [f"h{match[1]}" for match in _HALF.finditer(text)]
    return tuple(dict.fromkeys(found))


def dates_in(text: str) -> tuple[str, ...]:
    """Dates as ISO 8601, in the order of the text, each once; those that may be read in two ways are left out."""
    found: dict[int, str] = {}
    for pattern, order in (
        (_ISO, "ymd"),
        (_JAPANESE, "ymd"),
        (_MONTH_FIRST, "mdy"),
        (_DAY_FIRST, "dmy"),
        (_DOTTED, "dmy"),
        (_SLASHED, "?"),
    ):
        for match in pattern.finditer(text):
            made = _date(match.groups(), order)
            if made:
                found.setdefault(match.start(), made)
    return tuple(dict.fromkeys(found[at] for at in sorted(found)))[:DATES_MAX]


def _date(parts: tuple[str, ...], order: str) -> str:
    if order == "?":
        first, second = int(parts[0]), int(parts[1])
        if (first > 12) == (second > 12) and first != second:  # noqa: PLR2004 - months: it may be read in two ways, or in none
            return ""
        order = "dmy" if first > 12 else "mdy"  # noqa: PLR2004 - as above
    numbers = {kind: _MONTHS.get(part.lower()) or int(part) for kind, part in zip(order, parts, strict=True)}
    try:
        return date(numbers["y"], numbers["m"], numbers["d"]).isoformat()
    except ValueError:
        return ""
