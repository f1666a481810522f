"""The development corpus: every attack is refused, every honest statement passes, EXPLAIN never does."""

import json
from pathlib import Path
from typing import Any

import pytest

from commission_mcp.errors import Code
from commission_mcp.sqlguard import Relations, check_statements

_TOO_LARGE_TO_KEEP = {
    "r368": "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
    "r371": "SELECT * FROM (" * 1_500 + "SELECT 1" + ") x" * 1_500,
    "r374": "SELECT '" + "x" * 2_000_000 + "'",
}


@pytest.fixture(scope="module")
def entries(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (corpus / "attacks.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def verdicts(corpus: Path, relations: Relations) -> dict[str, dict[str, Any]]:
    lines = (corpus / "attacks.jsonl").read_text().splitlines()
    return {verdict["id"]: verdict for verdict in check_statements(lines, relations)}


def test_every_attack_is_refused(entries: list[dict[str, Any]], verdicts: dict[str, dict[str, Any]]) -> None:
    attacks = [entry["id"] for entry in entries if entry["must"] == "reject"]

    assert [name for name in attacks if verdicts[name]["verdict"] == "accept"] == []


def test_every_honest_statement_passes(entries: list[dict[str, Any]], verdicts: dict[str, dict[str, Any]]) -> None:
    honest = [entry["id"] for entry in entries if entry["must"] == "accept" and "explain" not in entry["class"]]

    assert [name for name in honest if verdicts[name]["verdict"] == "refuse"] == []


def test_explain_is_always_refused(entries: list[dict[str, Any]], verdicts: dict[str, dict[str, Any]]) -> None:
    explained = [entry["id"] for entry in entries if entry["sql"].upper().startswith("EXPLAIN")]

    assert explained
    assert {verdicts[name]["code"] for name in explained} == {Code.SQL_EXPLAIN}


@pytest.mark.parametrize("name", _TOO_LARGE_TO_KEEP)
def test_a_huge_text_is_refused_before_it_is_parsed(name: str, relations: Relations) -> None:
    line = json.dumps({"id": name, "sql": _TOO_LARGE_TO_KEEP[name]})

    assert [verdict["code"] for verdict in check_statements([line], relations)] == [Code.SQL_TOO_LONG]


def test_every_form_of_analysis_passes(corpus: Path, relations: Relations) -> None:
    statements = (corpus / "analysis.sql").read_text().splitlines()[1:]
    lines = [json.dumps({"id": statement, "sql": statement}) for statement in statements]

    assert [verdict for verdict in check_statements(lines, relations) if verdict["verdict"] != "accept"] == []
