"""Which rules pay a sale: the most particular of each component, and never simply the first one found."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol, TypeAlias, TypeVar

from commission_mcp.domain.bands import Bands
from commission_mcp.domain.money import ONE
from commission_mcp.domain.periods import next_day
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import Rule, Scope, Slab, Tiered

_Rank: TypeAlias = tuple[tuple[int, ...], int, tuple[int, int]]
_Claims: TypeAlias = dict[str, list[tuple[_Rank, int]]]  # by component: rank, and the rule's place
Parents: TypeAlias = Mapping[str, Mapping[str, str]]
_P = TypeVar("_P", int, tuple[int, int])

NO_ASSIGNMENT = "no assignment matches"
NO_RULE = "no rule matches"
NOT_IN_FORCE = "outside the dates of the plan"
OTHER_DOCUMENT = "the plan counts other documents"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule, as one assignment has it.

    Attributes:
        place: Which of the matcher's rules: the plan's rule, or that rule with what the assignment changes.
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


class Chooser(Protocol):
    """What a calculation asks for the rules of its plan."""

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules, by place."""
        ...

    def choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> Choice:
        """The rules that pay a sale with these labels to this payee."""
        ...


class Matcher:
    """Finds the rules for sales of one plan; equal questions are answered once."""

    def __init__(self, plan: Plan, parents: Parents) -> None:
        self.plan = plan
        self._parents = parents
        self._places: dict[Rule, int] = {}
        self._candidates = self._all_candidates()
        self.rules: Sequence[Rule] = tuple(self._places)
        spans = [(plan.valid_from, plan.valid_to), *(span for found in self._candidates for span in found.spans)]
        self.turns = _turns(spans)
        self.asks_payee = any(name == "payee" for found in self._candidates for name, _ in found.scope.wanted)
        self._known: dict[tuple[object, ...], Choice] = {}

    def choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> Choice:
        """The rules that pay a sale with these labels to this payee."""
        when = None if day is None else bisect_right(self.turns, day)
        key = (payee if self.asks_payee else "", tuple(labels.items()), when)
        choice = self._known.get(key)
        if choice is None:
            claims, reason = self.claims(labels, payee, day)
            choice = self._known[key] = self._decide(claims, reason)
        return choice

    def claims(self, labels: Mapping[str, str], payee: str, day: date | None) -> tuple[_Claims, str]:
        """All rules that could pay a sale, by component; or why there are none."""
        low, high = self.plan.valid_from, self.plan.valid_to
        if day is not None and ((low is not None and day < low) or (high is not None and day > high)):
            return {}, NOT_IN_FORCE
        if labels.get("object_type", self.plan.object_type) != self.plan.object_type and self.plan.object_type:
            return {}, OTHER_DOCUMENT
        found: _Claims = {}
        for candidate in self._candidates:
            steps = candidate.scope.distance(labels, payee, self._parents)
            if steps is not None and candidate.holds_on(day):
                rank = (tuple(-n for n in candidate.scope.weight), steps, candidate.priorities)
                found.setdefault(candidate.component, []).append((rank, candidate.place))
        return found, "" if found else NO_ASSIGNMENT if self.plan.assignments else NO_RULE

    def _decide(self, claims: _Claims, reason: str) -> Choice:
        rules: list[int] = []
        ambiguous: list[tuple[str, tuple[str, ...]]] = []
        for component, found in claims.items():
            winners = _best(found)
            if len(winners) == 1:
                rules += winners
            else:
                ambiguous.append((component, tuple(sorted(self.rules[place].name for place in winners))))
        return Choice(tuple(rules), tuple(ambiguous), reason)

    def _all_candidates(self) -> list[Candidate]:
        assignments = self.plan.assignments or (Assignment(Scope()),)
        return [self._candidate(rule, assignment) for rule in self.plan.rules for assignment in assignments]

    def _candidate(self, rule: Rule, assignment: Assignment) -> Candidate:
        own = rule if assignment.bands is None else _with_bands(rule, assignment.bands)
        if assignment.multiplier != ONE and rule.stage == 0:
            own = replace(own, multipliers=(*own.multipliers, (Scope(), assignment.multiplier)))
        return Candidate(
            self._places.setdefault(own, len(self._places)),
            rule.component,
            Scope((*rule.scope.wanted, *assignment.scope.wanted)),
            (assignment.priority, rule.priority),
            ((rule.valid_from, rule.valid_to), (assignment.valid_from, assignment.valid_to)),
        )


class Portfolio:
    """Finds the rules for sales of several plans that are in force beside each other.

    Rules of one component compete across plans as they do in one: the most particular claim pays, and equal ones are
    ambiguous. SPIFFs and bonuses belong to their plan and compete with no other's.
    """

    def __init__(self, plans: Sequence[Plan], parents: Parents) -> None:
        self.plans = tuple(plans)
        self._matchers = [Matcher(plan, parents) for plan in plans]
        self._turns = sorted({turn for matcher in self._matchers for turn in matcher.turns})
        self._asks_payee = any(matcher.asks_payee for matcher in self._matchers)
        self._known: dict[tuple[object, ...], tuple[Choice, ...]] = {}

    def choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> tuple[Choice, ...]:
        """For each plan, its rules that pay a sale with these labels to this payee."""
        when = None if day is None else bisect_right(self._turns, day)
        key = (payee if self._asks_payee else "", tuple(labels.items()), when)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._choose(labels, payee, day)
        return known

    def chooser(self, index: int) -> Chooser:
        """What the calculation of one of the plans asks."""
        return _OfPortfolio(self, index, self._matchers[index].rules)

    def _choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> tuple[Choice, ...]:
        found: dict[tuple[str, int | None], list[tuple[_Rank, tuple[int, int]]]] = {}
        reasons: list[str] = []
        for index, matcher in enumerate(self._matchers):
            claims, reason = matcher.claims(labels, payee, day)
            reasons.append(reason)
            for component, ranked in claims.items():
                for rank, place in ranked:
                    own = index if matcher.rules[place].stage else None
                    found.setdefault((component, own), []).append((rank, (index, place)))
        return self._decide(found, reasons)

    def _decide(
        self, found: Mapping[tuple[str, int | None], Sequence[tuple[_Rank, tuple[int, int]]]], reasons: Sequence[str]
    ) -> tuple[Choice, ...]:
        rules: list[list[int]] = [[] for _ in self.plans]
        ambiguous: list[list[tuple[str, tuple[str, ...]]]] = [[] for _ in self.plans]
        for (component, _), ranked in found.items():
            winners = _best(ranked)
            if len(winners) == 1:
                ((index, place),) = winners
                rules[index].append(place)
                continue
            names = tuple(
                sorted(
                    f"{self.plans[index].name}: {self._matchers[index].rules[place].name}" for index, place in winners
                )
            )
            for index in {index for index, _ in winners}:
                ambiguous[index].append((component, names))
        return tuple(
            Choice(tuple(rules[index]), tuple(ambiguous[index]), reasons[index]) for index in range(len(self.plans))
        )


@dataclass(frozen=True, slots=True)
class _OfPortfolio:
    """One plan's part of a portfolio."""

    portfolio: Portfolio
    index: int
    rules: Sequence[Rule]

    def choose(self, labels: Mapping[str, str], payee: str, day: date | None) -> Choice:
        """The plan's rules that pay a sale; that another plan pays it is no reason to say anything."""
        choice = self.portfolio.choose(labels, payee, day)[self.index]
        return Choice(choice.rules)


def _best(ranked: Sequence[tuple[_Rank, _P]]) -> set[_P]:
    best = min(rank for rank, _ in ranked)
    return {place for rank, place in ranked if rank == best}


def _turns(spans: Iterable[tuple[date | None, date | None]]) -> list[date]:
    """The days on which something begins to hold or no longer holds; between them every day is alike."""
    turns: set[date] = set()
    for low, high in spans:
        after = None if high is None else next_day(high)
        turns |= {day for day in (low, after) if day is not None}
    return sorted(turns)


def _with_bands(rule: Rule, bands: Bands) -> Rule:
    if isinstance(rule.scheme, Slab | Tiered):
        return replace(rule, scheme=type(rule.scheme)(bands), columns=None)
    return rule
