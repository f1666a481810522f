"""What people call things, and how documents write them: the domain's words, as data.

The built-in file `lexicon.toml` says how it is written; a client's own file has the same form.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.words import words

OWN_FILE = ".lexicon.toml"
"""A client's own lexicon, in the folder of its documents; hidden, so that it is no document itself."""

_FILE_CHARS_MAX = 200_000
_FORM_FIX = 'Write [[term]] entries with `says = ["...", "..."]` and, if wanted, `means = ["..."]`.'


@dataclass(frozen=True, slots=True)
class Term:
    """One meaning.

    Attributes:
        says: The ways to say it.
        means: What stands where the answer is.
    """

    says: tuple[str, ...]
    means: tuple[str, ...] = ()


class Lexicon:
    """Terms, found in questions by their stems."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms = tuple(terms)
        self._by_first: dict[str, list[tuple[tuple[str, ...], Term]]] = {}
        for term in self.terms:
            for phrase in term.says:
                if stems := stemmed(phrase):
                    self._by_first.setdefault(stems[0], []).append((stems, term))

    def found_in(self, stems: Sequence[str]) -> list[tuple[Term, tuple[str, ...]]]:
        """The terms that a text says, each once, with the stems that say it; a longer phrase hides those inside it."""
        matches: list[tuple[int, int, Term]] = []
        for start, first in enumerate(stems):
            for phrase, term in self._by_first.get(first, ()):
                end = start + len(phrase)
                if tuple(stems[start:end]) == phrase:
                    matches.append((start, end, term))
        found: dict[int, tuple[Term, tuple[str, ...]]] = {}
        for start, end, term in matches:
            hidden = any(a <= start and end <= b and b - a > end - start for a, b, _ in matches)
            if not hidden:
                found.setdefault(id(term), (term, tuple(stems[start:end])))
        return list(found.values())

    def with_own(self, own: OwnLexicon) -> Lexicon:
        """This lexicon with a client's terms before it, or only those."""
        if own.replace:
            return Lexicon(own.terms)
        said = {stemmed(phrase) for term in own.terms for phrase in term.says}
        kept = [term for term in self.terms if not any(stemmed(phrase) in said for phrase in term.says)]
        return Lexicon([*own.terms, *kept])


@dataclass(frozen=True, slots=True)
class OwnLexicon:
    """A client's terms, and whether they stand alone."""

    terms: tuple[Term, ...]
    replace: bool = False


class _TermForm(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    says: list[str] = Field(min_length=1, max_length=100)
    means: list[str] = Field(default=[], max_length=100)


class _FileForm(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    replace: bool = False
    term: list[_TermForm] = Field(default=[], max_length=5_000)


def parse_lexicon(content: str, path: str = OWN_FILE) -> OwnLexicon:
    """A client's lexicon.

    Raises:
        Refused: with `E_LEXICON` for every entry that is not of the form.
    """
    if len(content) > _FILE_CHARS_MAX:
        fix = f"Keep it below {_FILE_CHARS_MAX:,} characters."
        raise Refused(Problem(Code.LEXICON, "The lexicon is too long.", fix, path))
    try:
        form = _FileForm.model_validate(tomllib.loads(content))
    except (tomllib.TOMLDecodeError, RecursionError):
        raise Refused(Problem(Code.LEXICON, "The lexicon is not TOML.", _FORM_FIX, path)) from None
    except ValidationError as failure:
        raise Refused(*(_problem(error, path) for error in failure.errors(include_url=False))) from None
    return OwnLexicon(tuple(Term(tuple(term.says), tuple(term.means)) for term in form.term), form.replace)


@lru_cache(maxsize=1)
def built_in() -> Lexicon:
    """The lexicon that comes with the program."""
    content = resources.files("commission_mcp.search").joinpath("lexicon.toml").read_text("utf-8")
    return Lexicon(parse_lexicon(content, "lexicon.toml").terms)


@lru_cache(maxsize=20_000)
def stemmed(phrase: str) -> tuple[str, ...]:
    """The stems of a phrase."""
    return tuple(word for word, _ in words(phrase))


def _problem(error: Mapping[str, object], path: str) -> Problem:
    location = error["loc"]
    at = ".".join(str(step) for step in location) if isinstance(location, tuple) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - pydantic's own tuple
    return Problem(Code.LEXICON, f"{error['msg']}.", _FORM_FIX, f"{path}: {at}")
