"""Which rules pay a sale: the most particular of each component, and never simply the first one found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import Rule, Scope, Slab, Tiered

_Rank: TypeAlias = tuple[tuple[int, ...], int, tuple[int, int]]
Parents: TypeAlias = Mapping[str, Mapping[str, str]]

NO_ASSIGNMENT = "no assignment matches"
NO_RULE = "no rule matches"
NOT_IN_FORCE = "outside the dates of the plan"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule, as one assignment has it.

    Attributes:
        place: Which of the matcher's rules: the plan's rule, or that rule with the assignment's own bands.
        component: The rule's.
        scope: What both ask for.
        priorities: Of the assignment and of the rule; the lower goes first.
        spans: The days on which it holds, None being open.
    """

    place: int
    component: str
    scope: Scope
    priorities: tuple[int, int]
    spans: tuple[tuple[date | None, date | None], ...]

    def holds_on(self, day: date | None) -> bool:
        """Whether it is in force; an undated sale counts as inside."""
        return day is None or all(
            (low is None or low <= day) and (high is None or day <= high) for low, high in self.spans
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What pays a sale.

    Attributes:
        rules: The places of the rules, one for each component that matches.
        ambiguous: Components for which several rules have an equal claim, with their names.
        reason: Why nothing matches, where nothing does.
    """

    rules: tuple[int, ...]
    ambiguous: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reason: str = ""


class Matcher:
    """Finds the rules for sales of one plan; equal questions are answered once."""

    def __init__(self, plan: Plan, parents: Parents) -> None:
        self._plan = plan
        self._parents = parents
        self.rules: list[Rule] = []
        self._candidates = self._all_candidates()
        self._dated = any(span != (None, None) for found in self._candidates for span in found.spans)
        self._known: dict[tuple[object, ...], Choice] = {}

    def choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> Choice:
        """The rules that pay a sale with these labels to this payee."""
        low, high = self._plan.valid_from, self._plan.valid_to
        if day is not None and ((low is not None and day < low) or (high is not None and day > high)):
            return Choice((), reason=NOT_IN_FORCE)
        key = (payee, tuple(labels.items()), day if self._dated else None)
        choice = self._known.get(key)
        if choice is None:
            choice = self._known[key] = self._choose(labels, payee, day)
        return choice

    def _choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> Choice:
        claims: dict[str, list[tuple[_Rank, int]]] = {}
        for candidate in self._candidates:
            steps = candidate.scope.distance(labels, payee, self._parents)
            if steps is not None and candidate.holds_on(day):
                rank = (tuple(-n for n in candidate.scope.weight), steps, candidate.priorities)
                claims.setdefault(candidate.component, []).append((rank, candidate.place))
        return self._decide(claims)

    def _decide(self, claims: Mapping[str, Sequence[tuple[_Rank, int]]]) -> Choice:
        if not claims:
            return Choice((), reason=NO_ASSIGNMENT if self._plan.assignments else NO_RULE)
        rules: list[int] = []
        ambiguous: list[tuple[str, tuple[str, ...]]] = []
        for component, found in claims.items():
            best = min(rank for rank, _ in found)
            winners = {place for rank, place in found if rank == best}
            if len(winners) == 1:
                rules += winners
            else:
                ambiguous.append((component, tuple(sorted(self.rules[place].name for place in winners))))
        return Choice(tuple(rules), tuple(ambiguous))

    def _all_candidates(self) -> list[Candidate]:
        assignments = self._plan.assignments or (Assignment(Scope()),)
        return [self._candidate(rule, assignment) for rule in self._plan.rules for assignment in assignments]

    def _candidate(self, rule: Rule, assignment: Assignment) -> Candidate:
        own = rule if assignment.bands is None else _with_bands(rule, assignment.bands)
        if own not in self.rules:
            self.rules.append(own)
        return Candidate(
            self.rules.index(own),
            rule.component,
            Scope((*rule.scope.wanted, *assignment.scope.wanted)),
            (assignment.priority, rule.priority),
            ((rule.valid_from, rule.valid_to), (assignment.valid_from, assignment.valid_to)),
        )


def _with_bands(rule: Rule, bands: Bands) -> Rule:
    if isinstance(rule.scheme, Slab | Tiered):
        return replace(rule, scheme=type(rule.scheme)(bands))
    return rule
