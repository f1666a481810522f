from __future__ import annotations

import pytest

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Document
from commission_mcp.documents.parsing import parse
from commission_mcp.errors import Code, Refused

from .conftest import block_with, texts

LINES = '{"payee": "Ann", "rate": 0.050}\n\n{"payee": "Bob", "rate": 0.06, "notes": {"from": "July"}}\n'


def read(text: str, name: str = "a.json") -> Document:
    return parse(name, text.encode(), ReadingLimits(), None)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_are_rows_that_say_their_line(name: str) -> None:
    document = read(LINES, name)

    assert [(block.text, block.place.rows) for block in document.blocks] == [
        ("payee: Ann | rate: 0.050", (1, 1)),
        ("payee: Bob\nrate: 0.06", (3, 3)),
        ("from: July", (3, 3)),
    ]


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", '{"a": 1}\n{"b": \n'), ("a.json", '{"a": 1}\n{"b": \n')])
def test_a_broken_line_is_told_by_its_number(name: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text, name)

    assert refused.value.problems[0].code is Code.DOCUMENT_DAMAGED
    assert "line 2" in refused.value.problems[0].message


def test_objects_and_arrays_say_their_path() -> None:
    document = read(
        '{"plan": "Core", "tiers": [{"from": 0, "rate": "5%"}, {"from": 100000, "rate": "7%"}], "a/b": {"c": 1}}'
    )

    assert texts(document) == ["plan: Core", "from: 0 | rate: 5%", "from: 100000 | rate: 7%", "c: 1"]
    assert [block.place.path for block in document.blocks] == ["", "/tiers/0", "/tiers/1", "/a~1b"]
    assert block_with(document, "7%").place.section == ("tiers",)


def test_numbers_stay_as_they_are_written() -> None:
    digits = "9" * 5000

    assert texts(read(f'{{"a": {digits}, "b": 0.10, "c": 1e400, "d": NaN, "e": null, "f": true}}')) == [
        f"a: {digits}\nb: 0.10\nc: 1e400\nd: NaN\nf: true"
    ]


def test_a_name_that_stands_twice_is_read_twice() -> None:
    assert texts(read('{"rate": 5, "rate": 7}')) == ["rate: 5\nrate: 7"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": ', Code.DOCUMENT_DAMAGED),
        ("[" * 100_000 + "]" * 100_000, Code.DOCUMENT_DAMAGED),
        ("{}", Code.DOCUMENT_EMPTY),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, Code.DOCUMENT_DAMAGED),
    ],
)
def test_broken_deep_and_empty_json_is_refused(text: str, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        read(text)
    assert refused.value.problems[0].code is code
