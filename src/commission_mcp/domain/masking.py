"""Personal data in text, covered by as many signs as it had: e-mail, phone, IBAN, payment card, national ids.

Every mask keeps the length of the text, so that offsets into it stay true. What is masked is told by form and, where a
number has one, by its check digits: amounts, dates, and ids of plans and products have neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

COVER = "\N{BULLET}"
"""What stands for each letter and digit that is covered; the signs between them stay."""

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
    "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip # the registry's table, some countries to a line
"""The length of an IBAN by country, from the SWIFT IBAN registry."""


class Personal(StrEnum):
    """Kinds of personal data that are covered."""

    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CARD = "card"
    NATIONAL_ID = "national_id"


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in a text: where it begins and ends, in characters, and its kind."""

    start: int
    end: int
    kind: Personal


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: Personal
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda text: True  # noqa: ARG005 - a pattern that needs no further proof


def mask(text: str) -> str:
    """The text with all personal data covered; of the same length."""
    covered = list(text)
    for finding in findings(text):
        for at in range(finding.start, finding.end):
            if text[at].isalnum():
                covered[at] = COVER
    return "".join(covered)


def findings(text: str) -> Iterator[Finding]:
    """The personal data in a text; findings of several kinds may overlap."""
    for start, end in _ibans(text):
        yield Finding(start, end, Personal.IBAN)
    for rule in _RULES:
        for match in rule.pattern.finditer(text):
            start, end = match.span("found") if "found" in match.re.groupindex else match.span()
            if rule.holds(text[start:end]):
                yield Finding(start, end, rule.kind)


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isascii() and char.isdigit()]


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """IBANs by ISO 13616: as long as their country's are, with a remainder of 1 modulo 97."""
    for match in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2], 0)
        plain, at = "", match.start()
        while at < len(text) and len(plain) < length and (text[at] == " " or text[at] in _IBAN_SIGNS):
            plain += text[at].strip()
            at += 1
        ends = at == len(text) or not text[at].isalnum()
        if length and len(plain) == length and ends and _remainder(plain) == 1:
            yield match.start(), at


def _remainder(iban: str) -> int:
    """The country and check digits moved to the end, letters as numbers from 10, modulo 97."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: an issuer's first digits, and the Luhn check digit."""
    return len(set(_digits(text))) > 1 and _passes_luhn(text)


def _is_phone(text: str) -> bool:
    """ITU-T E.164: 7 to 15 digits, and no date or range of years."""
    return 7 <= len(_digits(text)) <= 15 and _DATE.fullmatch(text.strip()) is None  # noqa: PLR2004 - E.164


def _is_social_security_number(text: str) -> bool:
    """The numbers that the US Social Security Administration gives out."""
    area, group, serial = re.split(r"[- ]", text)
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _has_digits(text: str) -> bool:
    """A number of a person, which only its label tells: 5 to 20 digits among its signs."""
    return 5 <= len(_digits(text)) <= 20  # noqa: PLR2004 - shorter ones name pages and rules


def _passes_luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B, with which Sweden's personal identity numbers are checked too."""
    digits = _digits(text)
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_my_number(text: str) -> bool:
    """Japan's My Number: 12 digits, the last a check digit modulo 11."""
    digits = _digits(text)
    weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
    rest = sum(digit * weight for digit, weight in zip(digits, weights, strict=False)) % 11
    return digits[-1] == (0 if rest <= 1 else 11 - rest)


def _is_german_tax_id(text: str) -> bool:
    """Germany's tax id: 11 digits, the last by ISO 7064 MOD 11,10."""
    digits = _digits(text)
    product = 10
    for digit in digits[:-1]:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return digits[0] != 0 and (11 - product) % 10 == digits[-1]


def _is_french_number(text: str) -> bool:
    """France's social security number: 13 signs and a check modulo 97; Corsica's letters stand for 19 and 18."""
    plain = text.replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def _is_codice_fiscale(text: str) -> bool:
    """Italy's codice fiscale: its last letter checks the fifteen before."""
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                   (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12,
                    14, 16, 10, 22, 25, 24, 23), strict=True))  # fmt: skip # the rule's table of values
    plain = text.upper()
    even = sum(int(char, 36) - (10 if char.isalpha() else 0) for char in plain[1:15:2])
    return chr(ord("A") + (sum(odd[char] for char in plain[0:15:2]) + even) % 26) == plain[15]


def _is_spanish_number(text: str) -> bool:
    """Spain's DNI and NIE: the letter is the number modulo 23."""
    plain = text.upper().replace("-", "").replace(" ", "")
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


_DATE = re.compile(
    r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:\d{4}|\d{2})"
    r"|(?:19|20)\d\d\s?[-\N{EN DASH}/]\s?(?:19|20)?\d\d"
)
_AT = r"(?<![\w.+-])(?P<found>[\w.+'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24})(?![\w-])"
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}")
_IBAN_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_CARD = (
    r"(?<![\w.,-])(?:(?:[3-6]\d{3}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720))(?:[ -]?\d{4}){3}"
    r"|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|[56]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,3})(?![\w-]|[.,]\d)"
)
_PLUS = r"(?<![\w+])\+[1-9]\d{0,2}(?:[\s./-]?\(?\d{1,5}\)?){2,6}(?![\w-]|[.,]\d)"
_AMERICAN = r"(?<![\w$€£+.,-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-.]\d{4}(?![\w-]|[.,]\d)"
_TRUNK = r"(?<![\w$€£+.,/-])(?<!\d )\(?0{1,2}[1-9]\d{0,3}\)?[ /-](?:\d{2,4}[ -]?){2,4}(?<=\d)(?![\w-]|[.,]\d)"
_LABELLED = (
    r"(?:\b(?:tel(?:ephone)?|phone|mobile|cell|fax|telefon|handy|tél|teléfono|telefono)\b|電話|携帯)\.?\s?(?:no\.?|number|nr\.?)?"
    r"\s?[:.]?\s?(?P<found>[+(]?\d[\d\s()./-]{5,18}\d)(?![\w-])"
)
_SSN = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
_SSN_LABELLED = r"(?:\bssn|social security)\D{0,20}(?P<found>\d{3} \d{2} \d{4})(?!\w)"
_NINO = r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"
_MY_NUMBER = r"(?:my ?number|マイナンバー|個人番号)\D{0,20}(?P<found>\d{4}[ -]?\d{4}[ -]?\d{4})(?!\d)"
_TAX_ID = (
    r"(?:steuer-?id\w*|idnr\.?|tax id\w*|identifikationsnummer)\D{0,20}(?P<found>\d{2} ?\d{3} ?\d{3} ?\d{3})(?!\d)"
)
_FRENCH = r"(?<!\w)[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?!\w)"
_ITALIAN = r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)"
_SPANISH = r"(?<![\w-])(?:\d{8}|[XYZ]-?\d{7})[- ]?[A-HJ-NP-TV-Z](?![\w-])"
_SWEDISH = r"(?<![\w.,-])\d{6}[-+]\d{4}(?![\w-])"
_NAMED_ID = (
    r"(?i:\b(?:ssn|social security(?: number| no\.?)?|national insurance(?: number| no\.?)?|nino|"
    r"national id(?: number| no\.?)?|tax(?:payer)? id(?:entification)?(?: number| no\.?)?|tin|"
    r"steuer-?id(?:entifikationsnummer)?|steuernummer|passport(?: number| no\.?)?|pesel|bsn|codice fiscale|nif|nie|"
    r"curp|aadhaar)\b)[:#. ]{1,4}(?P<found>[A-Z0-9](?:[ ./-]?[A-Z0-9]){5,19})"
)

_RULES: tuple[_Rule, ...] = (
    _Rule(Personal.EMAIL, re.compile(_AT)),
    _Rule(Personal.CARD, re.compile(_CARD), _is_card),
    _Rule(Personal.PHONE, re.compile(_PLUS), _is_phone),
    _Rule(Personal.PHONE, re.compile(_AMERICAN), _is_phone),
    _Rule(Personal.PHONE, re.compile(_TRUNK), _is_phone),
    _Rule(Personal.PHONE, re.compile(_LABELLED, re.IGNORECASE), _is_phone),
    _Rule(Personal.NATIONAL_ID, re.compile(_SSN), _is_social_security_number),
    _Rule(Personal.NATIONAL_ID, re.compile(_SSN_LABELLED, re.IGNORECASE), _is_social_security_number),
    _Rule(Personal.NATIONAL_ID, re.compile(_NINO)),
    _Rule(Personal.NATIONAL_ID, re.compile(_MY_NUMBER, re.IGNORECASE), _is_my_number),
    _Rule(Personal.NATIONAL_ID, re.compile(_TAX_ID, re.IGNORECASE), _is_german_tax_id),
    _Rule(Personal.NATIONAL_ID, re.compile(_FRENCH), _is_french_number),
    _Rule(Personal.NATIONAL_ID, re.compile(_ITALIAN), _is_codice_fiscale),
    _Rule(Personal.NATIONAL_ID, re.compile(_SPANISH), _is_spanish_number),
    _Rule(Personal.NATIONAL_ID, re.compile(_SWEDISH), _passes_luhn),
    _Rule(Personal.NATIONAL_ID, re.compile(_NAMED_ID), _has_digits),
)
