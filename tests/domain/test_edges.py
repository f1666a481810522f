"""The edge table of the design: the seed's tiers 5 % / 7 % / 10 %, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.periods import business_date

Pay: TypeAlias = Callable[..., Outcome]

SEED = [
    {"from": 0, "to": 100000, "commission": 5},
    {"from": 100001, "to": 250000, "commission": 7},
    {"from": 250001, "to": None, "commission": 10},
]
CONTIGUOUS = [
    {"from": 0, "to": 100000, "commission": 5},
    {"from": 100000, "to": 250000, "commission": 7},
    {"from": 250000, "to": None, "commission": 10},
]
QUOTA = [
    {"from": 0, "to": 100, "commission": 10},
    {"from": 100, "to": 150, "commission": 15},
    {"from": 150, "to": None, "commission": 20},
]


def rule(category: str, tiers: object = SEED, **more: object) -> dict[str, Any]:
    return {"category_type": category, "range_type": "Amount", "value_type": "Percentage", "tiers": tiers, **more}


def month(number: int, amount: object, **more: object) -> dict[str, Any]:
    return {"amount": str(amount), "date": f"2025-{number:02d}-15", **more}


QUARTER = [month(1, 80000), month(2, 80000), month(3, 140000)]


@pytest.mark.parametrize(
    ("x", "tiered", "upper", "lower"),
    [
        ("0", "0.00", "0.00", "0.00"),
        ("0.01", "0.00", "0.00", "0.00"),
        ("99999.99", "5000.00", "5000.00", "5000.00"),
        ("100000", "5000.00", "5000.00", "7000.00"),
        ("100000.01", "5000.00", "7000.00", "7000.00"),
        ("100000.50", "5000.04", "7000.04", "7000.04"),
        ("100001", "5000.07", "7000.07", "7000.07"),
        ("250000", "15500.00", "17500.00", "25000.00"),
        ("250000.01", "15500.00", "25000.00", "25000.00"),
        ("250001", "15500.10", "25000.10", "25000.10"),
        ("300000", "20500.00", "30000.00", "30000.00"),
        ("600000", "50500.00", "60000.00", "60000.00"),
    ],
)
def test_the_table_of_cuts(pay: Pay, x: str, tiered: str, upper: str, lower: str) -> None:
    assert pay(rule("Tiered"), [x]).total == Decimal(tiered)
    assert pay(rule("Tiered", CONTIGUOUS), [x]).total == Decimal(tiered)
    assert pay(rule("Slab"), [x]).total == Decimal(upper)
    assert pay(rule("Slab", CONTIGUOUS), [x]).total == Decimal(lower)


@pytest.mark.parametrize(
    ("category", "applies_to", "x", "paid"),
    [
        ("Tiered", None, "600000", "52500.00"),
        ("Tiered", "excess", "600000", "52500.00"),
        ("Tiered", "whole", "600000", "60600.00"),
        ("Slab", None, "600000", "72000.00"),
        ("Tiered", None, "500000", "40500.00"),
        ("Tiered", "whole", "500000", "40500.00"),
        ("Slab", None, "500000", "50000.00"),
    ],
)
def test_the_premium_multiplier(pay: Pay, category: str, applies_to: str | None, x: str, paid: str) -> None:
    override = {"premium_threshold": 500000, "enterprise_multiplier": "1.2", "applies_to": applies_to}

    assert pay(rule(category, client_tier_overrides=override), [x]).total == Decimal(paid)


@pytest.mark.parametrize(
    ("category", "accumulation", "paid"),
    [
        ("Tiered", "calculation_period", ["4000.00", "4000.00", "7800.00"]),
        ("Tiered", "quarter", ["4000.00", "5200.00", "11300.00"]),
        ("Slab", "quarter", ["4000.00", "7200.00", "18800.00"]),
        ("Tiered", "plan", ["4000.00", "5200.00", "11300.00"]),
        ("Tiered", "year", ["4000.00", "5200.00", "11300.00"]),
    ],
)
def test_months_in_longer_windows(pay: Pay, category: str, accumulation: str, paid: list[str]) -> None:
    outcome = pay(rule(category, accumulation=accumulation), QUARTER, calculation_schedule="Monthly")

    assert [statement.total for statement in outcome.statements] == [Decimal(amount) for amount in paid]


@pytest.mark.parametrize(("category", "paid"), [("Tiered", "22500.00"), ("Slab", "35000.00")])
def test_attainment_of_a_quota(pay: Pay, category: str, paid: str) -> None:
    stated = rule(category, QUOTA, range_type="Percentage of Quota")

    assert pay(stated, [175000], {"quota": "100000"}).total == Decimal(paid)


@pytest.mark.parametrize("context", [{}, {"quota": 0}])
def test_without_a_quota_nothing_is_guessed(pay: Pay, context: dict[str, Any]) -> None:
    outcome = pay(rule("Tiered", QUOTA, range_type="Percentage of Quota"), [175000], context)

    assert ([problem.code for problem in outcome.problems], outcome.lines) == (["E_NO_QUOTA"], ())
    assert not outcome.complete


def test_one_percent_more_means_points(pay: Pay) -> None:
    points = [{**tier, "commission": int(str(tier["commission"])) + 1} for tier in SEED]

    assert pay(rule("Tiered", points), [300000]).total == Decimal("23500.00")


def test_thirds_of_five_are_never_five_and_a_cent(pay: Pay) -> None:
    thirds = [{"payee": payee, "share": "1/3"} for payee in ("a", "b", "c")]
    outcome = pay({"commission": 5}, [{"amount": 100, "credits": thirds}])

    assert [(line.payee, str(line.amount)) for line in outcome.lines] == [("a", "1.67"), ("b", "1.67"), ("c", "1.66")]


def test_full_credits_beside_each_other_are_rounded_each(pay: Pay) -> None:
    both = [{"payee": "a", "share": 100}, {"payee": "b", "share": 100}]

    assert pay({"commission": 5}, [{"amount": "2.50", "credits": both}]).total == Decimal("0.26")


def test_a_thousand_small_lines_are_rounded_once(pay: Pay) -> None:
    assert pay({"commission": 5}, ["0.11"] * 1000).total == Decimal("5.50")


@pytest.mark.parametrize(("currency", "x", "paid"), [("JPY", "123456", "6173"), ("KWD", "1234.567", "61.728")])
def test_currencies_have_their_own_minor_unit(pay: Pay, currency: str, x: str, paid: str) -> None:
    assert str(pay({"commission": 5}, [x], currency=currency).total) == paid


def test_the_clients_time_zone_decides_the_date() -> None:
    moment = datetime.fromisoformat("2025-03-31T23:30-05:00")

    assert business_date(moment, timezone(timedelta(hours=-5))) == date(2025, 3, 31)
    assert business_date(moment, UTC) == date(2025, 4, 1)


def test_an_unmatched_sale_is_listed(pay: Pay) -> None:
    outcome = pay({"commission": 5, "scope": {"product": "A"}}, [{"amount": 100, "product": "B"}, {"amount": 60}])

    assert [(miss.amount, miss.reason) for miss in outcome.unmatched] == [
        (Decimal(100), "no rule matches"),
        (Decimal(60), "no rule matches"),
    ]
    assert (outcome.total, outcome.problems[0].code) == (Decimal(0), "W_UNMATCHED")


def test_a_sale_outside_the_plans_dates_is_listed(pay: Pay) -> None:
    sales = [month(3, 100), month(4, 100)]
    outcome = pay({"commission": 5}, sales, valid_from="2025-01-01", valid_to="2025-03-31")

    assert outcome.total == Decimal("5.00")
    assert [miss.reason for miss in outcome.unmatched] == ["outside the dates of the plan"]


@pytest.mark.parametrize(("category", "delta"), [("Tiered", "-7100.00"), ("Slab", "-14600.00")])
def test_a_refund_of_a_closed_period_runs_it_again(pay: Pay, category: str, delta: str) -> None:
    sales = [month(1, 300000, sale_id="s1"), month(3, -80000, refund_of="s1")]
    outcome = pay(rule(category), sales, calculation_schedule="Monthly")

    assert outcome.statements[-1].total == Decimal(delta)
    assert [str(line.kind) for line in outcome.lines] == ["sale", "re-run"]


@pytest.mark.parametrize(
    ("negative_base", "paid"),
    [("first_band", ["-50.00", "150.00"]), ("zero", ["0.00", "150.00"]), ("carry", ["0.00", "100.00"])],
)
def test_a_month_with_more_refunds_than_sales(pay: Pay, negative_base: str, paid: list[str]) -> None:
    stated = rule("Tiered", negative_base=negative_base)
    outcome = pay(stated, [month(1, -1000), month(2, 3000)], calculation_schedule="Monthly")

    assert [str(statement.total) for statement in outcome.statements] == paid
    assert outcome.statements[0].payable == 0


@pytest.mark.parametrize(
    ("category", "basis", "paid"),
    [
        ("Tiered", "per_unit", "202.25"),
        ("Slab", "per_unit", "227.25"),
        ("Tiered", "per_period", "4.25"),
        ("Slab", "per_period", "2.25"),
        ("Tiered", "per_transaction", "4.25"),
        ("Slab", "per_transaction", "4.50"),
    ],
)
def test_fixed_amounts_by_quantity(pay: Pay, category: str, basis: str, paid: str) -> None:
    tiers = [{"from": 1, "to": 100, "commission": "2.00"}, {"from": 101, "to": None, "commission": "2.25"}]
    stated = rule(category, tiers, range_type="Quantity", value_type="Fixed Amount", fixed_basis=basis)

    assert pay(stated, [{"quantity": 60}, {"quantity": 41}]).total == Decimal(paid)


@pytest.mark.parametrize(("basis", "paid"), [("per_transaction", "20"), ("per_unit", "70"), ("per_period", "10")])
def test_flat_fixed_amounts(pay: Pay, basis: str, paid: str) -> None:
    stated = {"category_type": "Flat", "value_type": "Fixed Amount", "fixed_basis": basis, "commission": 10}

    assert pay(stated, [{"quantity": 3}, {"quantity": 4}]).total == Decimal(paid)
