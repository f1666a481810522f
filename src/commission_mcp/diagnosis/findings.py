"""What a check gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from commission_mcp.errors import Problem, Refused


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        ok: Whether it is as it should be.
        detail: What was found.
        fix: What to do; of a check that passed, what to know.
        mend: What `doctor --fix` does about it; empty where that is not safe to do unasked.
    """

    check: str
    ok: bool
    detail: str
    fix: str = ""
    mend: str = ""

    @classmethod
    def good(cls, check: str, detail: str, note: str = "") -> Finding:
        """A check that passed, perhaps with something to know."""
        return cls(check, ok=True, detail=detail, fix=note)

    @classmethod
    def bad(cls, check: str, problem: Problem, mend: str = "") -> Finding:
        """A check that failed."""
        place = f" ({problem.path})" if problem.path else ""
        return cls(check, ok=False, detail=f"{problem.code}{place}: {problem.message}", fix=problem.fix, mend=mend)


Findings = AsyncGenerator[Finding]


async def refusals_as_findings(check: str, findings: Findings) -> Findings:
    """The findings of a check; what it refuses to go on with is a finding too."""
    try:
        async for finding in findings:
            yield finding
    except Refused as refused:
        for problem in refused.problems:
            yield Finding.bad(check, problem)
