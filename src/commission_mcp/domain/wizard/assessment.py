"""What a draft amounts to: the plan if it is whole, and otherwise what is missing and everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.wizard import checks
from commission_mcp.domain.wizard.approvals import requested_steps
from commission_mcp.domain.wizard.canonical import canonical_plan
from commission_mcp.domain.wizard.draft import Draft
from commission_mcp.domain.wizard.fields import PHASES, phase_of_path
from commission_mcp.domain.wizard.inline import Default, Inline
from commission_mcp.domain.wizard.known import Known
from commission_mcp.errors import Code, Problem, Refused

_FIRST_RULE = re.compile(r"^rules\[0\]\.")
_TIERS = re.compile(r"(?:^|\.)tiers$")


@dataclass(frozen=True, slots=True)
class Assessment:
    """A draft, assessed.

    Attributes:
        missing: What has to be given still, by path.
        problems: What has to be changed.
        warnings: How something was understood.
        defaults: What was filled in, and from where.
        plan: The plan, when nothing is missing or wrong.
        definition: What would be stored, then.
        requested: The approval steps that the author asks for.
    """

    missing: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    defaults: tuple[Default, ...]
    plan: Plan | None
    definition: dict[str, object] | None
    requested: tuple[str, ...]

    @property
    def open_phase(self) -> int | None:
        """The first phase that is not done; None when all are."""
        left = {phase_of_path(problem.path) for problem in (*self.missing, *self.problems)}
        return next((phase for phase in PHASES if phase in left), None)

    def of_phase(self, phase: int) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """What is missing and what is wrong in a phase."""
        missing = tuple(problem for problem in self.missing if phase_of_path(problem.path) == phase)
        return missing, tuple(problem for problem in self.problems if phase_of_path(problem.path) == phase)


def assess(draft: Draft, known: Known) -> Assessment:
    """Assess a draft against what the client has; nothing is changed."""
    inline = Inline(draft, known)
    plan, noted = _parsed(inline.form, draft)
    noted = [*inline.problems, *_with_proration(noted, draft), *checks.of_draft(draft, inline, known, plan)]
    missing = _distinct(problem for problem in noted if problem.code is Code.FIELD_MISSING)
    problems = _distinct(problem for problem in noted if problem.code.startswith("E_") and problem not in missing)
    warnings = _distinct(problem for problem in (*inline.warnings, *noted) if problem.code.startswith("W_"))
    whole = plan is not None and not missing and not problems
    one = len(draft.rules) <= 1
    return Assessment(
        missing=tuple(_shown(problem, one_rule=one) for problem in missing),
        problems=tuple(_shown(problem, one_rule=one) for problem in problems),
        warnings=tuple(_shown(problem, one_rule=one) for problem in warnings),
        defaults=(*_from_elsewhere(draft), *inline.defaults),
        plan=plan if whole else None,
        definition=canonical_plan(inline.form, plan) if plan is not None and whole else None,
        requested=requested_steps(draft.submission.get("client_approvals")),
    )


def _parsed(form: Mapping[str, object], draft: Draft) -> tuple[Plan | None, list[Problem]]:
    """The plan, or its problems; the paths are those of the plan's fields."""
    if not draft.rules:
        form = {**form, "rules": [{"commission": 0}]}  # what rules need is asked for separately
    try:
        plan, warnings = parse_plan(form)
    except Refused as refused:
        return None, [_converted(problem) for problem in refused.problems]
    return plan, [_converted(warning) for warning in warnings]


def _with_proration(noted: list[Problem], draft: Draft) -> Iterator[Problem]:
    """A plan that begins or ends inside of a period must say whether it is prorated; said so, that is no warning."""
    for problem in noted:
        if problem.code is not Code.PARTIAL_PERIOD:
            yield problem
        elif draft.metadata.get("proration") is None:
            yield replace(problem, code=Code.FIELD_MISSING, path="proration")


def _converted(problem: Problem) -> Problem:
    path = problem.path.removeprefix("plan.")
    code = problem.code
    if code is Code.TIER_COUNT and _TIERS.search(path) and "no tiers" in problem.message:
        code = Code.FIELD_MISSING
    return replace(problem, code=code, path=path)


def _distinct(problems: Iterator[Problem]) -> list[Problem]:
    """The first problem of each kind at each place."""
    first: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.code, problem.path), problem)
    return list(first.values())


def _shown(problem: Problem, *, one_rule: bool) -> Problem:
    """The problem with the path as the author wrote it: a single rule's fields stand by themselves."""
    return replace(problem, path=_FIRST_RULE.sub("", problem.path)) if one_rule else problem


def _from_elsewhere(draft: Draft) -> Iterator[Default]:
    """The fields that a template or another version gave."""
    fields = {**draft.metadata, **draft.extras, **draft.submission, "rules": list(cast("tuple[object]", draft.rules))}
    for path, source in draft.sources.items():
        if path in fields:
            yield Default(path, fields[path], source)
