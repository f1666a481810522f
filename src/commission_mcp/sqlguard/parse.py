"""`parse_select`: the one way from a text to a statement that may run."""

from __future__ import annotations

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.sqlguard.expansion import NODES_MAX, size_of
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.placeholders import Numbered, number_placeholders
from commission_mcp.sqlguard.relations import Relations
from commission_mcp.sqlguard.scope import Scope
from commission_mcp.sqlguard.statement import SEAL, Select
from commission_mcp.sqlguard.statements import statement_fix, statement_name
from commission_mcp.sqlguard.tree import Node, check_text, parse_tree, unwrap
from commission_mcp.sqlguard.walk import Walk

_WHITESPACE = " \t\n\r\f\v"


def parse_select(text: str, relations: Relations, *, parameter_count: int | None = None) -> Select:
    """Check that a text is one SELECT which reads only exposed relations with harmless means.

    Args:
        text: What the caller wrote, with ``$1`` or ``%s`` placeholders.
        relations: What may be read.
        parameter_count: How many values the caller sent; None if that is not known yet.

    Raises:
        Refused: with every problem found, each at its character of `text`.
    """
    check_text(text)
    numbered = number_placeholders(text, parameter_count)
    findings = Findings(numbered)
    try:
        return _checked(numbered, findings, relations, parameter_count)
    except Refused as refused:
        if numbered.habit_count and numbered.text is text:
            raise Refused(_count_problem(numbered.habit_count, parameter_count or 0), *refused.problems) from None
        raise
    except RecursionError:
        message = "The statement nests too deeply."
        raise Refused(Problem(Code.SQL_TOO_DEEP, message, "Break it up with WITH.")) from None


def _checked(numbered: Numbered, findings: Findings, relations: Relations, parameter_count: int | None) -> Select:
    statement, select = _only_select(numbered, findings)
    walk = Walk(numbered.text, findings, relations)
    walk.query(select, Scope())
    walk.pairwise.report(findings)
    _check_size(select, findings)
    numbers = walk.names.parameters
    highest = max(numbers, default=0)
    if parameter_count is not None:
        _check_parameters(numbers, parameter_count, findings)
    findings.refuse_if_any()
    return Select(
        sql=_text_of(statement, numbered.text),
        parameter_count=highest,
        relations=walk.relations,
        ordered="sortClause" in select,
        volatile=walk.names.volatile,
        small=walk.pairwise.small,
        seal=SEAL,
    )


def _only_select(numbered: Numbered, findings: Findings) -> tuple[Node, Node]:
    """The raw statement and its SelectStmt, if there is one and nothing besides."""
    statements = parse_tree(numbered)
    if len(statements) > 1:
        message = f"There are {len(statements)} statements in the text; one at a time."
        location = _begin(statements[1], numbered.text)
        findings.add(Code.SQL_SEVERAL, message, "Send each in a call of its own.", location)
    for statement in statements:
        kind, _ = unwrap(statement["stmt"])
        location = _begin(statement, numbered.text)
        if kind == "ExplainStmt":
            message = "EXPLAIN is not offered: its estimates are made from the rows of all clients."
            findings.add(
                Code.SQL_EXPLAIN, message, "Send the SELECT itself; `elapsed_ms` tells how long it took.", location
            )
        elif kind != "SelectStmt":
            message = f"{statement_name(kind)} is not allowed; only SELECT is."
            findings.add(Code.SQL_NOT_SELECT, message, statement_fix(kind), location)
    findings.refuse_if_any()
    return statements[0], unwrap(statements[0]["stmt"])[1]


def _check_size(select: Node, findings: Findings) -> None:
    if size_of(select).nodes > NODES_MAX:
        message = (
            "PostgreSQL plans each use of a subquery's column as a copy of its expression, which here are millions."
        )
        fix = "Put what is used several times into a query of WITH that says AS MATERIALIZED, or use it fewer times."
        findings.add(Code.SQL_COST, message, fix, None)


def _check_parameters(numbers: dict[int, int], parameter_count: int, findings: Findings) -> None:
    for number, location in numbers.items():
        if number > parameter_count:
            message = f"${number} has no value; {parameter_count} were sent."
            findings.add(Code.SQL_PARAMS, message, "Send one value for each placeholder, in order.", location)
    for number in range(1, parameter_count + 1):
        if number not in numbers:
            message = f"Value {number} has no placeholder ${number} in the statement."
            findings.add(Code.SQL_PARAMS, message, "Use every value, or send fewer.", None)


def _count_problem(placeholders: int, values: int) -> Problem:
    message = f"There are {placeholders} placeholders %s, but {values} values."
    return Problem(Code.SQL_PARAMS, message, "Send one value for each placeholder, in order.")


def _begin(statement: Node, text: str) -> int:
    """The byte at which a statement begins, its leading blanks passed."""
    start = statement.get("stmt_location", 0)
    rest = text.encode()[start:]
    return start + len(rest) - len(rest.lstrip())


def _text_of(statement: Node, text: str) -> str:
    """The statement's own text, without the semicolon; a comment on its last line is closed by a line break."""
    utf8 = text.encode()
    start = statement.get("stmt_location", 0)
    length = statement.get("stmt_len", 0)
    sql = utf8[start : start + length if length else None].decode().strip(_WHITESPACE)
    return f"{sql}\n" if "--" in sql.rpartition("\n")[2] else sql
