"""The benchmarks run on any collection of their form; here on small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pymupdf
import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
TEXTS = {
    "d1": ("Refunds", "A commission paid on a refunded sale is recovered."),
    "d2": ("Pay dates", "Commission is paid on the last working day of the following month."),
    "d3": ("Holidays", "Employees take thirty days of holiday a year."),
}


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def cells(output: str, label: str) -> list[float]:
    line = next(line for line in output.splitlines() if line.startswith(f"| {label} |"))
    return [float(cell) for cell in line.split("|")[2:-1]]


def test_a_collection_of_beir_s_form_is_measured(tmp_path: Path, model_directory: Path) -> None:
    """Two questions; the second has two relevant documents, of which one is found first and one cannot be."""
    (tmp_path / "qrels").mkdir()
    corpus = [{"_id": key, "title": title, "text": text} for key, (title, text) in TEXTS.items()]
    queries = [
        {"_id": "q1", "text": "refunded sale"},
        {"_id": "q2", "text": "holiday"},
        {"_id": "q3", "text": "unjudged"},
    ]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), "utf-8")
    (tmp_path / "queries.dev.jsonl").write_text("\n".join(map(json.dumps, queries)), "utf-8")
    judged = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\nq2\tmissing\t1\n"
    (tmp_path / "qrels" / "dev.tsv").write_text(judged, "utf-8")
    output = run("retrieval_beir.py", str(tmp_path), "--model-directory", str(model_directory))
    second = 1 / (1 + 1 / 1.584962500721156)

    assert "3 documents, 2 questions" in output
    for label in ("lexical", "dense", "hybrid", "hybrid, with the lexicon"):
        assert cells(output, label)[:3] == pytest.approx([(1 + second) / 2, 0.75, 1], abs=1e-4)


def test_pages_with_evidence_are_measured(tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / "pdfs").mkdir()
    library: Any = pymupdf
    file = library.open()
    for title, text in TEXTS.values():
        page = file.new_page()
        page.insert_text((72, 72), title, fontsize=18)
        page.insert_text((72, 120), text, fontsize=11)
    file.save(tmp_path / "pdfs" / "handbook.pdf")
    questions = [
        {"question": "When is commission paid?", "document": "handbook.pdf", "evidence_pages": [1]},
        {"question": "How much holiday is there?", "document": "handbook.pdf", "evidence_pages": [2]},
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    output = run("retrieval_pages.py", str(tmp_path), "--model-directory", str(model_directory), "--missed")

    assert cells(output, "+ lexicon (as the tools rank)") == [1.0] * 8
    assert cells(output, "fixed 800/100, dense") == [1.0] * 8


def test_what_is_not_of_a_collection_s_form_is_named_with_its_place(tmp_path: Path) -> None:
    """From any folder, before the model is loaded."""
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "Plan.PDF").write_bytes(b"%PDF-1.7")
    lacking = {"question": "Which?", "document": "Plan.PDF", "company": "Acme"}
    (tmp_path / "questions.jsonl").write_text("\n" + json.dumps(lacking), "utf-8")
    elsewhere = {"question": "Which?", "document": "other.pdf", "evidence_pages": [0]}
    (tmp_path / "others.jsonl").write_text(json.dumps(elsewhere), "utf-8")
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"_id": "1", "text": "a", "more": 1}), "utf-8")
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "b", "more": {}}), "utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query\tdocument\tgrade\nq\t1\t1\n", "utf-8")

    assert "line 2: lacks evidence_pages; it has company, document, question" in refusal(
        "retrieval_pages.py", str(tmp_path)
    )
    assert "no document other.pdf" in refusal(
        "retrieval_pages.py", str(tmp_path), "--questions", str(tmp_path / "others.jsonl")
    )
    assert "lacks query-id, corpus-id, score" in refusal("retrieval_beir.py", str(tmp_path))
    assert "name one of the splits" in refusal("retrieval_beir.py", str(tmp_path), "--split", "dev")
