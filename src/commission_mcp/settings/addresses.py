"""The address of a server from the parts that the older `.env` names it by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from commission_mcp.errors import Code, Problem
from commission_mcp.settings.levels import Found, Level
from commission_mcp.settings.names import Parts

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 65_535


def assemble(parts: Parts, level: Level, levels: Sequence[Level]) -> Found | None:
    """The address whose host stands in this level; its other parts may stand in any, the first one counting."""
    if parts.keys["host"] not in level.values:
        return None
    homes = {part: _home(key, levels) for part, key in parts.keys.items()}
    texts = {part: _text(part, home.values[parts.keys[part]]) for part, home in homes.items() if home}
    elsewhere = [home.source(parts.keys[part]) for part, home in homes.items() if home and home is not level]
    source = ", ".join([level.source(parts.keys["host"]), *elsewhere])
    problems = tuple(
        Problem(Code.SETTING, *fault, home.source(parts.keys[part]))
        for part, home in homes.items()
        if home and (fault := _fault(part, texts[part]))
    )
    return Found(None if problems else parts.build(texts), source, problems)


def without_host(parts: Parts, levels: Sequence[Level]) -> list[Problem]:
    """Parts in an env file that address nothing, because no host is named."""
    if _home(parts.keys["host"], levels):
        return []
    return [
        Problem(
            Code.SETTING_IGNORED,
            f"It has no effect without {parts.keys['host']}.",
            f"Set {parts.keys['host']}, or leave it out.",
            level.source(key),
        )
        for level in levels
        for key in parts.keys.values()
        if key in level.values and not level.shared
    ]


def _home(key: str, levels: Sequence[Level]) -> Level | None:
    return next((level for level in levels if key in level.values), None)


def _text(part: str, written: str) -> str:
    """The part's text; a password is taken to the letter."""
    text = written if part == "password" else written.strip()
    if part != "ssl":
        return text
    word = text.lower()
    return "true" if word in TRUE else "false" if word in FALSE else word


def _fault(part: str, text: str) -> tuple[str, str] | None:
    """What is wrong with the part, and what to write."""
    if part == "port" and not (_PORT.fullmatch(text) and 1 <= int(text) <= _PORT_MAX):
        return "The value is not a port.", f"Set a whole number from 1 to {_PORT_MAX}."
    if part == "db" and not (text.isascii() and text.isdigit()):
        return "The value is not the number of a Redis database.", "Set a whole number from 0."
    if part == "ssl" and text not in {"true", "false"}:
        return "The value is neither true nor false.", "Set true or false."
    if part == "host" and any(character in "@?# " for character in text):
        return "The value is not the name or address of a host.", "Write it alone, without scheme, port or path."
    return None
