"""Tiers as people type them into a form: `0-100000: 5; 100000-250000: 7; 250000-: 10`."""

from __future__ import annotations

import re

_ROW = re.compile(r"(?P<low>[0-9][0-9.,]*)\s*(?:-|to|\.\.)\s*(?P<high>[0-9][0-9.,]*)?\s*[:=]\s*(?P<rate>[0-9.,]+)\s*%?")


def read_tiers(text: str) -> list[dict[str, str | None]] | str:
    """The tiers in a text, one a line or separated by semicolons; the text itself when it holds none.

    Numbers stay as they were typed: whoever reads the tiers says what is wrong with them.
    """
    rows = [row.strip() for row in re.split(r"[;\n]", text) if row.strip()]
    read = [_ROW.fullmatch(row) for row in rows]
    tiers = [{"from": row["low"], "to": row["high"], "commission": row["rate"]} for row in read if row is not None]
    return tiers if rows and len(tiers) == len(rows) else text
