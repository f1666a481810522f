"""Two years of made-up sales: seasons, strong and weak sellers, refunds, splits, overlays and overrides.

Everything follows from a fixed seed, so that every installation has the same rows; every amount is a Decimal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import TypeAlias

from commission_mcp.storage.demo.company import Company, Person, Product
from commission_mcp.storage.demo.months import SALES_FROM, SALES_TO, Month, month_of, months

Credit: TypeAlias = tuple[str, str, Decimal]  # payee, role, share

# Sales of a month in per cent of the usual one: quarters end strong, summers are quiet, December is a rush.
_SEASON = (82, 88, 118, 92, 97, 121, 78, 74, 112, 98, 106, 134)
_THIRD = Decimal("0.333333333333")
_SPLITS: tuple[tuple[Decimal, ...], ...] = (
    (Decimal("0.5"), Decimal("0.5")),
    (Decimal("0.6"), Decimal("0.4")),
    (_THIRD, _THIRD, 1 - 2 * _THIRD),
)
_SPLIT_PERCENT, _OVERLAY_PERCENT, _OVERRIDE_PERCENT, _REFUND_PERCENT = 7, 4, 2, 3
_SALES_FEW = 10
_OVERLAY_SHARE, _OVERRIDE_SHARE = Decimal("0.25"), Decimal("0.1")
_DISCOUNTS = (0, 0, 0, 0, 5, 5, 8, 10, 12)


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale and who is credited with it."""

    number: int
    sold_on: date
    territory_id: str
    product_id: str
    customer: str
    quantity: int
    gross: Decimal
    net: Decimal
    cost: Decimal
    currency: str
    credits: tuple[Credit, ...]
    reverses: int | None = None


def sales(company: Company) -> tuple[Sale, ...]:
    """All sales of a company in the order of their dates, numbered from 1; a refund stands after its sale."""
    random = Random(f"{company.client.client_id}: sales")  # noqa: S311 - repeatable on purpose
    drawn = [sale for month in months(SALES_FROM, SALES_TO) for sale in _month(company, month, random)]
    drawn.sort(key=lambda sale: sale.sold_on)
    numbered = [_numbered(sale, number) for number, sale in enumerate(drawn, start=1)]
    refunds = [refund for sale in numbered if (refund := _refund(company, sale, random)) is not None]
    last = len(numbered)
    return (*numbered, *(_numbered(refund, last + place) for place, refund in enumerate(refunds, start=1)))


def _numbered(sale: Sale, number: int) -> Sale:
    return Sale(
        number,
        sale.sold_on,
        sale.territory_id,
        sale.product_id,
        sale.customer,
        sale.quantity,
        sale.gross,
        sale.net,
        sale.cost,
        sale.currency,
        sale.credits,
        sale.reverses,
    )


def _month(company: Company, month: Month, random: Random) -> Iterator[Sale]:
    """The sales that all sellers make in a month."""
    days = (month.after - month.first).days
    for seller in company.people:
        if not seller.sells:
            continue
        usual = company.sales_a_month * seller.strength * _SEASON[month.number - 1] // 10_000
        for _ in range(max(1, usual + random.randint(-usual // 6, usual // 6))):
            day = month.first + timedelta(days=random.randrange(days))
            if seller.employed(day):
                yield _sale(company, seller, day, random)


def _sale(company: Company, seller: Person, day: date, random: Random) -> Sale:
    """One sale of a seller."""
    product = random.choices(company.products, [product.weight for product in company.products])[0]
    territory = random.choice(seller.territories)
    quantity = random.randint(1, product.quantity_max)
    unit = Decimal(1).scaleb(-company.minor_units)
    gross = _percent(product.price * quantity, random.randint(88, 114), unit)
    net = _percent(gross, 100 - random.choice(_DISCOUNTS), unit)
    return Sale(
        number=0,
        sold_on=day,
        territory_id=territory,
        product_id=product.product_id,
        customer=random.choice(company.customers),
        quantity=quantity,
        gross=gross,
        net=net,
        cost=_percent(product.price * quantity, product.cost_percent, unit),
        currency=company.currencies.get(territory, company.client.base_currency),
        credits=_credits(company, seller, product, day, random),
    )


def _credits(company: Company, seller: Person, product: Product, day: date, random: Random) -> tuple[Credit, ...]:
    """Who is credited: mostly the seller, now and then colleagues, a specialist or the manager beside them."""
    team = [person for person in company.people if person.team == seller.team and person.employed(day)]
    colleagues = [person for person in team if person.sells and person != seller]
    credits_: list[Credit] = [(seller.payee_id, "direct", Decimal(1))]
    if random.randrange(100) < _SPLIT_PERCENT:
        split = random.choice(_SPLITS)
        if len(colleagues) >= len(split):
            sharers = [seller, *random.sample(colleagues, len(split) - 1)]
            credits_ = [(person.payee_id, "split", share) for person, share in zip(sharers, split, strict=True)]
    if product.commissionable and random.randrange(100) < _OVERLAY_PERCENT:
        specialists = (person for person in team if person.job_role == "Solutions Specialist")
        credits_ += [(person.payee_id, "overlay", _OVERLAY_SHARE) for person in specialists]
    if product.commissionable and random.randrange(100) < _OVERRIDE_PERCENT:
        managers = (person for person in team if person.job_role == "Sales Manager")
        credits_ += [(person.payee_id, "override", _OVERRIDE_SHARE) for person in managers]
    return tuple(credits_)


def _refund(company: Company, sale: Sale, random: Random) -> Sale | None:
    """The refund of a sale, for a few of them: all of it, up to six weeks later, from the same people.

    Where people are credited with few sales it is in the same month, so that no month of theirs ends below zero.
    """
    day = sale.sold_on + timedelta(days=random.randint(7, 42))
    if company.sales_a_month < _SALES_FEW or any(role in {"overlay", "override"} for _, role, _ in sale.credits):
        day = min(day, month_of(sale.sold_on).last)
    wanted = random.randrange(100) < _REFUND_PERCENT
    staff = {person.payee_id: person for person in company.people}
    if not wanted or day > SALES_TO or not all(staff[payee].employed(day) for payee, _, _ in sale.credits):
        return None
    return Sale(
        0,
        day,
        sale.territory_id,
        sale.product_id,
        sale.customer,
        -sale.quantity,
        -sale.gross,
        -sale.net,
        -sale.cost,
        sale.currency,
        sale.credits,
        sale.number,
    )


def _percent(amount: Decimal, percent: int, unit: Decimal) -> Decimal:
    """So many per cent of an amount, in whole units of its currency."""
    return (amount * percent / 100).quantize(unit, rounding=ROUND_HALF_UP)
