"""Running one script of the benchmarks: what it prints is shown as it comes, and its tables are kept."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from time import perf_counter

HERE = Path(__file__).parent
_RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


@dataclass(frozen=True, slots=True)
class Part:
    """A script with its arguments."""

    name: str
    script: str
    arguments: tuple[str, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went; `failure` is empty when it went well."""

    part: str
    elapsed_s: float
    failure: str


@dataclass(frozen=True, slots=True)
class Table:
    """A Markdown table, cell by cell, as text."""

    columns: list[str]
    rows: list[list[str]]


def measure_part(part: Part, results: Path, patience_s: float) -> Outcome:
    """Run a script to its end, or until the patience is over; its tables are written only when it went well."""
    print(f"\n## {part.name}: {part.about}\n", flush=True)
    load_before, started_s, started_at = _load(), perf_counter(), datetime.now(UTC)
    command = [sys.executable, str(HERE / part.script), *part.arguments]
    printed, code = _run(command, patience_s)
    elapsed_s = perf_counter() - started_s
    tables = tables_of(printed)
    failure = _failure(code, tables, elapsed_s, patience_s)
    if not failure:
        kept = {
            "command": " ".join(("python", f"benchmarks/{part.script}", *part.arguments)),
            "started": started_at.isoformat(timespec="seconds"),
            "elapsed_s": round(elapsed_s, 1),
            "machine": {"cores": os.cpu_count(), "load_before": load_before, "load_after": _load(), **_software()},
            "tables": [{"columns": table.columns, "rows": table.rows} for table in tables],
        }
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{part.name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return Outcome(part.name, elapsed_s, failure)


def tables_of(text: str) -> list[Table]:
    """The Markdown tables of a text."""
    lines = [line.strip() for line in text.splitlines()]
    tables: list[Table] = []
    for number, line in enumerate(lines):
        if _RULE.fullmatch(line) and number:
            rows: list[list[str]] = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(_cells(row))
            tables.append(Table(_cells(lines[number - 1]), rows))
    return tables


def _run(command: list[str], patience_s: float) -> tuple[str, int]:
    """What a command printed, and its exit code; stderr goes where ours goes."""
    printed: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
        patience = Timer(patience_s, process.terminate)
        patience.start()
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                printed.append(line)
        finally:
            patience.cancel()
    return "".join(printed), process.returncode


def _failure(code: int, tables: list[Table], elapsed_s: float, patience_s: float) -> str:
    if elapsed_s >= patience_s:
        return f"not done after {patience_s:.0f} s"
    if code:
        return f"ended with code {code}"
    return "" if any(table.rows for table in tables) else "printed no table"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _software() -> dict[str, str]:
    return {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
