"""Dividing sales by payee changes no cent."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest

from commission_mcp.domain import batches as dividing
from commission_mcp.domain.parsing.plan_form import parse_plan
from commission_mcp.domain.periods import months_around
from commission_mcp.domain.sales import Credit, Sale, Situation
from commission_mcp.domain.settlement import PlanInForce, Result, settle_period

JULY = months_around(date(2026, 7, 1), 1)
THIRD = Decimal("0.333333333333")
FORM = {
    "currency": "USD",
    "calculation_schedule": "Monthly",
    "rules": [
        {
            "category_type": "Tiered",
            "range_type": "Amount",
            "tiers": [
                {"from": 0, "to": 100, "commission": "5.5"},
                {"from": 100, "to": 300, "commission": 7},
                {"from": 300, "to": None, "commission": 10},
            ],
        }
    ],
}


def sold(chance: random.Random, payees: int) -> list[Sale]:
    """Sales of one, two or three payees; some payees have only shared ones."""
    sales: list[Sale] = []
    for number in range(chance.randrange(1, 40)):
        who = chance.sample(range(payees), min(payees, chance.choice((1, 2, 3, 3))))
        shares = {1: (Decimal(1),), 2: (Decimal("0.5"),) * 2, 3: (THIRD, THIRD, 1 - 2 * THIRD)}[len(who)]
        credits_ = tuple(Credit(f"p{payee}", share) for payee, share in zip(who, shares, strict=True))
        gross = Decimal(chance.randrange(1, 30_000)) / 100
        sales.append(Sale(f"s{number}", date(2026, 7, chance.randrange(1, 32)), gross=gross, credits=credits_))
    return sales


@pytest.mark.parametrize("seed", range(60))
def test_batches_pay_what_everything_together_pays(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = parse_plan(FORM)
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    sales = sold(chance, payees=chance.randrange(2, 8))
    source = PlanInForce("p", 1, plan, Situation(period=JULY), sales)

    def paid(credits_a_batch: int) -> list[tuple[str, str | None, Decimal]]:
        monkeypatch.setattr(dividing, "BATCH_CREDITS", credits_a_batch)  # batches of few credits
        taken: list[Result] = []
        settle_period([source], sales, JULY, sink=taken.append)
        return sorted((line.payee, line.sale_id, line.amount) for done in taken for line in done.outcome.lines)

    assert paid(1) == paid(10**9)


def test_those_who_share_the_very_same_sales_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "BATCH_CREDITS", 1)  # batches of few credits
    plan, _ = parse_plan({**FORM, "rules": [{"category_type": "Flat", "commission": 5}]})
    thirds = tuple(Credit(name, share) for name, share in zip("abc", (THIRD, THIRD, 1 - 2 * THIRD), strict=True))
    sales = [Sale("s", date(2026, 7, 1), gross=Decimal(100), credits=thirds)]
    taken: list[Result] = []
    settle_period([PlanInForce("p", 1, plan, Situation(period=JULY), sales)], sales, JULY, sink=taken.append)

    assert sum(line.amount for done in taken for line in done.outcome.lines) == Decimal("5.00")
