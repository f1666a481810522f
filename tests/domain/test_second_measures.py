"""Second measures: gates, modifiers and matrices; chains of overrides; amounts for steps; curves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from commission_mcp.domain.outcome import Outcome

Pay: TypeAlias = Callable[..., Outcome]
Refusals: TypeAlias = Callable[..., list[tuple[str, str]]]

GM = [{"name": "gm", "range_type": "Margin Percent"}]


def flat(rate: object, **more: object) -> dict[str, Any]:
    return {"category_type": "Flat", "commission": rate, **more}


def matrix(category: str = "Slab", **more: object) -> dict[str, Any]:
    """Rates by attainment and margin."""
    tiers = [
        {"from": 0, "to": 80, "commission": [1, 2, 3]},
        {"from": 80, "to": 100, "commission": [2, 3, 4]},
        {"from": 100, "to": None, "commission": [3, 5, "7.5"]},
    ]
    stated = {"category_type": category, "range_type": "Percentage of Quota", "tiers": tiers}
    return {**stated, "columns": {"measure": "gm", "from": [0, 20, 30]}, **more}


@pytest.mark.parametrize(
    ("amount", "cost", "paid"),
    [
        (79_999, 79_999, "799.99"),
        (80_000, 80_000, "1600"),
        (100_000, 80_000, "5000"),
        (100_000, 70_000, "7500"),
        (99_999, "80000", "1999.98"),
    ],
)
def test_a_matrix_pays_the_rate_of_row_and_column(pay: Pay, amount: object, cost: object, paid: str) -> None:
    outcome = pay(matrix(), [{"amount": amount, "cost": cost}], {"quota": 100_000}, measures=GM)

    assert outcome.total == Decimal(paid)


def test_a_tiered_matrix_pays_each_part_by_its_row(pay: Pay) -> None:
    outcome = pay(matrix("Tiered"), [{"amount": 120_000, "cost": 84_000}], {"quota": 100_000}, measures=GM)

    assert outcome.total == 2400 + 800 + 1500


def test_a_window_true_up_follows_the_column(pay: Pay) -> None:
    sales = [
        {"amount": 1000, "cost": 900, "date": "2026-01-10"},
        {"amount": 1000, "cost": 300, "date": "2026-02-10"},
    ]
    rule = {**matrix(), "accumulation": "quarter"}

    outcome = pay(rule, sales, {"quota": 100_000}, measures=GM)

    assert [statement.total for statement in outcome.statements] == [10, 60 - 10]


def test_each_sale_chooses_its_own_column(pay: Pay) -> None:
    rule = flat([10, 8, 5], columns={"range_type": "Discount Percent", "from": [0, 10, 20]})
    sales = [{"amount": 1000, "discount_percent": discount} for discount in (0, 15, 20)]

    assert pay(rule, sales).total == 230


def test_a_curve_can_have_columns(pay: Pay) -> None:
    points = [{"at": 0, "commission": [0, 0]}, {"at": 100, "commission": [80, 100]}]
    rule = {
        "category_type": "Interpolated",
        "range_type": "Percentage of Quota",
        "value_type": "Percentage of Target",
        "points": points,
        "columns": {"measure": "csat", "from": [0, 90]},
    }
    context = {"quota": 100, "target_incentive": 1000, "measures": {"csat": 90}}

    assert pay(rule, [50], context).total == 500
    assert pay(rule, [50], {**context, "measures": {"csat": "89.9"}}).total == 400


@pytest.mark.parametrize(("csat", "paid"), [(89, 0), (90, 100), (95, 100), (96, 0)])
def test_a_gate_on_a_measure_includes_both_ends(pay: Pay, csat: int, paid: int) -> None:
    rule = flat(10, gates=[{"measure": "csat", "at_least": 90, "at_most": 95}])

    assert pay(rule, [1000], {"measures": {"csat": csat}}).total == paid


def test_a_gate_on_everybodys_sales(pay: Pay) -> None:
    team = [{"name": "team", "range_type": "Percentage of Quota", "of": "everybody"}]
    rule = flat(10, gates=[{"measure": "team", "at_least": 100}])
    context = {"quota": [{"rule": "team", "amount": 1000}]}

    assert (
        pay(rule, [{"amount": 400, "payee": "a"}, {"amount": 600, "payee": "b"}], context, measures=team).total == 100
    )
    assert pay(rule, [{"amount": 400, "payee": "a"}, {"amount": 599, "payee": "b"}], context, measures=team).total == 0


def test_a_pools_measure_counts_everybodys_sales(pay: Pay) -> None:
    rule = flat(10, pool=[{"payee": "a"}, {"payee": "b"}], gates=[{"measure": "sold", "at_least": 1000}])
    sales = [{"amount": 400, "payee": "a"}, {"amount": 600, "payee": "b"}]

    assert pay(rule, sales, measures=[{"name": "sold"}]).total == 100
    assert pay(rule, sales[:1], measures=[{"name": "sold"}]).total == 0


def test_a_hurdle_keeps_the_higher_rate_until_all_products_have_passed(pay: Pay) -> None:
    """Cichelli: no product pays the rate above quota before all are at 95 %."""
    rates = {"A": (2, 4), "B": (8, 12), "C": (5, 7)}
    gates = [{"measure": name, "at_least": 95} for name in rates]
    rules: list[object] = []
    for name, (low, high) in rates.items():
        rules.append(flat(low, name=name, component=name, scope={"product": name}))
        more = {"threshold": {"percent_of_quota": 100, "mode": "excess"}, "gates": gates}
        rules.append(flat(high - low, name=f"{name}+", component=f"{name}+", scope={"product": name}, **more))
    measures = [{"name": name, "range_type": "Percentage of Quota", "scope": {"product": name}} for name in rates]

    def paid(third: int) -> Decimal:
        sales = [{"product": name, "amount": sold} for name, sold in zip("ABC", (120_000, 110_000, third), strict=True)]
        return pay(rules, sales, {"quota": 100_000}, measures=measures).total

    assert paid(80_000) == 2_400 + 8_800 + 4_000
    assert paid(95_000) == 2_400 + 400 + 8_800 + 400 + 4_750


@pytest.mark.parametrize(("cost", "paid"), [(3_950_000, "45000"), (3_500_000, "90000"), (3_000_000, "103500")])
def test_a_modifier_multiplies_everything(pay: Pay, cost: int, paid: str) -> None:
    tiers: list[object] = [{"from": 0, "to": 5, "multiplier": "0.5"}, {"from": 5, "to": 20, "multiplier": 1}]
    tiers.append({"from": 20, "to": None, "multiplier": "1.15"})
    bands = [{"from": 0, "to": 3_000_000, "commission": 2}, {"from": 3_000_000, "to": None, "commission": 3}]
    modifiers = [{"measure": "gm", "tiers": tiers}]
    rule = {"category_type": "Tiered", "range_type": "Amount", "tiers": bands, "modifiers": modifiers}

    assert pay(rule, [{"amount": 4_000_000, "cost": cost}], measures=GM).total == Decimal(paid)


def test_a_modifier_on_a_line(pay: Pay) -> None:
    points = [{"at": 80, "multiplier": "0.8"}, {"at": 100, "multiplier": 1}]
    rule = flat(10, modifiers=[{"measure": "mix", "points": points}])

    paid = [pay(rule, [1000], {"measures": {"mix": mix}}).total for mix in (50, 90, 120)]

    assert paid == [80, 90, 100]


def test_a_bonus_of_target_company_and_person(pay: Pay) -> None:
    """Salary 90,000 x 10 % x company 110 % x person 95 % x nine months of twelve."""
    modifiers = [{"measure": "company", "as": "percent"}, {"measure": "person", "as": "percent"}]
    rule = flat(100, value_type="Percentage of Target", modifiers=modifiers)
    context = {
        "target_incentive": 9000,
        "measures": {"company": 110, "person": 95},
        "proration": {"active_days": 9, "period_days": 12},
    }

    assert pay(rule, [], context).total == Decimal("7053.75")


def test_a_measure_that_nothing_tells_is_never_zero(pay: Pay) -> None:
    outcome = pay(flat(10, gates=[{"measure": "csat", "at_most": 5}]), [100])

    assert ([problem.code for problem in outcome.problems], outcome.complete) == (["E_NO_MEASURE"], False)


def test_a_refund_of_a_measures_sale_moves_what_hangs_on_it(pay: Pay) -> None:
    """The result is that of a world without the sale, though no sale of the rule was taken back."""
    measures = [{"name": "new", "scope": {"product": "new"}}]
    rules = [flat(10, gates=[{"measure": "new", "at_least": 500}], scope={"product": "old"}, component="old")]
    sales = [
        {"sale_id": "o", "amount": 1000, "product": "old", "date": "2026-01-10"},
        {"sale_id": "n", "amount": 500, "product": "new", "date": "2026-01-11"},
        {"amount": -500, "product": "new", "date": "2026-03-01", "refund_of": "n"},
    ]

    outcome = pay(rules, sales, calculation_schedule="Monthly", measures=measures)

    assert [line.amount for line in outcome.lines if line.amount] == [100, -100]


def test_a_year_to_date_measure_counts_what_came_before(pay: Pay) -> None:
    measures = [{"name": "year", "range_type": "Percentage of Quota", "accumulation": "year"}]
    rule = flat(1, gates=[{"measure": "year", "at_least": 100}])
    sales = [{"amount": 600, "date": "2026-01-10"}, {"amount": 600, "date": "2026-02-10"}]
    context = {"quota": [{"measure": "year", "amount": 1200}]}

    outcome = pay(rule, sales, context, calculation_schedule="Monthly", measures=measures)

    assert [statement.total for statement in outcome.statements] == [0, 6]


def test_a_chain_of_overrides_by_level(pay: Pay) -> None:
    overrides = [{"level": 1, "percentage": 2}, {"level": 2, "percentage": 1}]
    context = {"reports_to": {"rep": "manager", "manager": "director"}}

    outcome = pay(flat(5), [{"amount": 100_000, "payee": "rep"}], context, overrides=overrides)

    assert {line.payee: line.amount for line in outcome.lines} == {"rep": 5000, "manager": 2000, "director": 1000}


def test_a_circle_of_managers_ends(pay: Pay) -> None:
    overrides = [{"level": 3, "percentage": 2}]
    context = {"reports_to": {"a": "b", "b": "a"}}

    assert pay(flat(5), [{"amount": 100, "payee": "a"}], context, overrides=overrides).total == 5


def test_an_override_of_an_override(pay: Pay) -> None:
    overrides = [
        {"manager": "m", "of": "commission", "percentage": 20, "payees": ["rep"]},
        {"manager": "d", "of": "override", "percentage": 10, "payees": ["m"]},
    ]

    outcome = pay(flat(5, scope={"payee": "rep"}), [{"amount": 100_000, "payee": "rep"}], overrides=overrides)

    assert {line.payee: line.amount for line in outcome.lines} == {"rep": 5000, "m": 1000, "d": 100}


@pytest.mark.parametrize(("amount", "paid"), [(999, 0), (1000, 50), (12_999, 600), (-500, 0)])
def test_an_amount_for_every_whole_step(pay: Pay, amount: int, paid: int) -> None:
    rule = {"category_type": "Flat", "value_type": "Fixed Amount", "fixed_basis": "per_step", "step": 1000}

    assert pay({**rule, "commission": 50}, [amount]).total == paid
    above = {**rule, "commission": 50, "threshold": {"amount": 10_000, "mode": "excess"}}
    assert pay(above, [10_000 + amount]).total == paid


@pytest.mark.parametrize(
    ("more", "at", "paid"),
    [
        ({}, 40, 0),
        ({"below": "hold"}, 40, 400),
        ({"below": "from_zero"}, 40, 200),
        ({}, 110, 1000),
        ({"extrapolate": True}, 110, 1300),
        ({"slope": 5}, 110, 1500),
    ],
)
def test_a_curve_before_its_first_and_after_its_last_point(
    pay: Pay, more: dict[str, object], at: int, paid: int
) -> None:
    rest = {name: value for name, value in more.items() if name != "slope"}
    last = {"at": 100, "commission": 100, **({"slope": more["slope"]} if "slope" in more else {})}
    rule = {
        "category_type": "Interpolated",
        "range_type": "Percentage of Quota",
        "value_type": "Percentage of Target",
        "points": [{"at": 80, "commission": 40}, last],
        **rest,
    }

    assert pay(rule, [at], {"quota": 100, "target_incentive": 1000}).total == paid


def test_points_may_be_told_by_slopes(pay: Pay) -> None:
    points = [{"at": 50, "commission": 0, "slope": 2}, {"at": 100, "slope": 3}]
    stated = {"category_type": "Interpolated", "range_type": "Percentage of Quota", "points": points}
    rule = {**stated, "value_type": "Percentage of Target"}

    paid = [pay(rule, [at], {"quota": 100, "target_incentive": 1000}).total for at in (49, 75, 100, 110)]

    assert paid == [0, 500, 1000, 1300]


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (matrix(columns={"from": [0, 20, 30]}), ("E_FIELD_MISSING", "plan.rules[0].columns.measure")),
        (matrix(columns={"measure": "gm", "from": [5, 20, 30]}), ("E_TIER_START", "plan.rules[0].columns.from")),
        (matrix(columns={"measure": "gm", "from": [0, 20]}), ("E_TIER_COUNT", "plan.rules[0].tiers[0].commission")),
        (matrix(columns={"measure": "gm"}), ("E_FIELD_MISSING", "plan.rules[0].columns.from")),
        (
            {**flat([1, 2]), "value_type": "Fixed Amount", "fixed_basis": "per_period"}
            | {"columns": {"range_type": "Discount Percent", "from": [0, 10]}},
            ("E_FIELD_FORBIDDEN", "plan.rules[0].columns"),
        ),
        (flat(5, gates=[{"measure": "gm"}]), ("E_FIELD_MISSING", "plan.rules[0].gates[0].at_least")),
        (flat(5, gates=[{"at_least": 5}]), ("E_FIELD_MISSING", "plan.rules[0].gates[0].measure")),
        (
            flat(5, modifiers=[{"tiers": [{"from": 0, "multiplier": 1}]}]),
            ("E_FIELD_MISSING", "plan.rules[0].modifiers[0].measure"),
        ),
        (flat(5, modifiers=[{"measure": "a", "as": "factor"}]), ("E_UNKNOWN", "plan.rules[0].modifiers[0].as")),
        (flat(5, step=100), ("E_FIELD_FORBIDDEN", "plan.rules[0].step")),
        (
            {**flat(5), "value_type": "Fixed Amount", "fixed_basis": "per_step"},
            ("E_FIELD_MISSING", "plan.rules[0].step"),
        ),
    ],
)
def test_what_is_wrong_with_a_second_measure_is_said_where_it_is(
    refusals: Refusals, rule: dict[str, Any], refused: tuple[str, str]
) -> None:
    assert refused in refusals(rule)


def test_measures_have_names_and_are_of_windows(refusals: Refusals) -> None:
    measures = [{"name": "a"}, {"name": "a"}, {"range_type": "Discount Percent"}, {"name": "b", "of": "team"}]

    assert refusals(flat(5), measures=measures) == [
        ("E_DUPLICATE", "plan.measures[1].name"),
        ("E_FIELD_MISSING", "plan.measures[2].name"),
        ("E_UNKNOWN", "plan.measures[2].range_type"),
        ("E_UNKNOWN", "plan.measures[3].of"),
    ]
