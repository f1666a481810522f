"""Language, kind, currencies and plan names, told by words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from commission_mcp.documents.model import Block, BlockKind

CURRENCIES_MAX = 5
PLAN_NAMES_MAX = 20
PLAN_NAME_CHARS_MAX = 60
STOP_WORDS_MIN = 3
PLAN_BLOCKS_MAX = 20_000
PLAN_BLOCK_CHARS_MAX = 20_000

_STOP_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "en": frozenset("the of and to in is for on with that by are be this as from or at which".split()),
        "de": frozenset("der die das und ist von zu mit für auf den im nicht ein eine des dem werden sich".split()),
        "fr": frozenset("le la les des et est une pour dans du que qui sur par au aux avec sont pas".split()),
        "es": frozenset("el la los las de y que es en por con para una del se su al como más".split()),
        "it": frozenset("il la di che e è per una del della dei con sono al alla nel gli le non".split()),
        "pt": frozenset("o a os as de e que do da em para com uma dos das no na não por é".split()),
        "nl": frozenset("de het een van en is voor op met dat die niet zijn aan door worden bij ook".split()),
        "sv": frozenset("och att det som en på är av för med den till inte om ett har de".split()),
        "pl": frozenset("i w na z do nie się jest że to od za przez oraz dla po jak".split()),
    }
)
_WORD = re.compile(r"[^\W\d_]+")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_GREEK = re.compile(r"[\u0370-\u03ff]")
_ARABIC = re.compile(r"[\u0600-\u06ff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE))
    for kind, words in (
        (
            "contract",
            r"contracts?|agreements?|addendum|amendment|terms (?:and|&) conditions|msa|nda|vertrag|contrat|契約",
        ),
        ("policy", r"polic(?:y|ies)|code of conduct|compliance|richtlinie|politique|規程|規定"),
        ("guidelines", r"guid(?:e|es|eline|elines|ance)|handbook|manual|playbook|how[ -]to|faq|leitfaden|ガイドライン"),
        ("rates", r"rates?|rate (?:card|sheet|table)s?|price ?lists?|tariffs?|provisionss(?:ä|ae)tze|料率(?:表)?"),
        ("bonus", r"bonus(?:es)?|spiffs?|spifs?|incentives?|awards?|prämien?"),
        ("performance", r"performance|metrics|kpis?|attainment|scorecards?|leaderboards?|quotas?"),
        ("report", r"reports?|10-?k|10-?q|8-?k|20-?f|earnings|annual|results|statements?|bericht|rapport"),
        ("invoice", r"invoices?|receipts?|rechnung|facture"),
        ("minutes", r"minutes|meeting notes|agenda|protokoll"),
        ("plan", r"plans?|compensation plan|commission plan|plan documents?"),
        ("glossary", r"glossar(?:y|ies)|definitions"),
        ("calendar", r"calendars?"),
        ("letter", r"letters?|memo(?:randum)?|notices?"),
    )
)
_IN_NAME, _IN_TITLE, _IN_TEXT = 40, 25, 1

_SYMBOLS = MappingProxyType(
    {
        "$": "USD",
        "€": "EUR",
        "£": "GBP",
        "¥": "JPY",
        "₹": "INR",
        "円": "JPY",
        "₩": "KRW",
        "zł": "PLN",
    }
)
_PREFIXED = MappingProxyType(
    {
        "US$": "USD",
        "A$": "AUD",
        "AU$": "AUD",
        "C$": "CAD",
        "CA$": "CAD",
        "HK$": "HKD",
        "S$": "SGD",
        "NZ$": "NZD",
        "R$": "BRL",
    }
)
_CODES = frozenset(
    "USD EUR GBP JPY CHF CAD AUD CNY INR SEK NOK DKK PLN CZK HUF BRL MXN SGD HKD NZD KRW ZAR TRY ILS AED SAR".split()
)
_AMOUNT = re.compile(r"((?:US|AU|CA|HK|NZ|A|C|S|R)?\$|€|£|¥|₹|₩)(?=\s?\(?\d)|(?<=\d)\s?(€|£|円|zł)|\b([A-Z]{3})\b")

_PLAN_COLUMN = re.compile(
    r"(?:^|\| )(?:commission |comp(?:ensation)? )?(?:plan|plan name|scheme|program(?:me)?): ([^|\n]+)", re.IGNORECASE
)
_PLAN_NAME = re.compile(
    r"(?<!\w)(?:(?:\d?[A-Z][\w&/'’-]{0,40}|[QH]\d|\d{4}|of|for|and)\s+){1,6}"
    r"(?:Plan|Program(?:me)?|Scheme|Incentives?|Accelerator|Bonus(?:es)?|SPIFF?)\b"
)
_GENERIC = frozenset(
    "the this that a an our your each any all of for and in under new every such these those commission commissions "
    "incentive sales compensation bonus annual no see which when if plan plans".split()
)


def language_of(text: str) -> str:
    """ISO 639-1: by the script, or by the little words that are most of any text; empty when they tell nothing."""
    scripts = Counter(
        {
            "ja": 3 * len(_KANA.findall(text)),
            "zh": len(_HAN.findall(text)),
            "ko": len(_HANGUL.findall(text)),
            "ru": len(_CYRILLIC.findall(text)),
            "el": len(_GREEK.findall(text)),
            "ar": len(_ARABIC.findall(text)),
            "": len(_LATIN.findall(text)) // 3,
        }
    )
    script = scripts.most_common(1)[0]
    if script[0] and script[1]:
        return "ja" if script[0] == "zh" and scripts["ja"] * 10 > scripts["zh"] else script[0]
    words = Counter(word.lower() for word in _WORD.findall(text))
    told = {language: sum(words[word] for word in stops) for language, stops in _STOP_WORDS.items()}
    language = max(told, key=lambda key: told[key])
    return language if told[language] >= STOP_WORDS_MIN else ""


def category_of(name: str, title: str, opening: str) -> str:
    """What kind of document, by its name, its title, and its first pages; ``other`` when nothing tells."""
    folderless = re.sub(r"[_./-]+", " ", name.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    weights = {
        kind: _IN_NAME * bool(words.search(folderless))
        + _IN_TITLE * bool(words.search(title))
        + _IN_TEXT * min(5, len(words.findall(opening[:4000])))
        for kind, words in _KINDS
    }
    kind = max(weights, key=lambda key: weights[key])
    return kind if weights[kind] > 2 * _IN_TEXT else "other"


def currencies_in(text: str) -> tuple[str, ...]:
    """ISO 4217 codes, most frequent first; a bare ``$`` counts as USD."""
    counts: Counter[str] = Counter()
    for sign, after, code in _AMOUNT.findall(text):
        found = _PREFIXED.get(sign) or _SYMBOLS.get(sign or after) or (code if code in _CODES else "")
        if found:
            counts[found] += 1
    return tuple(code for code, _ in counts.most_common(CURRENCIES_MAX))


def plan_names_in(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Names of commission plans, most frequent first: from columns of plans, and names that end as plans do."""
    counts: Counter[str] = Counter()
    for block in blocks[:PLAN_BLOCKS_MAX]:
        if block.kind is BlockKind.ROW:
            counts.update(_shown(match[1]) for match in _PLAN_COLUMN.finditer(block.text))
        counts.update(_named(block.text[:PLAN_BLOCK_CHARS_MAX]))
    names = [name for name, _ in counts.most_common() if name and len(name) <= PLAN_NAME_CHARS_MAX]
    return tuple(names[:PLAN_NAMES_MAX])


def _named(text: str) -> Iterator[str]:
    for match in _PLAN_NAME.finditer(text):
        words = match[0].split()
        while words and words[0].lower() in _GENERIC:
            words.pop(0)
        if len(words) > 1:
            yield " ".join(words)


def _shown(text: str) -> str:
    return " ".join(text.split()).strip(" .,;")
