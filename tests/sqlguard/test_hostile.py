"""Over a thousand hostile statements by class: every one is refused, with a code and with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard import Relations, parse_select

_CALL = "pg_read_file('/etc/passwd')"
_FORMS = (
    "SELECT {}",
    "SELECT * FROM {} x",
    "SELECT 1 FROM deals WHERE {} IS NOT NULL",
    "WITH x AS (VALUES ({})) TABLE x",
)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()[1:]


def _statements(corpus: Path) -> Iterator[str]:
    yield from (place.replace("{hostile}", _CALL) for place in _lines(corpus / "hostile_places.txt"))
    yield from (form.format(call) for call in _lines(corpus / "hostile_calls.txt") for form in _FORMS)
    yield from (line.replace("\\n", "\n") for line in _lines(corpus / "hostile.txt"))


def _refusal(sql: str, relations: Relations) -> Refused | None:
    try:
        parse_select(sql, relations)
    except Refused as refused:
        return refused
    return None


def test_every_hostile_statement_is_refused_with_a_fix(corpus: Path, relations: Relations) -> None:
    statements = list(_statements(corpus))
    refusals = {sql: _refusal(sql, relations) for sql in statements}

    assert len(statements) > 1_400
    assert [sql for sql, refusal in refusals.items() if refusal is None] == []
    problems = [problem for refusal in refusals.values() if refusal for problem in refusal.problems]
    assert [problem for problem in problems if not problem.fix] == []


def test_every_place_of_an_expression_is_looked_into(corpus: Path, relations: Relations) -> None:
    places = _lines(corpus / "hostile_places.txt")
    passing = [place for place in places if _refusal(place.replace("{hostile}", "lower('x')"), relations) is None]
    unseen = [place for place in places if not _names_the_call(place.replace("{hostile}", _CALL), relations)]

    assert unseen == []
    assert len(passing) > len(places) * 0.8, "most places are of statements that pass with a harmless call"


def _names_the_call(sql: str, relations: Relations) -> bool:
    with pytest.raises(Refused) as refused:
        parse_select(sql, relations)
    codes = {problem.code for problem in refused.value.problems}
    return bool(codes & {Code.SQL_FUNCTION, Code.SQL_SYNTAX})  # some places take constants only
