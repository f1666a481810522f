"""The people of a demo company: made-up names, e-mail addresses at example.com, and numbers that cannot be real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from commission_mcp.storage.demo.company import Person


@dataclass(frozen=True, slots=True)
class Team:
    """A sales team: its manager, its specialist if any, its sellers, and where it sells."""

    name: str
    manager: str
    sellers: tuple[str, ...]
    territories: tuple[str, ...]
    specialist: str | None = None


# What the n-th seller of a company sells, in per cent of the usual, and who came late or left early.
_STRENGTHS = (100, 140, 70, 115, 85, 160, 95, 60, 125, 105)
_JOINED_LATE = {3: date(2025, 3, 1), 7: date(2024, 10, 14), 12: date(2025, 9, 1)}
_LEFT_EARLY = {2: date(2025, 11, 30), 9: date(2026, 2, 15)}
_FIRST_HIRING = date(2018, 2, 1)


def staff(prefix: str, teams: tuple[Team, ...]) -> tuple[Person, ...]:
    """The payees of a company, the managers first; the first manager and the first seller are users."""
    people: list[Person] = []

    def hire(name: str, team: Team, role: str, manager_id: str | None, seller: int | None = None) -> Person:
        number = len(people) + 1
        leads = role == "Sales Manager" and number == 1
        person = Person(
            payee_id=f"{prefix}-p-{number:03}",
            name=name,
            team=team.name,
            job_role=role,
            hired_on=_JOINED_LATE.get(seller or 0, _FIRST_HIRING + timedelta(days=97 * number)),
            left_on=_LEFT_EARLY.get(seller or 0),
            manager_id=manager_id,
            territories=team.territories,
            strength=_STRENGTHS[(seller or 0) % len(_STRENGTHS)],
            user_id=f"{prefix}-manager" if leads else f"{prefix}-payee" if seller == 1 else None,
        )
        people.append(person)
        return person

    managers = [hire(team.manager, team, "Sales Manager", None) for team in teams]
    sellers = 0
    for team, manager in zip(teams, managers, strict=True):
        if team.specialist is not None:
            hire(team.specialist, team, "Solutions Specialist", manager.payee_id)
        for name in team.sellers:
            sellers += 1
            hire(name, team, "Account Executive", manager.payee_id, sellers)
    return tuple(people)
