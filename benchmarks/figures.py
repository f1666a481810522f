"""Draws the figures of docs/figures from the kept results, as PNG and SVG.

    python -m benchmarks.figures [RESULTS] [FOLDER]

Text and lines are of a grey that is readable on white and on black, and the background is clear, so that a figure fits
a page of either kind. A figure whose results are missing is left out; the others are drawn.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

Figure: TypeAlias = Any  # matplotlib leaves the keywords of its methods untyped
Axes: TypeAlias = Any
settings: Any = mpl

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
INK = "#6e7781"
OURS, OURS_TOO, OTHER, OTHERS = "#2f81f7", "#8957e5", "#bf8700", "#57a55a"
PALETTE = (OURS, OTHER, OTHERS, OURS_TOO)
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "commission-mcp",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The tables of a part."""

    tables: list[dict[str, Any]]

    def column(self, name: str, table: int = 0) -> list[float]:
        """The numbers of a column."""
        at = self.tables[table]["columns"].index(name)
        return [number(row[at]) for row in self.tables[table]["rows"]]

    def names(self, table: int = 0) -> list[str]:
        """The first column."""
        return [row[0].replace("`", "") for row in self.tables[table]["rows"]]

    def value(self, name: str) -> float:
        """The number beside a name in the first table of two columns."""
        return next(number(row[1]) for row in self.tables[0]["rows"] if row[0] == name)


def number(text: str) -> float:
    """A cell as a number: `1,024 (99 before)` is 1024; an empty one is 0."""
    first = text.replace(",", "").split(" ")[0]
    return float(first) if first else 0.0


def draw_all(results: Path, folder: Path = FIGURES) -> list[Path]:
    """Draw every figure whose results are there; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    for name, draw in DRAWINGS.items():
        file = results / f"{name}.json"
        if not file.exists():
            continue
        with settings.rc_context(STYLE):
            figure: Figure = Canvas(figsize=(7.2, 2.9), layout="constrained")
            draw(Result(json.loads(file.read_text("utf-8"))["tables"]), figure)
            for ending, extra in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 110})):
                path = folder / f"{name}.{ending}"
                figure.savefig(path, transparent=True, **extra)
                drawn.append(path)
    return drawn


def write_page(results: Path, folder: Path = FIGURES) -> Path:
    """Write the page that shows every kept table and figure, with the command, the day and the machine of each."""
    sections = [_HEADING, *(_section(file, folder) for file in sorted(results.glob("*.json")))]
    page = folder / "README.md"
    folder.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(sections) + "\n", "utf-8")
    return page


_HEADING = """# Figures

What `python -m benchmarks` measured last, written by it; the tables are kept in `benchmarks/results`. Each table is of
one run on one machine: compare its rows with each other. A load above the number of cores, before or after, means that
the machine did something else too."""


def _section(file: Path, folder: Path) -> str:
    kept = json.loads(file.read_text("utf-8"))
    machine = kept["machine"]
    told = (
        f"`{kept['command']}`, {kept['started'][:10]}, {kept['elapsed_s']:.0f} s; {machine['cores']} cores, load "
        f"{machine['load_before']} before and {machine['load_after']} after, Python {machine['python']}."
    )
    picture = [f"![{file.stem}]({file.stem}.svg)"] if (folder / f"{file.stem}.svg").exists() else []
    return "\n\n".join([f"## {file.stem}", *picture, *map(_markdown, kept["tables"]), told])


def _markdown(table: dict[str, Any]) -> str:
    rule = ["---", *("---:" for _ in table["columns"][1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table["columns"], rule, *table["rows"]))


def query(result: Result, figure: Figure) -> None:
    """A call, in memory and over stdio."""
    rows = {
        "trivial tool": "trivial tool, {}",
        "1 row, kept": "`query`, 1 row, hit, {}",
        "1 row, anew": "`query`, 1 row, miss, {}",
        "1,000 rows, kept": "`query`, 1,000 rows x 6, hit, {}",
        "1,000 rows, anew": "`query`, 1,000 rows x 6, miss, {}",
    }
    series = {way: [result.value(name.format(way)) for name in rows.values()] for way in ("in memory", "over stdio")}
    grouped(figure.subplots(), list(rows), series, "p50, ms", "One call of a tool")


def peers(result: Result, figure: Figure) -> None:
    """This server beside others, each question with its own axis."""
    names = result.names()
    columns: Sequence[str] = result.tables[0]["columns"][2:-1]
    colours = [
        OURS if name.startswith("commission-mcp") else INK if name.startswith("bare") else OTHER for name in names
    ]
    axes: Sequence[Axes] = figure.subplots(1, len(columns), sharey=True)
    for axis, column in zip(axes, columns, strict=True):
        values = result.column(column)
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{value:.1f}" for value in values], padding=2, fontsize=7)
        axis.set_title(column)
        axis.set_xlabel("p50, ms")
        axis.margins(x=0.25)
    axes[0].invert_yaxis()


def cache(result: Result, figure: Figure) -> None:
    """Answers kept and read anew."""
    series = {name: result.column(name) for name in ("kept", "anew", "after a change")}
    grouped(figure.subplots(), result.names(), series, "p50, ms", "An answer that is kept, and one that is read")


def isolation(result: Result, figure: Figure) -> None:
    """Views against tables, with their ratio."""
    series = {
        "through the client's views": result.column("views, us"),
        "explicit WHERE on the tables": result.column("explicit WHERE, us"),
    }
    ratios = [f"{name}\n{ratio:.2f} times" for name, ratio in zip(result.names(), result.column("ratio"), strict=True)]
    grouped(figure.subplots(), ratios, series, "p50, us", "What row security costs")


def search(result: Result, figure: Figure) -> None:
    """The parts of a search, by passages."""
    axis: Axes = figure.subplots()
    names = [f"{name} passages" for name in result.names()]
    left = [0.0] * len(names)
    for part, colour in zip(("embedding", "dense", "lexical", "rest"), PALETTE, strict=True):
        values = result.column(part)
        axis.barh(names, values, left=left, label=part, color=colour)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("p50, ms")
    axis.set_title("Where a search spends its time")
    axis.legend()


def indexing(result: Result, figure: Figure) -> None:
    """Indexing, again and again."""
    axis: Axes = figure.subplots()
    values = result.column("s")
    bars = axis.barh(result.names(), values, color=OURS)
    axis.bar_label(bars, [f"{value:.1f} s" for value in values], padding=2)
    axis.set_xlabel("s")
    axis.set_title("Keeping documents")
    axis.margins(x=0.15)
    axis.invert_yaxis()


def engine(result: Result, figure: Figure) -> None:
    """A run, by its sales."""
    sales = [number(name) for name in result.names()]
    time, memory = figure.subplots(1, 2)
    for axis, column, label in ((time, "CPU s", "CPU, s"), (memory, "peak MiB", "peak memory, MiB")):
        axis.loglog(sales, result.column(column), marker="o", color=OURS)
        axis.set_xlabel("sales of the month")
        axis.set_ylabel(label)
        axis.grid(visible=True, which="major", alpha=0.25)
    time.set_title("A run of a month")


def load(result: Result, figure: Figure) -> None:
    """Latency under load."""
    names = [name.replace(", ", ",\n", 1) for name in result.names()]
    series = {"p50": result.column("p50 ms"), "p99": result.column("p99 ms")}
    axis: Axes = figure.subplots()
    grouped(axis, names, series, "ms", "Calls over HTTP, two workers")
    axis.set_yscale("log")


def grouped(axis: Axes, names: Sequence[str], series: dict[str, list[float]], unit: str, title: str) -> None:
    """Bars side by side, with their numbers."""
    width = 0.8 / len(series)
    for place, ((name, values), colour) in enumerate(zip(series.items(), PALETTE, strict=False)):
        at = [each + (place - (len(series) - 1) / 2) * width for each in range(len(names))]
        bars = axis.bar(at, values, width * 0.92, label=name, color=colour)
        axis.bar_label(
            bars, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values], padding=1, fontsize=7
        )
    axis.set_xticks(
        range(len(names)),
        [name.replace(" by ", "\nby ").replace(" with ", "\nwith ").replace(", ", ",\n") for name in names],
    )
    axis.set_ylabel(unit)
    axis.set_title(title)
    axis.margins(y=0.15)
    axis.legend()


DRAWINGS: dict[str, Callable[[Result, Figure], None]] = {
    "query": query,
    "peers": peers,
    "cache": cache,
    "isolation": isolation,
    "search": search,
    "indexing": indexing,
    "engine": engine,
    "load": load,
}

if __name__ == "__main__":
    given = [Path(each) for each in sys.argv[1:]]
    kept = given[0] if given else Path(__file__).parent / "results"
    for path in (*draw_all(kept, *given[1:2]), write_page(kept, *given[1:2])):
        print(path)
