"""Arguments of prompts: all may be left out, and what is given is checked and quoted."""

from __future__ import annotations

import json

from commission_mcp.domain.periods import named_period
from commission_mcp.errors import Code, Problem, Refused

_CHARS_MAX = 8_000


def quoted(text: str) -> str:
    """What a person gave, in quotation marks, so that it is seen where it ends.

    Raises:
        Refused: with `E_ARGUMENT` when it is too long.
    """
    if len(text) > _CHARS_MAX:
        message = f"The text has {len(text):,} characters."
        raise Refused(Problem(Code.ARGUMENT, message, f"Give at most {_CHARS_MAX:,}."))
    return json.dumps(text.strip(), ensure_ascii=False)


def period_or(text: str, default: str) -> str:
    """A period in words: the one that is named, or the default.

    Raises:
        Refused: with `E_DATE` when it is no period.
    """
    if not text.strip():
        return default
    if named_period(text.strip()) is None:
        fix = "Give a period such as 2026-07, 2026-Q3 or 2026, or leave it out."
        raise Refused(Problem(Code.DATE, f"{text[:40]!r} is no period.", fix, "period"))
    return f"the period {text.strip()}"
