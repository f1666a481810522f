"""Workbooks: the first sheet of an .xlsx file, read by a child process under limits."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from commission_mcp.errors import Refused
from commission_mcp.storage.imports import workbook_child
from commission_mcp.storage.imports.delimited import Record
from commission_mcp.storage.imports.problems import unreadable

SECONDS_MAX = 120
MEMORY_BYTES_MAX = 2 << 30
OUTPUT_BYTES_MAX = 1 << 30


def records(path: Path) -> Generator[Record]:
    """Read the first sheet of a workbook, the header first; empty rows are left out.

    Raises:
        Refused: The file is not a workbook, or reading it takes more than the limits.
    """
    with tempfile.TemporaryDirectory(prefix="commission-import-") as folder:
        converted = Path(folder) / "sheet.csv"
        _convert(path, converted)
        with converted.open(encoding="utf-8", newline="") as handle:
            for number, *cells in csv.reader(handle):
                yield Record(int(number), cells)


def _convert(path: Path, target: Path) -> None:
    """Have the child write the sheet as CSV, without the environment of this process."""
    limits = (SECONDS_MAX, MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX)
    child = Path(workbook_child.__file__).resolve()
    command = [sys.executable, "-I", "-X", "utf8", child, path.resolve(), target, *map(str, limits)]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, this package's own file
            command,
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_large() from error
    if done.returncode == workbook_child.UNREADABLE:
        raise unreadable("The file is not a workbook that can be read.", "Save it again as .xlsx, or as CSV.")
    if done.returncode != 0:
        raise _too_large()


def _too_large() -> Refused:
    """The refusal of a workbook beyond the limits."""
    return unreadable(
        f"Reading the workbook takes more than {MEMORY_BYTES_MAX >> 30} GiB of memory or {SECONDS_MAX} s.",
        "Save the sheet as CSV, which has no such limit; a stray cell far from the table is a common cause.",
    )
