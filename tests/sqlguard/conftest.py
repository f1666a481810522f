"""What the guard's tests share: the corpus and the relations that it reads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard import Relations, Select, parse_select

Codes = Callable[..., list[Code]]
Parse = Callable[..., Select]


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder with the statements."""
    return Path(__file__).parent / "corpus"


@pytest.fixture(scope="session")
def relations(corpus: Path) -> Relations:
    """The relations that the statements may read."""
    return Relations(json.loads((corpus / "relations.json").read_text()))


@pytest.fixture
def parse(relations: Relations) -> Parse:
    """Parse a statement over the relations."""

    def parsed(sql: str, parameter_count: int | None = None) -> Select:
        return parse_select(sql, relations, parameter_count=parameter_count)

    return parsed


@pytest.fixture
def codes(parse: Parse) -> Codes:
    """The codes a statement is refused with, in the order of the text; none if it passes."""

    def refused_with(sql: str, parameter_count: int | None = None) -> list[Code]:
        try:
            parse(sql, parameter_count)
        except Refused as refused:
            return [problem.code for problem in refused.problems]
        return []

    return refused_with
