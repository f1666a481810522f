"""One message of a conversation, and what it may hold."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import orjson

from commission_mcp.errors import Code, Problem, Refused

Speaker: TypeAlias = Literal["user", "assistant", "system", "tool"]

# A message fits into one answer of a tool as a whole, whatever it holds.
CONTENT_CHARS_MAX = 16_000
SOURCES_MAX = 20
SOURCE_CHARS_MAX = 300
CONTEXT_CHARS_MAX = 4_000
MESSAGE_CHARS_MAX = 18_000
_CONTEXT_DEPTH_MAX = 10
_INTEGER_MAX = 2**53 - 1  # what every reader of JSON takes exactly


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said.

    Attributes:
        role: Who said it.
        content: The text.
        sources: The documents that the text rests on.
        context: A JSON object that the host wants to find again with the message.
    """

    role: Speaker
    content: str
    sources: tuple[str, ...] = ()
    context: Mapping[str, Any] | None = None

    def checked(self) -> Message:
        """The message itself, if it can be stored.

        Raises:
            Refused: with `E_ARGUMENT` for everything that is wrong with it.
        """
        problems = [*_content_problems(self.content), *_source_problems(self.sources), *_context_problems(self.context)]
        if not problems:
            problems = [*_size_problems(self)]
        if problems:
            raise Refused(*problems)
        return self

    def to_json(self) -> bytes:
        """The message as it is stored."""
        return orjson.dumps([self.role, self.content, self.sources, self.context])

    @classmethod
    def from_json(cls, text: bytes) -> Message:
        """The message that was stored so."""
        role, content, sources, context = orjson.loads(text)
        return cls(role, content, tuple(sources), context)


def _content_problems(content: str) -> Generator[Problem]:
    if not content.strip():
        yield Problem(Code.ARGUMENT, "The message is empty.", "Pass its text as `content`.", "content")
    if len(content) > CONTENT_CHARS_MAX:
        yield Problem(
            Code.ARGUMENT,
            f"The message has {len(content)} characters; {CONTENT_CHARS_MAX} are allowed.",
            "Append it in parts, or append what matters of it.",
            "content",
        )
    yield from _text_problems(content, "content")


def _source_problems(sources: tuple[str, ...]) -> Generator[Problem]:
    if len(sources) > SOURCES_MAX:
        yield Problem(Code.ARGUMENT, f"There are {len(sources)} sources.", f"Name at most {SOURCES_MAX}.", "sources")
    for index, source in enumerate(sources[:SOURCES_MAX]):
        path = f"sources[{index}]"
        if not 1 <= len(source) <= SOURCE_CHARS_MAX:
            fix = f"Write 1 to {SOURCE_CHARS_MAX} characters, such as client-abc/policy.pdf."
            yield Problem(Code.ARGUMENT, f"The source has {len(source)} characters.", fix, path)
        yield from _text_problems(source, path)


def _context_problems(context: Mapping[str, Any] | None) -> Generator[Problem]:
    if context is None:
        return
    found = next(_value_problems(context), None)
    if found is not None:
        yield found
    elif len(orjson.dumps(context).decode()) > CONTEXT_CHARS_MAX:
        fix = f"Keep it below {CONTEXT_CHARS_MAX} characters of JSON."
        yield Problem(Code.ARGUMENT, "The context is too long.", fix, "context")


def _value_problems(context: Mapping[str, Any]) -> Generator[Problem]:
    """What cannot be stored and read back as it is; without recursion, because the nesting is the caller's."""
    pending: list[tuple[object, int]] = [(context, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > _CONTEXT_DEPTH_MAX:
            fix = f"Nest at most {_CONTEXT_DEPTH_MAX} levels."
            yield Problem(Code.ARGUMENT, "The context is nested too deeply.", fix, "context")
            return
        if isinstance(value, str):
            yield from _text_problems(value, "context")
        elif isinstance(value, int | float):
            yield from _number_problems(value)
        pending.extend((part, depth + 1) for part in _parts(value))


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return [*items.keys(), *items.values()]
    return list(cast("list[object]", value)) if isinstance(value, list) else []


def _number_problems(number: float) -> Generator[Problem]:
    finite = math.isfinite(number) if isinstance(number, float) else abs(number) <= _INTEGER_MAX
    if not finite:
        yield Problem(Code.ARGUMENT, "A number in the context cannot be kept exactly.", "Write it as text.", "context")


def _text_problems(text: str, path: str) -> Generator[Problem]:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        yield Problem(
            Code.ARGUMENT,
            "The text holds a NUL character or half of a surrogate pair.",
            "Leave those characters out.",
            path,
        )


def _size_problems(message: Message) -> Generator[Problem]:
    length = len(message.to_json().decode())
    if length > MESSAGE_CHARS_MAX:
        yield Problem(
            Code.ARGUMENT,
            f"With its sources and context the message has {length} characters of JSON; "
            f"{MESSAGE_CHARS_MAX} are allowed.",
            "Append it in parts, or leave some of it out.",
            "content",
        )
