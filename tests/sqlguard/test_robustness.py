"""No text takes the process down, or keeps it busy: each is a verdict, soon."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard import Relations, parse_select

_DEEP: dict[str, tuple[str, str, str]] = {
    # what repeats before, in the middle, what repeats behind
    "chain of +": ("", "1", "+1"),
    "nested +": ("1+(", "1", ")"),
    "brackets": ("(", "1", ")"),
    "signs": ("- ", "a", ""),
    "NOT": ("NOT ", "true", ""),
    "casts": ("", "1", "::int"),
    "concatenation": ("", "'a'", "||'a'"),
    "AND": ("", "a", " AND a"),
    "AND in OR": ("(a OR b AND ", "c", ")"),
    "CASE": ("CASE a WHEN ", "1", " THEN 1 END"),
    "scalar subqueries": ("(SELECT ", "1", ")"),
    "subqueries": ("a FROM (SELECT ", "1", ") a"),
    "arrays": ("ARRAY[", "1", "]"),
    "array literals": ("ARRAY[[", "1", "]]"),
    "joins": ("", "1 FROM deals", " JOIN deals ON true"),
    "natural joins": ("", "1 FROM deals", " NATURAL JOIN deals"),
    "bracketed joins": ("", "1 FROM " + "(deals JOIN " * 300 + "deals" + " ON true)" * 300, ""),
    "UNION": ("", "1", " UNION SELECT 1"),
    "nested UNION": ("1 UNION (SELECT ", "1", ")"),
    "calls": ("abs(", "1", ")"),
    "rows": ("(1,", "1", ")"),
    "IN": ("1 IN (", "1", ")"),
    "ISNULL": ("(", "1", " ISNULL)"),
    "COLLATE": ("", "'a'", ' COLLATE "C"'),
    "time zones": ("", "now()", " AT LOCAL"),
    "subscripts": ("", "a", "[1]"),
    "nested subscripts": ("a[", "1", "]"),
    "selections": ("(", "a", ").b"),
    "WITH": ("(WITH a AS (SELECT ", "1", ") SELECT 1)"),
    "comments": ("/*", "1", "*/"),
    "open brackets": ("(", "", ""),
    "open quotes": ("'", "", ""),
    "doubling columns": ("", "1", ""),
}
_CHILD = """
import json, sys, threading
from commission_mcp.errors import Refused
from commission_mcp.sqlguard import Relations, parse_select

relations = Relations({"app.deals": {"amount": "numeric"}})

def run():
    for name, text in json.load(sys.stdin).items():
        try:
            parse_select(text, relations)
        except Refused:
            pass
        print(name, flush=True)

threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def _deep_texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, (before, middle, behind) in _DEEP.items():
        for size in (3_000, 20_400):
            count = (size - len(middle) - 8) // max(1, len(before) + len(behind))
            texts[f"{name} {size}"] = "SELECT " + before * count + middle + behind * count
        unit = before + middle + behind
        texts[f"{name} 1 MB"] = "SELECT " + unit * (1_000_000 // len(unit))
    doubling = ", ".join(f"a{n} AS (SELECT *, * FROM a{n - 1})" for n in range(1, 100))
    texts["doubling"] = f"WITH a0 AS (TABLE app.deals), {doubling} SELECT * FROM a99"
    return texts


@pytest.mark.parametrize("stack_bytes", [8 << 20, 512 << 10], ids=["usual stack", "small stack"])
def test_no_nesting_crashes_the_process(stack_bytes: int) -> None:
    texts = _deep_texts()
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(stack_bytes)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.splitlines() == list(texts)


@pytest.mark.parametrize(
    "text", ["SELECT 1" + "+1" * 250, "SELECT 1" + " UNION SELECT 1" * 400, "SELECT " + "(" * 400 + "1" + ")" * 400]
)
def test_reasonable_chains_pass(text: str, relations: Relations) -> None:
    assert parse_select(text, relations).sql == text


@pytest.mark.parametrize("text", ["SELECT 1" + "+1" * 9_000, "SELECT " + "(SELECT " * 60 + "1" + ")" * 60])
def test_too_deep_is_told(text: str, codes: Callable[..., list[Code]]) -> None:
    assert codes(text) == [Code.SQL_TOO_DEEP]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "a()," * 4_000 + "1",
        "SELECT " + "zz," * 6_000 + "1 FROM deals",
        "SELECT 1 FROM deals" + ",deals" * 3_000,
        "SELECT " + "1," * 3_000 + "'" + "é" * 3_000 + "'",
        "SELECT " + ",".join("*" * 8_000) + " FROM deals",
    ],
)
def test_a_wide_text_takes_no_longer_than_a_moment(text: str, codes: Callable[..., list[Code]]) -> None:
    began_s = time.thread_time()  # its own work: a busy machine is no fault of the text
    codes(text)

    assert time.thread_time() - began_s < 2


_WORDS = st.sampled_from(
    """SELECT FROM WHERE deals reps r r.name (r).name ( ) , * . + - % %s %% $1 $2 'a' '' " "" ' -- /* */ ; :: int [1]
    AS x WITH RECURSIVE UNION ALL VALUES JOIN ON LATERAL USING GROUP BY ORDER LIMIT 1 2.5 CASE WHEN THEN END NULL now()
    sum( count(*)
    OVER EXISTS ARRAY[ ] ROW( $$ $a$ E'\\ U&" 🙂 é""".split()  # noqa: SIM905 - words
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(_WORDS, max_size=30).map(" ".join), st.lists(_WORDS, max_size=30).map("".join)))
def test_any_text_is_accepted_or_refused_within_itself(text: str) -> None:
    relations = Relations({"app.deals": {"amount": "numeric"}, "app.reps": {"name": "text"}})
    for count in (None, 1):
        positions: list[int | None] = []
        try:
            parse_select(text, relations, parameter_count=count)
        except Refused as refused:
            positions = [problem.position for problem in refused.problems]

        assert all(position is None or 0 <= position <= len(text) for position in positions)


def test_the_guard_keeps_nothing_between_statements(corpus: Path, relations: Relations) -> None:
    statements = (corpus / "analysis.sql").read_text().splitlines()[1:]

    assert [parse_select(sql, relations) for sql in statements] == [parse_select(sql, relations) for sql in statements]
