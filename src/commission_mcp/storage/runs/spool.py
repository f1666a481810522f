"""Result lines on their way to the database: made ready batch by batch, and kept on disk until the run is written."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, TypeAlias, cast

from commission_mcp.domain.line_text import LineTexts, exact_text, only_band, only_rate
from commission_mcp.domain.money import ZERO, exact, plain
from commission_mcp.domain.outcome import Kind, Line
from commission_mcp.domain.settlement import Result
from commission_mcp.storage.runs.versions import StoredPlan

Cell: TypeAlias = str | int | None
Row: TypeAlias = Sequence[Cell]

_JSON = json.JSONEncoder(ensure_ascii=False)

_KINDS = {
    Kind.TRUE_UP: "true_up",
    Kind.RERUN: "clawback",
    Kind.FLOOR: "floor",
    Kind.CAP: "cap",
    Kind.OVERRIDE: "override",
    Kind.HELD: "adjustment",
    Kind.RELEASED: "adjustment",
    Kind.CLAWBACK: "clawback",
    Kind.ADJUSTMENT: "adjustment",
    Kind.BASE_SALARY: "base_salary",
    Kind.DRAW: "draw_advance",
    Kind.RECOVERY: "draw_recovery",
}


class Spool(AbstractContextManager["Spool"]):
    """Takes results as they are made; a file of this process alone, gone when it closes.

    Args:
        sources: Where the plans are stored.
    """

    def __init__(self, sources: Sequence[StoredPlan]) -> None:
        self._sources = {(stored.plan_id, stored.version): stored for stored in sources}
        self._lines: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._notes: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as above
        self._texts = LineTexts()
        self.payees: set[str] = set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was spooled."""
        self._lines.close()
        self._notes.close()

    def take(self, result: Result) -> None:
        """Make the rows of a result ready."""
        stored = self._sources[result.source.plan_id, result.source.version]
        numbers = _rule_numbers(stored)
        with exact():
            rows = [_line_row(stored, numbers, line, self._texts) for line in result.outcome.lines]
        self.payees.update(line.payee for line in result.outcome.lines)
        pickle.dump(rows, self._lines, pickle.HIGHEST_PROTOCOL)
        steps = [
            ("step", step.payee or None, stored.plan_id, stored.version, None, None, None, step.text)
            for step in result.outcome.steps
        ]
        pickle.dump(steps, self._notes, pickle.HIGHEST_PROTOCOL)

    def lines(self) -> Iterator[Row]:
        """All lines, without run and number."""
        return _rows(self._lines)

    def notes(self) -> Iterator[Row]:
        """All steps as notes, without run and number."""
        return _rows(self._notes)


def _rows(file: IO[bytes]) -> Iterator[Row]:
    """What this process has written into the file itself."""
    file.seek(0)
    while True:
        try:
            rows = cast("list[Row]", pickle.load(file))  # noqa: S301 - an unlinked file that only this process wrote
        except EOFError:
            return
        yield from rows


def _rule_numbers(stored: StoredPlan) -> Mapping[str, int]:
    """The numbers of the rules that the table of rules has, by name."""
    rules = [rule.name for rule in stored.plan.rules if rule.stage == 0]
    return {name: number for number, name in enumerate(rules, start=1) if number in stored.rule_numbers}


def _line_row(stored: StoredPlan, numbers: Mapping[str, int], line: Line, texts: LineTexts) -> Row:
    currency, band, rate = stored.plan.currency, only_band(line), only_rate(line)
    kind = _KINDS.get(line.kind, "bonus" if line.stage == 1 else "commission")
    told: dict[str, object] = {"text": texts.text(line, currency), "plan": stored.name, "rule": line.rule}
    told["kind"] = str(line.kind)
    if line.parts:
        told["share"] = plain(line.share)
        told["parts"] = texts.parts(line)
    return (
        line.payee,
        stored.plan_id,
        stored.version,
        None if line.by is None else numbers.get(line.rule),
        line.sale_id,
        None if band is None else f"[{band[0]:f},{'' if band[1] is None else format(band[1], 'f')})",
        exact_text(line.base or ZERO),
        None if rate is None else exact_text(rate),
        exact_text(line.exact),
        f"{line.amount:f}",
        currency,
        kind,
        _JSON.encode(told),
    )
