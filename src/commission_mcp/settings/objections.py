"""What there is to say about the names that an operator wrote, whatever their values become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from commission_mcp.errors import Code, Problem
from commission_mcp.settings import names
from commission_mcp.settings.addresses import TRUE, without_host
from commission_mcp.settings.levels import COMMAND_LINE, Found, Level


def objections(read: Sequence[Level], chosen: Mapping[str, object]) -> Iterable[Problem]:
    """What is refused whatever the values are."""
    for field in chosen.keys() - set(names.FIELDS):
        yield _unknown(field, f"{COMMAND_LINE} {field}")
    for level in read:
        yield from (_unknown(key, level.source(key)) for key in level.keys if names.is_unknown(key))
        yield from _broken_promises(level)
        yield from _twice(level)


def _unknown(key: str, path: str) -> Problem:
    near = names.suggestion(key)
    fix = f"Did you mean {near}?" if near else "Leave it out, or look the name up in the configuration reference."
    if key.endswith("_FILE") and key.removesuffix("_FILE") in names.OWN:
        fix = f"Set {key.removesuffix('_FILE')} itself; only secrets are read from files."
    return Problem(Code.SETTING_UNKNOWN, "There is no such setting.", fix, path)


def _broken_promises(level: Level) -> Iterable[Problem]:
    for key, promise in names.PROMISES.items():
        word = level.values.get(key, promise).strip().lower()
        if word != promise and not (promise == "true" and word in TRUE):
            message = "Clients are always kept apart; that cannot be switched off or loosened."
            yield Problem(Code.SETTING, message, f"Set {promise}, or leave it out.", level.source(key))


def _twice(level: Level) -> Iterable[Problem]:
    for field in names.FIELDS:
        key, file_key = names.own(field), names.secret_file(field)
        if key in level.values and file_key in level.values:
            message = f"Both {key} and {file_key} are set."
            yield Problem(Code.SETTING, message, "Leave one of them out.", level.source(key))


def remarks(read: Sequence[Level], candidates: Mapping[str, Sequence[Sequence[Found]]]) -> Iterable[Problem]:
    """What is worth saying about settings that can be used."""
    for level in read:
        yield from _without_effect(level)
        yield from _lookalikes(level)
    for parts in names.PARTS:
        yield from without_host(parts, read)
    for places in candidates.values():
        for values in places:
            yield from _conflicts(values)


def _without_effect(level: Level) -> Iterable[Problem]:
    for key in level.keys:
        if key.startswith(names.WITHOUT_EFFECT):
            yield Problem(Code.SETTING_IGNORED, "There is no Flask here.", "Leave it out.", level.source(key))


def _lookalikes(level: Level) -> Iterable[Problem]:
    """Slips in older names; in a shared environment the key is another program's."""
    for key in () if level.shared else level.keys:
        if names.resembles_older(key):
            fix = f"Did you mean {names.suggestion(key)}?"
            yield Problem(Code.SETTING_LOOKALIKE, "There is no such setting; it is ignored.", fix, level.source(key))


def _conflicts(values: Sequence[Found]) -> Iterable[Problem]:
    """Two names of one setting, in one place, that say different things."""
    for other in values[1:]:
        if other.value != values[0].value:
            message = f"It says otherwise than {values[0].source}, which counts."
            yield Problem(Code.SETTING_IGNORED, message, "Leave one of them out.", other.source)
