"""The documents in `data/`: realistic, in every format, and in agreement with the demo database."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from commission_mcp.documents.chunking import full_text
from commission_mcp.documents.demo import copy_demo_documents, demo_documents
from commission_mcp.documents.formats import FORMATS, named_format
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import find_ocr

ROOT = Path(__file__).parent.parent.parent
NAMES = sorted(path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").rglob("*") if path.is_file())
ABC = "client-specific/client-abc"


@cache
def text_of(name: str) -> str:
    return full_text(parse(name, (ROOT / "data" / name).read_bytes(), ReadingLimits(), find_ocr("eng")))


@pytest.mark.parametrize("name", NAMES)
def test_every_document_is_read(name: str) -> None:
    assert len(text_of(name)) > 80


def test_every_format_is_there() -> None:
    """But for old workbooks, which no library here writes."""
    assert {named_format(name).name for name in NAMES} == {made.name for made in FORMATS} - {"Excel 97", "JSON lines"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (f"{ABC}/policy.pdf", "Gross revenue of the month: above $100,000 up to $250,000 | Rate: 7%"),
        (f"{ABC}/rates.xlsx", "Territory: South | Product: Product B | From: $250,000 | Rate: 10%"),
        (f"{ABC}/guidelines.docx", "Team: South 1 | Manager: Lorena Vasquez | Territory: South | States: Texas"),
        (f"{ABC}/q3-rates.pdf", "Territory: North | Product: Product A | Priority: priority_1 | Order: 1"),
        (f"{ABC}/q4-bonuses.pdf", "Quota attainment: 100% to below 120% | Performance multiplier: 1.00"),
        (f"{ABC}/performance-metrics.xlsx", "Territory: South | Quota per account executive: $210,000"),
        (f"{ABC}/signed-amendment.png", "60% to the account executive, 40% to the specialist"),
        ("client-specific/client-emea/provisionssaetze.csv", "bis: 40.000,00 € | Satz: 8 %"),
        ("client-specific/client-jp/commission-terms.txt", "純売上高の3％をコミッションとして支払います"),
    ],
)
def test_documents_say_what_the_database_says(name: str, says: str) -> None:
    assert says in text_of(name)


def test_the_script_makes_what_is_there(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_demo_documents.py", tmp_path], check=True, capture_output=True
    )
    made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())

    assert made == NAMES
    for name in NAMES:
        assert full_text(parse(name, (tmp_path / name).read_bytes(), ReadingLimits(), find_ocr("eng"))) == text_of(name)


def test_they_are_found_and_copied_without_touching_what_is_there(tmp_path: Path) -> None:
    own = tmp_path / ABC / "policy.pdf"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"our own")

    copied = copy_demo_documents(tmp_path)

    assert demo_documents().is_dir()
    assert own.read_bytes() == b"our own"
    assert sorted([*copied, f"{ABC}/policy.pdf"]) == NAMES
    assert copy_demo_documents(tmp_path, tmp_path / "client-specific") == []
    assert f"{ABC}/policy.pdf" in copy_demo_documents(tmp_path, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "client-abc" / "policy.pdf").is_file()
