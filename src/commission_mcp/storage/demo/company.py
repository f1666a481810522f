"""What a demo company is made of: places, products, people and plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from commission_mcp.storage.demo.clients import DemoClient
from commission_mcp.storage.demo.plans import Plan


@dataclass(frozen=True, slots=True)
class Territory:
    """A territory; sales are made in those without children."""

    territory_id: str
    name: str
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product with its list price; a group has none.

    Attributes:
        product_id: Its key.
        name: Its name.
        price: Price of one unit, in the currency of the sale.
        cost_percent: Cost of a unit, in per cent of its price.
        weight: How often it is sold, beside the others.
        quantity_max: The most of it that one sale holds.
        parent_id: Its group.
        commissionable: Whether its sales pay commission.
    """

    product_id: str
    name: str
    price: Decimal = Decimal(0)
    cost_percent: int = 60
    weight: int = 0
    quantity_max: int = 1
    parent_id: str | None = None
    commissionable: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """A payee.

    Attributes:
        payee_id: Their key.
        name: Their name.
        team: Their team.
        job_role: Account Executive sells; Sales Manager and Solutions Specialist are credited beside sellers.
        hired_on: First day of employment.
        left_on: Last day of employment.
        manager_id: Who they report to.
        territories: Where they sell.
        strength: How much they sell, in per cent of the usual.
        user_id: The user who they are.
    """

    payee_id: str
    name: str
    team: str
    job_role: str
    hired_on: date
    left_on: date | None
    manager_id: str | None
    territories: tuple[str, ...]
    strength: int
    user_id: str | None = None

    @property
    def sells(self) -> bool:
        """Whether they sell themselves."""
        return self.job_role == "Account Executive"

    def employed(self, day: date) -> bool:
        """Whether they are employed on a day."""
        return self.hired_on <= day and (self.left_on is None or day <= self.left_on)


@dataclass(frozen=True, slots=True)
class Company:
    """A demo company.

    Attributes:
        client: The client it is.
        territories: Its territories, parents first.
        products: Its products, groups first.
        uom: The unit that its products are counted in, and its name.
        people: Its payees, managers first.
        customers: Its customers.
        currencies: The currency of territories that do not use the base currency.
        sales_a_month: What a seller of usual strength sells in a usual month.
        plans: Its plans.
        pays_from: The first day for which results are there.
        salary_from: The lowest yearly salary.
    """

    client: DemoClient
    territories: tuple[Territory, ...]
    products: tuple[Product, ...]
    uom: tuple[str, str]
    people: tuple[Person, ...]
    customers: tuple[str, ...]
    currencies: Mapping[str, str]
    sales_a_month: int
    plans: tuple[Plan, ...]
    pays_from: date
    salary_from: int

    @property
    def minor_units(self) -> int:
        """Decimal places of the base currency."""
        return 0 if self.client.base_currency == "JPY" else 2


def customers(words: str, kinds: str) -> tuple[str, ...]:
    """Names of customers, each of the words with each of the kinds; all say that they are made up."""
    return tuple(f"{word} {kind} (demo)" for word in words.split() for kind in kinds.split())
