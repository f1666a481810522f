"""Run as a program of its own: the first sheet of a workbook as CSV, each row with its number in the sheet first.

A hostile or damaged workbook can abort the process that reads it, or fill its memory: one cell in the last column of
the last row is enough. So the reading happens here, under limits of time, memory and disk. This file is started by its
path and imports nothing of the package; its arguments are the workbook, the CSV to write, and the three limits.
"""

from __future__ import annotations

import csv
import errno
import resource
import sys
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

UNREADABLE = 3
TOO_LARGE = 4
SIGNIFICANT_DIGITS = 15  # as many as a spreadsheet shows


def limit(seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """Bound what this process may use."""
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def as_seen(cell: object) -> str:
    """A cell as the text that a person sees: numbers without binary noise, dates as ISO."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{Decimal(f'{cell:.{SIGNIFICANT_DIGITS}g}'):f}"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time.min else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)


def convert(workbook: Path, target: Path) -> None:
    """Write the first sheet of a workbook as CSV."""
    import pandas as pd  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - after the limits are set

    sheet = pd.read_excel(workbook, engine="calamine", header=None, dtype=object, na_filter=False)  # pyright: ignore[reportUnknownMemberType] - pandas leaves it untyped
    with target.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        for number, row in enumerate(sheet.itertuples(index=False, name=None), start=1):
            cells = [as_seen(cell) for cell in row]
            if any(cells):
                writer.writerow([number, *cells])


def main(arguments: list[str]) -> int:
    """Convert under limits; the exit status says what went wrong, and nothing of the content is printed."""
    workbook, target, *limits = arguments
    limit(*map(int, limits))
    try:
        convert(Path(workbook), Path(target))
    except MemoryError:
        return TOO_LARGE
    except OSError as error:
        return TOO_LARGE if error.errno in {errno.EFBIG, errno.ENOSPC, errno.ENOMEM} else UNREADABLE
    except BaseException:  # noqa: BLE001 - whatever a damaged workbook raises, a panic of the reader included
        return UNREADABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
