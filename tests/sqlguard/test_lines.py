"""`check_statements`: a verdict a line, whatever the line holds."""

import json

from commission_mcp.errors import Code
from commission_mcp.sqlguard import Relations, check_statements


def test_each_line_gets_its_verdict(relations: Relations) -> None:
    lines = [json.dumps({"id": "a", "sql": "SELECT 1"}), "", json.dumps({"id": "b", "sql": "SELECT wipe()"})]
    accepted, refused = check_statements(lines, relations)

    assert accepted == {"id": "a", "verdict": "accept", "code": None, "message": None, "position": None}
    assert (refused["id"], refused["verdict"], refused["code"]) == ("b", "refuse", Code.SQL_FUNCTION)
    assert refused["position"] == 7


def test_a_broken_line_is_refused_under_its_number(relations: Relations) -> None:
    lines = ["{", "[]", "3", '{"id": 1}', '{"id": "x", "sql": 5}', "[" * 100_000]

    verdicts = list(check_statements(lines, relations))

    assert [verdict["id"] for verdict in verdicts] == [1, 2, 3, 4, "x", 6]
    assert {verdict["code"] for verdict in verdicts} == {Code.ARGUMENT}


def test_verdicts_can_be_written_as_json(relations: Relations) -> None:
    (verdict,) = check_statements([json.dumps({"id": 1, "sql": "EXPLAIN SELECT 1"})], relations)

    assert json.loads(json.dumps(verdict))["code"] == "E_SQL_EXPLAIN"
