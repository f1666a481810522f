"""Reading fields of JSON objects: every problem is noted with its path, and reading goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar, cast

from commission_mcp.domain.money import AMOUNT_DECIMALS_MAX, FACTOR_MAX, RATE_DECIMALS_MAX, ZERO, read_number
from commission_mcp.domain.parsing.foreign import called_here, shape_of, value_here
from commission_mcp.errors import Code, Problem

TEXT_MAX = 200
LIST_MAX = 1_000
PROBLEMS_MAX = 100
FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(2199, 12, 31)
_DATE_LENGTH = 10
_NAMES_SHOWN = 40

E = TypeVar("E", bound=StrEnum)


@dataclass(slots=True)
class Collected:
    """The problems and warnings found so far."""

    problems: list[Problem] = field(default_factory=list[Problem])
    refused: int = 0  # how many there were, also those beyond the limit
    warnings: list[Problem] = field(default_factory=list[Problem])

    def refuse(self, code: Code, path: str, message: str, fix: str) -> None:
        """Note what must be changed; beyond the limit only that there is more."""
        self.refused += 1
        problem = Problem(code, message, fix, path)
        if len(self.problems) < PROBLEMS_MAX and problem not in self.problems:
            self.problems.append(problem)

    def warn(self, code: Code, path: str, message: str, fix: str = "") -> None:
        """Note what is accepted, and how it was understood."""
        warning = Problem(code, message, fix, path)
        if len(self.warnings) < PROBLEMS_MAX and warning not in self.warnings:
            self.warnings.append(warning)


class Reader:
    """Reads the fields of one JSON object; whatever is asked for is a known field.

    A reader of what is no object has no fields: the problem is noted once, and all fields read as absent.
    """

    def __init__(self, value: object, path: str, collected: Collected) -> None:
        self.path = path
        self.collected = collected
        self._known: set[str] = set()
        self._fields: Mapping[str, object] = {}
        if isinstance(value, Mapping):
            fields = cast("Mapping[object, object]", value)
            self._fields = {str(name): content for name, content in fields.items()}
        else:
            fix = f"Send an object with named fields: {{...}}.{shape_of(path)}"
            self.refuse(Code.FIELD_TYPE, "", "This is no JSON object.", fix)

    def at(self, name: str) -> str:
        """The path of a field."""
        return ".".join(part for part in (self.path, name) if part)

    def refuse(self, code: Code, name: str, message: str, fix: str) -> None:
        """Note a problem of a field; of the object itself when `name` is empty."""
        self.collected.refuse(code, self.at(name), message, fix)

    def warn(self, code: Code, name: str, message: str, fix: str = "") -> None:
        """Note a warning of a field."""
        self.collected.warn(code, self.at(name), message, fix)

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        self._known.add(name)
        return self._fields.get(name) is not None

    def present(self, name: str) -> bool:
        """Whether a field is there, be it null."""
        self._known.add(name)
        return name in self._fields

    def raw(self, name: str) -> object:
        """A field as it came; None when it is absent."""
        self._known.add(name)
        return self._fields.get(name)

    def text(self, name: str, length_max: int = TEXT_MAX) -> str | None:
        """A text without the blanks around it, 1 to `length_max` characters."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip() and len(value.strip()) <= length_max and "\0" not in value:
            return value.strip()
        self.refuse(Code.FIELD_TYPE, name, "This is no text.", f"Send a text of 1 to {length_max} characters.")
        return None

    def flag(self, name: str) -> bool:
        """True or false; false when absent."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(Code.FIELD_TYPE, name, "This is neither true nor false.", "Send true or false.")
        return value is True

    def amount(self, name: str, *, negative: bool = False) -> Decimal | None:
        """An amount or a quantity: up to 6 decimals."""
        return self._number(name, AMOUNT_DECIMALS_MAX, negative=negative)

    def factor(self, name: str) -> Decimal | None:
        """A rate, percentage, multiplier or weight: up to 8 decimals, not negative, at most 1,000,000."""
        value = self._number(name, RATE_DECIMALS_MAX, negative=False)
        if value is not None and value > FACTOR_MAX:
            self.refuse(Code.NUMBER, name, f"{value:f} is too large here.", "Send at most 1000000.")
            return None
        return value

    def count(self, name: str) -> int | None:
        """A whole number from 0 to 1,000,000."""
        value = self._number(name, 0, negative=False)
        if value is not None and value > FACTOR_MAX:
            self.refuse(Code.NUMBER, name, f"{value:f} is too large here.", "Send at most 1000000.")
            return None
        return None if value is None else int(value)

    def priority(self, name: str) -> int:
        """A whole number from 0; 0 when absent."""
        return self.count(name) or 0

    def _number(self, name: str, decimals_max: int, *, negative: bool) -> Decimal | None:
        value = self.raw(name)
        if value is None:
            return None
        number = read_number(value, decimals_max)
        if isinstance(number, str):
            self.refuse(
                Code.NUMBER,
                name,
                f"This number {number}." if number.startswith(("has", "is")) else f"{number}.",
                f"{_written(value)}Write plain digits with a point for decimals, best as a string, such as"
                f' "1234.50": no exponent, no thousands separators, at most {decimals_max} decimals.',
            )
            return None
        if number < ZERO and not negative:
            self.refuse(Code.NEGATIVE, name, f"{number:f} is negative.", "Send 0 or more.")
            return None
        return number

    def day(self, name: str) -> date | None:
        """An ISO date."""
        value = self.raw(name)
        if value is None:
            return None
        day = _date(value)
        if day is not None and FIRST_DAY <= day <= LAST_DAY:
            return day
        moment = isinstance(value, str) and len(value) > _DATE_LENGTH and _date(value[:_DATE_LENGTH]) is not None
        fix = "Send a date such as 2026-07-31, from 1900 to 2199."
        if moment:
            fix = "Send the business date alone, in the client's own time zone, such as 2026-07-31."
        self.refuse(Code.DATE, name, "This is no date.", fix)
        return None

    def choice(self, name: str, kind: type[E], aliases: Mapping[str, E] | None = None) -> E | None:
        """One of the values of an enumeration, whatever its case."""
        value = self.raw(name)
        if value is None:
            return None
        known = {member.value.lower(): member for member in kind}
        known |= {alias.lower(): member for alias, member in (aliases or {}).items()}
        if isinstance(value, str) and value.strip().lower() in known:
            return known[value.strip().lower()]
        shown = value[:60] if isinstance(value, str) else type(value).__name__
        allowed = ", ".join(repr(member.value) for member in kind)
        near = _near(value, [member.value for member in kind])
        self.refuse(Code.UNKNOWN, name, f"{shown!r} is not known here.", f"{near}Allowed are: {allowed}.")
        return None

    def one(self, name: str) -> Reader | None:
        """A nested object."""
        return Reader(self.raw(name), self.at(name), self.collected) if self.has(name) else None

    def many(self, name: str, length_max: int = LIST_MAX) -> list[Reader]:
        """A list of objects; empty when absent."""
        return [Reader(item, path, self.collected) for item, path in self.items(name, length_max)]

    def one_or_many(self, name: str, length_max: int = LIST_MAX) -> list[Reader]:
        """An object, or a list of objects; empty when absent."""
        inner = self.one(name) if isinstance(self.raw(name), Mapping) else None
        return self.many(name, length_max) if inner is None else [inner]

    def items(self, name: str, length_max: int = LIST_MAX) -> list[tuple[object, str]]:
        """The items of a list, each with its path; empty when absent."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            self.refuse(Code.FIELD_TYPE, name, "This is no list.", f"Send a list: [...].{shape_of(name)}")
            return []
        found = list(cast("Sequence[object]", value))
        if len(found) > length_max:
            self.refuse(
                Code.LIMIT, name, f"{len(found):,} entries are too many.", f"Send at most {length_max:,} at a time."
            )
        return [(item, f"{self.at(name)}[{index}]") for index, item in enumerate(found[:length_max])]

    def texts(self, name: str) -> list[str]:
        """A text or a list of texts."""
        value = self.raw(name)
        if value is None or isinstance(value, str):
            single = self.text(name)
            return [] if single is None else [single]
        found = self.items(name)
        if not all(isinstance(item, str) and item.strip() for item, _ in found):
            self.refuse(Code.FIELD_TYPE, name, "Not all of these are texts.", "Send a text or a list of texts.")
        return [item.strip() for item, _ in found if isinstance(item, str) and item.strip()]

    def mapping(self, name: str) -> dict[str, object]:
        """An object whose field names are data."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(Code.FIELD_TYPE, name, "This is no JSON object.", "Send an object: {...}.")
            return {}
        return {str(key): content for key, content in cast("Mapping[object, object]", value).items()}

    def names(self) -> list[str]:
        """The names of all fields."""
        return list(self._fields)

    def missing(self, name: str, fix: str) -> None:
        """Note that a field is needed."""
        self.refuse(Code.FIELD_MISSING, name, f"`{name}` is missing.", fix)

    def forbid(self, name: str, why: str) -> None:
        """Refuse a field that has no meaning beside the others."""
        if self.has(name):
            self.refuse(Code.FIELD_FORBIDDEN, name, f"`{name}` has no meaning here: {why}", f"Leave `{name}` out.")

    def ignore(self, *names: str) -> None:
        """Know fields that say nothing about the calculation."""
        self._known.update(names)

    def finish(self) -> None:
        """Refuse the fields that nobody asked for, each with the nearest known name."""
        for name in self._fields:
            if name not in self._known:
                known = sorted(self._known)
                listed = ", ".join(known[:_NAMES_SHOWN])
                self.refuse(
                    Code.FIELD_UNKNOWN,
                    name[:60],
                    f"There is no field {name[:60]!r} here.",
                    f"{called_here(name, known) or nearest(name, known)}The fields are: {listed}.",
                )


def _written(value: object) -> str:
    """A number as people write it, without the sign that has no place here."""
    text = value.strip() if isinstance(value, str) else ""
    if text.endswith("%"):
        return "Leave the sign out: rates and percentages are points, 5 is 5 %. "
    if text[:1] in {"$", "\u20ac", "\u00a3"} or text[-1:] == "\u20ac":
        return "Leave the currency sign out; the plan's `currency` says it. "
    return "Write a multiplier of 1.5 times as 1.5. " if text[-1:].lower() == "x" else ""


def _near(value: object, known: Sequence[str]) -> str:
    """A value of other systems by what it is called here, or the nearest known one."""
    return (value_here(value, known) if isinstance(value, str) else "") or nearest(value, known)


def nearest(value: object, known: Iterable[str]) -> str:
    """`Did you mean ...? ` with the nearest known name, or nothing."""
    if not isinstance(value, str):
        return ""
    by_case = {name.lower(): name for name in known}
    near = get_close_matches(value[:TEXT_MAX].lower(), list(by_case), n=1)
    return f"Did you mean {by_case[near[0]]!r}? " if near else ""


def _date(value: object) -> date | None:
    if not isinstance(value, str) or len(value) != _DATE_LENGTH:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
