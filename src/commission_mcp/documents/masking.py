"""Personal data in text, masked in place: e-mail addresses, telephone numbers, IBANs, payment cards, national ids.

A mask has the length of what it hides, so that offsets stay true. What has a check digit is masked only if that is
right, and other digits only in the forms that people write such numbers in, so that amounts, dates, rates and the ids
of plans and products stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

VERSION = 1
"""Raised whenever other text is masked: documents are then indexed anew."""

MASK = "*"

_CARD_LENGTHS = frozenset({13, 14, 15, 16, 19})
_LETTERS_OF_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_LABELS_OF_PHONES = (
    r"tel|telephone|phone|fax|mobile|cell|mob|handy|telefon|t\u00e9l|t\u00e9l\u00e9phone|telefono|tel\u00e9fono"
)
_LABELS_OF_IDS = (
    r"ssn|social security(?: number| no\.?)?|national insurance(?: number| no\.?)?|nino|national id(?: number| no\.?)?|"
    r"tax(?:payer)? id(?:entification)?(?: number| no\.?)?|tin|steuer-?id(?:entifikationsnummer)?|steuernummer|"
    r"passport(?: number| no\.?)?|pesel|bsn|codice fiscale|nif|nie|curp|aadhaar"
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of personal data.

    Attributes:
        pattern: How it is written; a group named ``value`` is what is masked, by default all of it.
        holds: Whether what was matched is of the kind.
    """

    pattern: re.Pattern[str]
    holds: Callable[[str], bool]


def mask(text: str) -> str:
    """The text with personal data masked; of the same length."""
    for kind in _KINDS:
        text = kind.pattern.sub(lambda found, kind=kind: _masked(found, kind), text)
    return text


def _masked(found: re.Match[str], kind: _Kind) -> str:
    whole = found[0]
    start, end = found.span("value") if "value" in kind.pattern.groupindex else found.span()
    if not kind.holds(found.string[start:end]):
        return whole
    begin = start - found.start()
    return whole[:begin] + MASK * (end - start) + whole[begin + end - start :]


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isalnum()).upper()


def _any(_: str) -> bool:
    return True


def _digits_between(least: int, most: int) -> Callable[[str], bool]:
    return lambda text: least <= sum(character.isdigit() for character in text) <= most


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])  # noqa: PLR2004 - the algorithm
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _card(text: str) -> bool:
    """A number of a payment card: the issuers' first digits, and the check digit."""
    plain = _plain(text)
    return plain[0] in "23456" and len(plain) in _CARD_LENGTHS and len(set(plain)) > 1 and _luhn(plain)


def _iban(text: str) -> bool:
    """ISO 13616: the remainder by 97 is 1."""
    plain = _plain(text)
    if not 15 <= len(plain) <= 34:  # noqa: PLR2004 - the standard's
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _french_id(text: str) -> bool:
    """NIR: the last two digits are 97 less the remainder of the others."""
    plain = _plain(text)
    return int(plain[:-2]) % 97 + int(plain[-2:]) == 97  # noqa: PLR2004 - the algorithm


def _spanish_id(text: str) -> bool:
    plain = _plain(text)
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return plain[-1] == _LETTERS_OF_DNI[int(number) % 23]


# Runs are possessive where they could be long: no text takes more than time linear in its length.
_KINDS = (
    _Kind(re.compile(r"(?<![\w.+%'-])[\w.+%'-]++@[\w-]++(?:\.[\w-]++)+"), _any),
    _Kind(re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b"), _iban),
    # France, the numeric departments
    _Kind(re.compile(r"(?<![\w.,-])[12](?: ?\d\d){3}(?: ?\d{3}){2} ?\d\d(?![\w-])"), _french_id),
    _Kind(re.compile(r"(?<![\w.,-])(?<!\d )\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)"), _card),
    # United States, United Kingdom, Italy, Spain, Sweden
    _Kind(re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"), _any),
    _Kind(
        re.compile(
            r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d\d){3} ?[A-D](?!\w)",
        ),
        _any,
    ),
    _Kind(re.compile(r"(?<!\w)[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)"), _any),
    _Kind(re.compile(r"(?<!\w)[\dXYZ]\d{7}-?[A-Z](?!\w)"), _spanish_id),
    _Kind(re.compile(r"(?<![\w.,-])\d{6}[-+]\d{4}(?![\w-])"), _luhn),
    # What a label says it is
    _Kind(
        re.compile(
            rf"(?i:\b(?:{_LABELS_OF_IDS})\b)[:#. ]{{1,4}}(?P<value>[A-Z0-9](?:[ ./-]?[A-Z0-9]){{5,19}}+)",
        ),
        _digits_between(5, 20),
    ),
    _Kind(
        re.compile(rf"(?i:\b(?:{_LABELS_OF_PHONES})\b)[:. ]{{0,4}}(?P<value>\(?[+\d][\d ()./-]{{4,24}}\d)"),
        _digits_between(6, 15),
    ),
    # Telephone numbers of any country, and the North American form
    _Kind(
        re.compile(r"(?<![\w+])(?<!\d )(?:\+|00)[1-9]\d{0,2}[ ()./-]{0,2}\d[\d ()./-]{4,18}\d(?!\w)"),
        _digits_between(8, 17),
    ),
    _Kind(
        re.compile(
            r"(?<![\w.,$\u20ac\u00a3+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[.-]\d{4}"
            r"(?![\w-]|[.,]\d)",
        ),
        _any,
    ),
)
