"""What bends a result: precedence, draws over months, caps, accelerators, currencies, missing facts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from commission_mcp.domain.draws import draw_period
from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.plan import Draw

Pay: TypeAlias = Callable[..., Outcome]


def flat(rate: object, **more: object) -> dict[str, Any]:
    return {"category_type": "Flat", "value_type": "Percentage", "commission": rate, **more}


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"payee": "p", "product": "A"}, {"payee": "p"}),
        ({"payee": "p"}, {"territory": "N", "product": "A"}),
        ({"territory": "N", "product": "A"}, {"territory": "N"}),
        ({"territory": "N"}, {"product": "A"}),
        ({"product": "A"}, {"role": "rep"}),
        ({"product": "A"}, {"team": "t"}),
        ({"role": "rep"}, {}),
        ({"territory": "N"}, {"territory": "World"}),
    ],
)
def test_the_more_particular_rule_pays(pay: Pay, narrow: dict[str, str], wide: dict[str, str]) -> None:
    sale = {"amount": 100, "payee": "p", "product": "A", "territory": "N", "role": "rep", "team": "t"}
    rules = [flat(1, scope=wide), flat(9, scope=narrow)]

    outcome = pay(rules, [sale], {"parents": {"territory": {"N": "World"}}})

    assert outcome.total == Decimal(9)


def test_equal_claims_are_ambiguous_and_pay_nothing(pay: Pay) -> None:
    outcome = pay([flat(1), flat(2)], [100])

    assert ([problem.code for problem in outcome.problems], outcome.total) == (["E_AMBIGUOUS", "W_UNMATCHED"], 0)


def test_priority_settles_equal_claims(pay: Pay) -> None:
    assert pay([flat(1, priority=2), flat(2, priority=1)], [100]).total == Decimal(2)


# Earned, draw and the payouts as published: Xactly, "Non-recoverable draw"; Oracle, Siebel Incentive Compensation.
@pytest.mark.parametrize(
    ("draw", "earned", "paid", "balances"),
    [
        ("1500", ["500", "3000", "1000"], ["1500", "2000", "1500"], ["1000", "0", "500"]),
        ("2000", ["1500", "2375", "2200"], ["2000", "2000", "2075"], ["500", "125", "0"]),
    ],
)
def test_a_recoverable_draw_over_months(
    pay: Pay, draw: str, earned: list[str], paid: list[str], balances: list[str]
) -> None:
    sales = [{"amount": amount, "date": f"2026-{i + 1:02d}-10"} for i, amount in enumerate(earned)]
    outcome = pay(flat(100), sales, calculation_schedule="Monthly", draw={"amount": draw, "recoverable": True})

    assert [statement.total for statement in outcome.statements] == [Decimal(amount) for amount in paid]
    assert [statement.draw_balance for statement in outcome.statements] == [Decimal(amount) for amount in balances]


def test_a_part_of_what_is_earned_above_the_draw_pays_it_back(pay: Pay) -> None:
    sales = [
        {"amount": amount, "date": f"2026-{month:02d}-10"}
        for month, amount in ((7, "500"), (8, "2500"), (9, "9000.01"))
    ]
    draw = {"amount": 1500, "recoverable": True, "recovery_percent": 50}
    outcome = pay(flat(100), sales, calculation_schedule="Monthly", draw=draw)

    assert [statement.draw_balance for statement in outcome.statements] == [1000, 500, 0]
    assert [statement.total for statement in outcome.statements] == [1500, 2000, Decimal("8500.01")]


def test_figures_of_a_rule_go_before_those_of_all(pay: Pay) -> None:
    rules = [
        {
            "name": name,
            "component": name,
            "category_type": "Slab",
            "range_type": "Percentage of Quota",
            "tiers": [{"from": 0, "to": 100, "commission": 5}, {"from": 100, "to": None, "commission": 10}],
        }
        for name in ("a", "b")
    ]
    context = {"quota": [{"amount": 500}, {"rule": "b", "amount": 5000}, {"rule": "b", "payee": "x", "amount": 1}]}

    assert pay(rules, [{"amount": 1000, "payee": "p"}], context).total == 100 + 50


def test_a_draw_that_is_not_recoverable_leaves_no_balance() -> None:
    result = draw_period(Draw(Decimal(1500), recoverable=False), Decimal(500), Decimal(0))

    assert (result.advance, result.recovery, result.balance) == (1000, 0, 0)


def test_a_month_without_sales_is_advanced_too(pay: Pay) -> None:
    sales = [{"amount": 0, "date": "2026-01-10"}, {"amount": 5000, "date": "2026-03-10"}]
    outcome = pay(flat(100), sales, calculation_schedule="Monthly", draw={"amount": 1000, "recoverable": True})

    assert [statement.total for statement in outcome.statements] == [1000, 1000, 3000]


@pytest.mark.parametrize(
    ("cap", "paid"),
    [
        (700, ["700.00", "700.00"]),
        ({"amount": 700, "per": "window"}, ["700.00", "0.00"]),
        ({"amount": 350, "per": "transaction"}, ["700.00", "350.00"]),
        ({"percent_of_target": 35}, ["700.00", "700.00"]),
    ],
)
def test_caps_for_periods_windows_and_transactions(pay: Pay, cap: object, paid: list[str]) -> None:
    sales = [{"amount": 5000, "date": day} for day in ("2026-01-10", "2026-01-20", "2026-02-10")]
    sales[2]["amount"] = 9000
    stated = flat(10, cap=cap, accumulation="quarter")

    outcome = pay(stated, sales, {"target_incentive": 2000}, calculation_schedule="Monthly")

    assert [str(statement.total) for statement in outcome.statements] == paid


def test_a_floor_lifts_what_is_earned_but_not_what_is_not_eligible(pay: Pay) -> None:
    assert pay(flat(10, floor=50), [100]).total == Decimal(50)
    assert pay(flat(10, floor=50, threshold=1000), [100]).total == Decimal(0)


# 100,000 at 10 %, then 20,000 at 15 % and 40,000 at 20 %; or all 60,000 at 20 %; or everything at 20 %.
@pytest.mark.parametrize(("applies_to", "paid"), [("marginal", 21000), ("excess", 22000), ("whole", 32000)])
def test_what_accelerators_apply_to(pay: Pay, applies_to: str, paid: int) -> None:
    tiers = [{"from": 100, "to": 120, "multiplier": "1.5"}, {"from": 120, "to": None, "multiplier": 2}]
    stated = flat(10, accelerators={"tiers": tiers, "applies_to": applies_to})

    assert pay(stated, [160000], {"quota": 100000}).total == paid


def test_attainment_before_each_sale(pay: Pay) -> None:
    accelerated = {"tiers": [{"from": 100, "to": None, "multiplier": 2}], "attainment": "before", "applies_to": "whole"}

    assert pay(flat(10, accelerators=accelerated), [100000, 50000], {"quota": 100000}).total == Decimal(20000)


def test_accelerators_by_quota_on_tiers_by_amount(pay: Pay) -> None:
    tiers = [{"from": 0, "to": 100, "commission": 10}, {"from": 100, "to": None, "commission": 20}]
    stated = {
        "category_type": "Tiered",
        "range_type": "Amount",
        "tiers": tiers,
        "accelerators": [{"from": 100, "to": None, "multiplier": 2}],
    }

    assert pay(stated, [200], {"quota": 150}).total == Decimal("40.00")  # 10 + 50 at 20 % + 50 at 40 %


@pytest.mark.parametrize(
    ("sale", "base", "code"),
    [
        ({"amount": 100}, "Margin", "E_NO_COST"),
        ({"amount": 100}, "Units", "E_NO_QUANTITY"),
        ({"gross": 100}, "Net Revenue", "E_NO_BASE"),
    ],
)
def test_a_missing_figure_is_never_zero(pay: Pay, sale: dict[str, Any], base: str, code: str) -> None:
    outcome = pay(flat(10, base_value=base), [sale])

    assert ([problem.code for problem in outcome.problems], outcome.lines, outcome.complete) == ([code], (), False)


def test_foreign_sales_count_at_the_rate_on_their_line(pay: Pay) -> None:
    sale = {"amount": 1000, "currency": "EUR", "fx_rate": "1.0825"}

    assert pay(flat(10), [sale], currency="USD").total == Decimal("108.25")


def test_a_stated_attainment_pays_without_sales(pay: Pay) -> None:
    stated = {
        "category_type": "Interpolated",
        "range_type": "Percentage of Quota",
        "value_type": "Percentage of Target",
        "points": [{"at": 80, "commission": 50}, {"at": 100, "commission": 100}],
    }

    assert pay(stated, [], {"attainment": 90, "target_incentive": 1000}).total == Decimal(750)


@pytest.mark.parametrize(("points", "paid"), [("whole", "75.00"), ("marginal", "62.50")])
def test_rates_on_a_line(pay: Pay, points: str, paid: str) -> None:
    stated = {
        "category_type": "Interpolated",
        "range_type": "Amount",
        "interpolation": points,
        "points": [{"at": 0, "commission": 5}, {"at": 2000, "commission": 10}],
    }

    assert pay(stated, [1000]).total == Decimal(paid)


def test_overrides_stop_after_the_first_commissions(pay: Pay) -> None:
    override = {"manager": "m", "of": "commission", "percentage": 10, "first": 2}
    sales = [{"amount": 1000, "payee": "r"} for _ in range(3)]

    outcome = pay(flat(10), sales, {"only_payee": "m"}, overrides=[override])

    assert outcome.total == Decimal("20.00")


def test_a_gate_counts_what_it_names(pay: Pay) -> None:
    stated = flat(10, gates=[{"product": "A", "min_transactions": 2}, {"min_amount": 300}])

    assert pay(stated, [{"amount": 200, "product": "A"}]).total == 0
    assert pay(stated, [{"amount": 200, "product": "A"}, {"amount": 100, "product": "A"}]).total == Decimal(30)


def test_an_earlier_base_moves_the_place_in_the_table(pay: Pay) -> None:
    tiers = [{"from": 0, "to": 100, "commission": 5}, {"from": 100, "to": None, "commission": 10}]
    stated = {"category_type": "Tiered", "range_type": "Amount", "tiers": tiers, "accumulation": "year"}

    assert pay(stated, [100], {"base_before": 50}).total == Decimal("7.50")


def test_results_can_be_rounded_to_whole_units(pay: Pay) -> None:
    assert pay(flat(10, rounding="1"), ["15"]).total == Decimal(2)


def test_a_period_is_paid_without_what_came_later(pay: Pay) -> None:
    sales = [{"amount": 100, "date": f"2026-0{number}-01"} for number in (1, 2, 3)]
    outcome = pay(flat(10), sales, {"period": "2026-02"}, calculation_schedule="Monthly")

    assert (outcome.total, [miss.reason for miss in outcome.unmatched]) == (10, ["after the period that is paid"])


@pytest.mark.parametrize(("period", "total"), [("2026-07", 10), ("2026-08", 20)])
def test_a_week_is_paid_with_the_month_that_it_ends_in(pay: Pay, period: str, total: int) -> None:
    sales = [{"amount": "100", "date": "2026-07-02"}, {"amount": "200", "date": "2026-07-30"}]

    assert pay(flat(10), sales, {"period": period}, calculation_schedule="Weekly").total == total
