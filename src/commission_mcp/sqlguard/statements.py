"""Telling statements apart that are not a SELECT: what each is called, and what to do instead."""

from __future__ import annotations

import re

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")

_NAMES: dict[str, str] = {
    "VariableSetStmt": "SET",
    "VariableShowStmt": "SHOW",
    "TransactionStmt": "Transaction control",
    "DoStmt": "DO",
    "CopyStmt": "COPY",
    "CallStmt": "CALL",
    "CreateTableAsStmt": "CREATE TABLE AS",
    "PrepareStmt": "PREPARE",
    "ExecuteStmt": "EXECUTE",
    "DeclareCursorStmt": "DECLARE CURSOR",
}
_WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})


def statement_name(kind: str) -> str:
    """The statement kind as people write it: `CreateRoleStmt` is CREATE ROLE."""
    return _NAMES.get(kind) or _WORDS.sub(" ", kind.removesuffix("Stmt")).upper()


def statement_fix(kind: str) -> str:
    """What to do instead of this statement."""
    if kind in _WRITES:
        return "Read with one SELECT; nothing is written through `query`."
    if kind in {"PrepareStmt", "DeclareCursorStmt"}:
        return "Send the SELECT itself; the answer comes in pages by itself."
    if kind == "CopyStmt":
        return "Send the SELECT itself, without COPY."
    return "Send one SELECT, WITH ... SELECT, VALUES or TABLE."
