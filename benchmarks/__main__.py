"""All benchmarks by one command: tables on the terminal, results as JSON, figures as PNG and SVG.

    python -m benchmarks [--quick | --full] [--only NAME ...] [--no-figures]

Each part is a script of this folder, which can be run alone; its Markdown tables are read from what it prints and kept
in `benchmarks/results/NAME.json`, with the command, the moment and the machine. A part that fails does not stop the
others: it is named at the end, and the exit code is 1. `python -m benchmarks.figures` draws the results again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import Outcome, Part, measure_part

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Sizes:
    """The arguments of a script: for a look, as it is published, and with everything."""

    quick: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    full: tuple[str, ...] = ()


PARTS: dict[str, tuple[str, str, Sizes]] = {
    "query": ("latency.py", "start-up, a trivial tool, `query` kept and anew", Sizes()),
    "audit": ("audit_cost.py", "what the audit trail costs", Sizes()),
    "peers": (
        "peers.py",
        "other MCP servers for PostgreSQL, the same questions",
        Sizes(("--rounds", "20"), ("--rounds", "200"), ("--rounds", "500")),
    ),
    "isolation": (
        "isolation_overhead.py",
        "row security against an explicit WHERE",
        Sizes(("500", "500000"), ("1000", "1000000"), ("1000", "1000000")),
    ),
    "cache": (
        "cache_hits.py",
        "answers kept and read anew, by the size of the question",
        Sizes(("30",), ("200",), ("500",)),
    ),
    "search": (
        "search_latency.py",
        "a search, by the number of passages",
        Sizes(
            ("--sizes", "1000"),
            ("--sizes", "1000", "10000", "--indexing"),
            ("--sizes", "1000", "10000", "100000", "--indexing"),
        ),
    ),
    "indexing": (
        "documents_index.py",
        "keeping documents, many clients",
        Sizes(
            ("--documents", "500", "--clients", "30"),
            ("--documents", "5000", "--clients", "500"),
            ("--documents", "10000", "--clients", "10000"),
        ),
    ),
    "import": ("import_million.py", "importing sales", Sizes(("20000",), ("300000",), ("1000000",))),
    "engine": (
        "run_million.py",
        "a month's run, compared with SQL",
        Sizes(("2000", "10000"), ("10000", "30000", "100000", "300000"), ("10000", "100000", "1000000")),
    ),
    "load": (
        "http_load.py",
        "sessions over HTTP, a noisy client beside a quiet one",
        Sizes(("20", "10", "6"), ("300", "40", "60"), ("1000", "100", "60")),
    ),
}
PATIENCE_S = 480
"""For one part in its normal form; `--full` waits six times as long."""


def parts(size: str, only: list[str]) -> list[Part]:
    """What to run."""
    chosen = only or list(PARTS)
    return [Part(name, PARTS[name][0], getattr(PARTS[name][2], size), PARTS[name][1]) for name in chosen]


def main(arguments: list[str]) -> int:
    """Measure, draw, and say what failed."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(PARTS), default=[], help="this part; repeatable")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", default="normal", help="small sizes")
    size.add_argument("--full", dest="size", action="store_const", const="full", help="the largest sizes; hours")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results are written")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing")
    given = parser.parse_args(arguments)
    patience_s = PATIENCE_S * (6 if given.size == "full" else 1)
    outcomes = [measure_part(part, given.results, patience_s) for part in parts(given.size, given.only)]
    failed = [outcome for outcome in outcomes if outcome.failure]
    failures = [f"{outcome.part}: {outcome.failure}" for outcome in failed]
    if not given.no_figures:
        failures += _figures(given.results)
    print(f"\n{_summary(outcomes)}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def _figures(results: Path) -> list[str]:
    try:
        from benchmarks.figures import draw_all, write_page  # noqa: PLC0415 - matplotlib is an extra
    except ImportError as error:
        return [f"figures: {error}; pip install '.[benchmarks]'"]
    for path in (*draw_all(results), write_page(results)):
        print(f"drawn: {path}")
    return []


def _summary(outcomes: list[Outcome]) -> str:
    rows = [f"| {each.part} | {each.elapsed_s:.0f} | {each.failure or 'ok'} |" for each in outcomes]
    return "\n".join(("| part | s | |", "|---|---:|---|", *rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
