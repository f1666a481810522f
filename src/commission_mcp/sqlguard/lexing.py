"""Where in a text PostgreSQL sees code, and where literals, quoted names and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<block>/\*)
    | (?P<opaque>
        --[^\r\n]*
      | [eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z)(?:\s*[\r\n]\s*'(?:[^'\\]|\\.|'')*+(?:'|\Z))*+
      | '(?:[^']|'')*+(?:'|\Z)
      | "(?:[^"]|"")*+(?:"|\Z)
      | \$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*+)?)\$.*?(?:\$(?P=tag)\$|\Z)
      )
    | [A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*+   # a word; passing it whole keeps `like'x'` from reading as e'x'
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of `text` outside of literals, quoted names and comments, in order."""
    start = position = 0
    while (token := _TOKEN.search(text, position)) is not None:
        if token["block"] is None and token["opaque"] is None:
            position = token.end()
            continue
        yield start, token.start()
        start = position = token.end() if token["block"] is None else _comment_end(text, token.end())
    yield start, len(text)


def _comment_end(text: str, position: int) -> int:
    """Where a block comment ends whose opening has just been passed; they nest."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(text, position)) is not None:
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(text) if depth else position


def find_in_code(pattern: re.Pattern[str], text: str) -> int | None:
    """Where `pattern` first occurs in code."""
    for start, end in code_spans(text):
        found = pattern.search(text, start, end)
        if found is not None:
            return found.start()
    return None
