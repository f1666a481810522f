"""Dividing the credited sales of a plan by payee, so that a batch is calculated at a time and memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from commission_mcp.domain.money import ONE
from commission_mcp.domain.sales import Sale

BATCH_CREDITS = 20_000

Group: TypeAlias = tuple[object, ...]  # what decides, with the payee, in which cell a sale can lie


@dataclass(frozen=True, slots=True)
class Routed:
    """A sale that a plan pays.

    Attributes:
        sale: With all its credits.
        places: Which of the credits the plan pays.
        refunds: What takes the sale back.
        group: The rules that pay it and the month it is in.
    """

    sale: Sale
    places: Sequence[int]
    refunds: Sequence[Sale]
    group: Group


@dataclass(slots=True)
class _Teams:
    """Payees who may have to be rounded together, as a union-find."""

    above: dict[str, str] = field(default_factory=dict[str, str])

    def of(self, payee: str) -> str:
        """Who stands for the payee's team."""
        while (above := self.above.get(payee, payee)) != payee:
            payee = self.above[payee] = self.above.get(above, above)
        return payee

    def join(self, payees: Sequence[str]) -> None:
        """Put payees into one team."""
        first = self.of(payees[0])
        for payee in payees[1:]:
            self.above[self.of(payee)] = first


def batches(routed: Sequence[Routed]) -> Iterator[list[Sale]]:
    """The sales, for some payees at a time, each sale with their credits only and its refunds behind it.

    Those who share the very same sales between them are rounded together, so they stay together: payees who share a
    sale in a group in which none of them has a sale of his own.
    """
    teams = _teams(routed)
    by_team: dict[str, list[tuple[int, int]]] = {}
    for index, found in enumerate(routed):
        for place in found.places:
            by_team.setdefault(teams.of(found.sale.credits[place].payee), []).append((index, place))
    batch: list[tuple[int, int]] = []
    for team in sorted(by_team):
        batch += by_team.pop(team)
        if len(batch) >= BATCH_CREDITS:
            yield _sales(routed, batch)
            batch = []
    if batch:
        yield _sales(routed, batch)


def in_one(routed: Sequence[Routed]) -> list[Sale]:
    """All the sales together."""
    return list(_with_credits(routed, {index: found.places for index, found in enumerate(routed)}))


def _teams(routed: Iterable[Routed]) -> _Teams:
    alone: set[tuple[Group, str]] = set()
    shared: dict[tuple[Group, tuple[str, ...]], None] = {}
    for found in routed:
        credits_ = [found.sale.credits[place] for place in found.places]
        if len(credits_) > 1:
            shared[found.group, tuple(credit.payee for credit in credits_)] = None
        alone.update((found.group, credit.payee) for credit in credits_ if credit.share >= ONE)
    teams = _Teams()
    for group, payees in shared:
        together = [payee for payee in payees if (group, payee) not in alone]
        if len(together) > 1:
            teams.join(together)
    return teams


def _sales(routed: Sequence[Routed], batch: Sequence[tuple[int, int]]) -> list[Sale]:
    places: dict[int, list[int]] = {}
    for index, place in sorted(batch):
        places.setdefault(index, []).append(place)
    return list(_with_credits(routed, places))


def _with_credits(routed: Sequence[Routed], places: Mapping[int, Sequence[int]]) -> Iterator[Sale]:
    for index, own in places.items():
        sale = routed[index].sale
        if len(own) < len(sale.credits):
            sale = replace(sale, credits=tuple(sale.credits[place] for place in own))
        yield sale
        yield from routed[index].refunds
