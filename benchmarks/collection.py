"""Collections of questions with known answers, read from files; what is not of their form is named by file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

Entry: TypeAlias = Mapping[str, object]


def json_lines(path: Path, required: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    """The objects of a file, one a line, each with where it stands; other fields than the required ones may be there.

    Raises:
        SystemExit: with what is missing, and where.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path} cannot be read: {_reason(error)}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry: object = json.loads(line)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{where}: not JSON ({error.msg}); each line is one object") from error
        if not isinstance(entry, dict):
            raise SystemExit(f"{where}: an object is wanted, with {', '.join(required)}")
        fields = cast("Entry", entry)
        missing = [name for name in required if fields.get(name) in (None, "", [])]
        if missing:
            raise SystemExit(f"{where}: lacks {', '.join(missing)}; it has {', '.join(sorted(fields)) or 'nothing'}")
        yield where, fields


def judgements(path: Path) -> dict[str, dict[str, int]]:
    """The grades of a file of BEIR's form: query-id, corpus-id and score, with tabs between; by question.

    Raises:
        SystemExit: with what is wrong, and where.
    """
    wanted = ("query-id", "corpus-id", "score")
    judged: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        missing = [name for name in wanted if name not in (rows.fieldnames or ())]
        if missing:
            raise SystemExit(f"{path}: the first line lacks {', '.join(missing)}; columns are separated by tabs")
        for row in rows:
            try:
                judged.setdefault(row["query-id"], {})[row["corpus-id"]] = int(float(row["score"]))
            except (TypeError, ValueError) as error:
                raise SystemExit(f"{path}, line {rows.line_num}: the score {row['score']!r} is no number") from error
    return judged


def pages(value: object, where: str) -> frozenset[int]:
    """Page numbers counted from 0: a list of them, or one.

    Raises:
        SystemExit: where it is something else.
    """
    listed: list[object] = cast("list[object]", value) if isinstance(value, list) else [value]
    try:
        found = frozenset(int(cast("int", page)) for page in listed)
    except (TypeError, ValueError) as error:
        raise SystemExit(f"{where}: evidence_pages are numbers, counted from 0") from error
    if min(found) < 0:
        raise SystemExit(f"{where}: evidence_pages are counted from 0")
    return found


def _reason(error: Exception) -> str:
    return error.strerror or "no such file" if isinstance(error, OSError) else "it is not UTF-8"
