"""The one command over all benchmarks: it goes on, keeps what was measured, and draws it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import PARTS, parts
from benchmarks.running import HERE, Outcome, Part, Table, measure_part, tables_of

TABLE = "| what | p50 ms |\n|---|---:|\n| one row | 1.5 |"


def measured(folder: Path, program: str, patience_s: float = 30) -> Outcome:
    script = folder / "script.py"
    script.write_text(program)
    return measure_part(Part("part", str(script), (), "a test"), folder / "results", patience_s)


def test_every_part_is_a_script_and_every_size_has_all_of_them() -> None:
    assert [name for name, (script, _, _) in PARTS.items() if not (HERE / script).is_file()] == []
    assert {len(parts(size, [])) for size in ("quick", "normal", "full")} == {len(PARTS)}


def test_the_tables_of_a_text_are_read_cell_by_cell() -> None:
    text = f"Something before.\n\n{TABLE}\n\nand | between\n\n| a |\n|---|\n"

    assert tables_of(text) == [Table(["what", "p50 ms"], [["one row", "1.5"]]), Table(["a"], [])]


def test_what_a_script_measured_is_kept_with_its_command_and_machine(tmp_path: Path) -> None:
    outcome = measured(tmp_path, f"print({TABLE!r})")
    kept = json.loads((tmp_path / "results" / "part.json").read_text("utf-8"))

    assert outcome.failure == ""
    assert kept["tables"] == [{"columns": ["what", "p50 ms"], "rows": [["one row", "1.5"]]}]
    assert {"command", "started", "elapsed_s", "machine"} <= set(kept)


@pytest.mark.parametrize(
    ("program", "patience_s", "word"),
    [
        (f"print({TABLE!r}); raise SystemExit(3)", 30, "code 3"),
        ("print('nothing to see')", 30, "no table"),
        ("import threading; threading.Event().wait()", 0.5, "not done"),
    ],
)
def test_a_script_that_fails_is_named_and_what_was_kept_before_stays(
    tmp_path: Path, program: str, patience_s: float, word: str
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "part.json").write_text("before")
    outcome = measured(tmp_path, program, patience_s)

    assert word in outcome.failure
    assert (tmp_path / "results" / "part.json").read_text() == "before"


def test_a_kept_result_is_drawn_and_written_on_the_page(tmp_path: Path) -> None:
    figures = pytest.importorskip("benchmarks.figures", reason="matplotlib comes with the extra [benchmarks]")
    table = "| documents | s |\\n|---|---:|\\n| 10 files | 1.5 |\\n| 10 files, unchanged | 0.1 |"
    script = tmp_path / "script.py"
    script.write_text(f'print("{table}")')
    outcome = measure_part(Part("indexing", str(script), (), "a test"), tmp_path / "results", 30)
    drawn = figures.draw_all(tmp_path / "results", tmp_path / "figures")
    page = figures.write_page(tmp_path / "results", tmp_path / "figures").read_text("utf-8")

    assert outcome.failure == ""
    assert [path.name for path in drawn] == ["indexing.svg", "indexing.png"]
    assert "![indexing](indexing.svg)" in page
    assert "| 10 files, unchanged | 0.1 |" in page
