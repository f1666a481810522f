"""The laws of the engine; each test quotes its law, and an excluded case stands beside it."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.money import allocate, round_money
from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.parsing import parse_form
from commission_mcp.errors import Refused

CENT = Decimal("0.01")


def form(stated: object, sales: object, context: object = None, **plan: object) -> dict[str, object]:
    """A form with one rule."""
    return {"plan": {"rules": [stated], **plan}, "sales": sales, "context": context or {}}


def calculated(stated: object) -> Outcome:
    """What a form pays."""
    inputs = parse_form(stated)
    return calculate(inputs.plan, inputs.sales, inputs.situation)


amounts = st.decimals("0", "999999.99", places=2)
signed = st.decimals("-99999.99", "999999.99", places=2)
rates = st.decimals("0", "30", places=3)
cuts = st.lists(st.integers(1, 900_000), min_size=1, max_size=5, unique=True).map(sorted)


@st.composite
def tables(draw: st.DrawFn, *, rising: bool = False) -> list[dict[str, object]]:
    """Tiers as a plan writes them."""
    edges = [0, *draw(cuts)]
    values = draw(st.lists(rates, min_size=len(edges), max_size=len(edges)))
    values = sorted(values) if rising else values
    ends = [*edges[1:], None]
    return [
        {"from": low, "to": high, "commission": str(value)}
        for low, high, value in zip(edges, ends, values, strict=True)
    ]


def rule(category: str, tiers: object, **more: object) -> dict[str, Any]:
    return {"category_type": category, "range_type": "Amount", "tiers": tiers, **more}


def pay(stated: object, sales: list[Decimal], **plan: object) -> Decimal:
    return calculated(form(stated, [{"amount": str(amount)} for amount in sales], **plan)).total


@given(cuts, st.decimals("0", "1000000", places=2), st.sampled_from(Boundary))
def test_bands_leave_no_gap_and_no_overlap(edges: list[int], x: Decimal, boundary: Boundary) -> None:
    """Every x lies in exactly one band."""
    floors = (Decimal(0), *map(Decimal, edges))
    bands = Bands(floors, tuple(map(Decimal, range(len(floors)))), boundary)
    ends = [*floors[1:], Decimal("Infinity")]

    if boundary is Boundary.UPPER_INCLUSIVE:
        inside = [i for i, (low, high) in enumerate(zip(floors, ends, strict=True)) if low < x <= high or x == i == 0]
    else:
        inside = [i for i, (low, high) in enumerate(zip(floors, ends, strict=True)) if low <= x < high]

    assert inside == [bands.index(x)]


@given(tables(), amounts)
def test_tiered_is_the_sum_over_the_bands(tiers: list[dict[str, Any]], x: Decimal) -> None:
    """Tiered pays sum r_i * max(0, min(x, U_i) - L_i)."""
    exact = Decimal(0)
    for row in tiers:
        upper = x if row["to"] is None else min(x, Decimal(row["to"]))
        exact += Decimal(row["commission"]) * max(Decimal(0), upper - row["from"]) / 100

    assert pay(rule("Tiered", tiers), [x]) == round_money(exact, CENT)


@given(tables(), st.lists(amounts, min_size=1, max_size=5), st.sampled_from(["Tiered", "Slab"]))
def test_splitting_a_sale_leaves_the_total(tiers: object, parts: list[Decimal], category: str) -> None:
    """A sale and its parts pay the same, where the window is longer than a transaction."""
    assert pay(rule(category, tiers), parts) == pay(rule(category, tiers), [sum(parts, Decimal(0))])


def test_splitting_changes_what_each_transaction_earns_alone() -> None:
    """Excluded: accumulation by transaction, and amounts per transaction."""
    tiers = [{"from": 0, "to": 100, "commission": 5}, {"from": 100, "to": None, "commission": 10}]
    alone = rule("Tiered", tiers, accumulation="transaction")
    each = {"category_type": "Flat", "value_type": "Fixed Amount", "fixed_basis": "per_transaction", "commission": 3}

    assert (pay(alone, [Decimal(200)]), pay(alone, [Decimal(100)] * 2)) == (15, 10)
    assert (pay(each, [Decimal(200)]), pay(each, [Decimal(100)] * 2)) == (3, 6)


@st.composite
def mixed_forms(draw: st.DrawFn) -> dict[str, object]:
    """Forms with many features at once: payees, splits, months, windows, caps, draws, refunds."""
    sales: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 8))):
        month = draw(st.integers(1, 6))
        sale: dict[str, Any] = {"sale_id": f"s{number}", "amount": str(draw(signed)), "date": f"2026-{month:02d}-10"}
        shares = draw(st.sampled_from([["100"], ["50", "50"], ["1/3", "1/3", "1/3"], ["33.33", "66.67"]]))
        sale["credits"] = [{"payee": f"p{i}", "share": share} for i, share in enumerate(shares)]
        sales.append(sale)
        if draw(st.booleans()) and not sale["amount"].startswith("-"):
            back = {"sale_id": f"r{number}", "amount": f"-{sale['amount']}", "date": "2026-06-20"}
            sales.append({**back, "refund_of": f"s{number}"})
    stated = rule(
        draw(st.sampled_from(["Tiered", "Slab"])),
        draw(tables()),
        accumulation=draw(st.sampled_from(["transaction", "calculation_period", "quarter", "year", "plan"])),
        negative_base=draw(st.sampled_from(["first_band", "zero", "carry"])),
        cap=draw(st.sampled_from([None, 1000, {"amount": "2500.50", "per": "window"}])),
    )
    plan: dict[str, object] = {"calculation_schedule": "Monthly", "total_cap": draw(st.sampled_from([None, 5000]))}
    plan["draw"] = draw(st.sampled_from([None, {"amount": "1500", "recoverable": True}]))
    return form(stated, sales, **plan)


@settings(max_examples=150, deadline=None)
@given(mixed_forms())
def test_lines_sum_to_the_total(stated: dict[str, object]) -> None:
    """Lines always sum to the rounded total, and each is a whole number of cents."""
    outcome = calculated(stated)

    assert sum(line.amount for line in outcome.lines) == outcome.total
    assert sum(statement.total for statement in outcome.statements) == outcome.total
    assert all(line.amount == line.amount.quantize(CENT) for line in outcome.lines)


@given(st.lists(st.decimals("-1000", "1000", places=5), min_size=1, max_size=20))
def test_allocation_loses_no_cent(shares: list[Decimal]) -> None:
    """The parts sum to the total, and each is less than a cent away from its exact share."""
    total = round_money(sum(shares, Decimal(0)), CENT)
    parts = allocate(total, shares, [str(i) for i in range(len(shares))], CENT)

    assert sum(parts) == total
    assert all(abs(part - share) <= CENT for part, share in zip(parts, shares, strict=True))


@given(tables(), amounts, amounts)
def test_tiered_is_monotone(tiers: object, one: Decimal, other: Decimal) -> None:
    """Selling more never pays less under Tiered."""
    low, high = sorted((one, other))

    assert pay(rule("Tiered", tiers), [low]) <= pay(rule("Tiered", tiers), [high])


@given(tables(rising=True), amounts, amounts)
def test_slab_is_monotone_where_rates_rise(tiers: object, one: Decimal, other: Decimal) -> None:
    """Selling more never pays less under Slab, where rates do not fall."""
    low, high = sorted((one, other))

    assert pay(rule("Slab", tiers), [low]) <= pay(rule("Slab", tiers), [high])


def test_slab_with_falling_rates_can_pay_less_for_more() -> None:
    """Excluded: a Slab whose rates fall."""
    tiers = [{"from": 0, "to": 100000, "commission": 7}, {"from": 100001, "to": None, "commission": 5}]

    assert pay(rule("Slab", tiers), [Decimal(100000)]) == 7000
    assert pay(rule("Slab", tiers), [Decimal(100001)]) == Decimal("5000.05")


@st.composite
def refunded(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    """Dated sales, and which of them is taken back."""
    sales = [
        {"sale_id": f"s{i}", "amount": str(amount), "date": f"2026-{draw(st.integers(1, 6)):02d}-1{i}"}
        for i, amount in enumerate(draw(st.lists(amounts, min_size=1, max_size=6)))
    ]
    return sales, draw(st.integers(0, len(sales) - 1))


@given(refunded(), tables(), st.sampled_from(["Tiered", "Slab"]), st.sampled_from(["calculation_period", "quarter"]))
@settings(deadline=None)
def test_a_refund_equals_a_world_without_the_sale(
    given_sales: tuple[list[dict[str, Any]], int], tiers: object, category: str, accumulation: str
) -> None:
    """A refund and its re-run leave what would have been paid without the sale."""
    sales, index = given_sales
    back = {"amount": f"-{sales[index]['amount']}", "date": "2026-08-01", "refund_of": sales[index]["sale_id"]}
    stated = rule(category, tiers, accumulation=accumulation)

    world = calculated(form(stated, [sale for sale in sales if sale is not sales[index]]))

    assert calculated(form(stated, [*sales, back])).total == world.total


@given(refunded(), tables(), st.sampled_from(["Tiered", "Slab"]), st.integers(0, 5), amounts)
@settings(deadline=None)
def test_a_refund_equals_a_world_without_the_sale_where_losses_are_carried(
    given_sales: tuple[list[dict[str, Any]], int], tiers: object, category: str, month: int, loss: Decimal
) -> None:
    """The windows that a re-run window carries into are calculated again with it."""
    sales, index = given_sales
    lost = {"sale_id": "loss", "amount": f"-{loss}", "date": f"2026-{month + 1:02d}-20"}
    back = {"amount": f"-{sales[index]['amount']}", "date": "2026-08-01", "refund_of": sales[index]["sale_id"]}
    stated = rule(category, tiers, negative_base="carry")
    without = [sale for sale in sales if sale is not sales[index]]

    world = calculated(form(stated, [*without, lost]))

    assert calculated(form(stated, [*sales, lost, back])).total == world.total


def test_a_negative_sale_on_its_own_date_is_another_thing() -> None:
    """Excluded: without `refund_of` a negative sale counts in its own period."""
    tiers = [{"from": 0, "to": 100, "commission": 5}, {"from": 100, "to": None, "commission": 10}]
    sales = [{"amount": 300, "date": "2026-01-10"}, {"amount": -300, "date": "2026-02-10"}]

    assert calculated(form(rule("Tiered", tiers), sales)).total == 25 - 15


@given(st.lists(amounts, min_size=1, max_size=8), tables(), st.randoms(use_true_random=False))
def test_order_in_the_list_does_not_matter(sales: list[Decimal], tiers: object, shuffle: random.Random) -> None:
    """Sales with keys and dates pay the same in any order of the list, line by line."""
    rows = [{"sale_id": f"s{i}", "amount": str(amount), "date": "2026-01-10"} for i, amount in enumerate(sales)]
    mixed = shuffle.sample(rows, len(rows))

    assert _paid(calculated(form(rule("Tiered", tiers), rows))) == _paid(calculated(form(rule("Tiered", tiers), mixed)))


def test_order_in_time_matters_where_a_threshold_is_consumed() -> None:
    """Excluded: product rates above a threshold, where the first sales fill it."""
    rates_ = [{"product": "A", "commission": 10}, {"product": "B", "commission": 20}]
    stated = {"category_type": "Flat", "rates": rates_, "threshold": {"amount": 100, "mode": "excess"}}
    a, b = {"product": "A", "amount": 100}, {"product": "B", "amount": 100}

    assert (calculated(form(stated, [a, b])).total, calculated(form(stated, [b, a])).total) == (20, 10)


def _paid(outcome: Outcome) -> dict[str | None, Decimal]:
    return {line.sale_id: line.amount for line in outcome.lines}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1/3", "5", "1e5"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "category_type",
    "range_type",
    "value_type",
    "fixed_basis",
    "base_value",
    "accumulation",
    "tiers",
    "points",
    "commission",
    "rates",
    "scope",
    "threshold",
    "cap",
    "floor",
    "accelerators",
    "client_tier_overrides",
    "multipliers",
    "gates",
    "pool",
    "draw",
    "rounding",
    "boundary",
    "cap_range",
    "valid_from",
    "valid_to",
    "priority",
    "component",
    "interpolation",
    "plan_type",
    "plan_base",
    "negative_base",
    "from",
    "to",
    "at",
    "multiplier",
    "amount",
    "percentage",
    "payee",
    "share",
    "weight",
    "credits",
    "date",
    "refund_of",
    "fx_rate",
    "currency",
    "attributes",
    "rules",
    "spiffs",
    "bonuses",
    "overrides",
    "assignments",
    "clawback_schedule",
    "proration",
    "base_salary",
    "total_cap",
    "quota",
    "period",
    "active",
    "steps",
    "at_least",
]
WORDS = [
    "Flat",
    "Slab",
    "Tiered",
    "Interpolated",
    "Amount",
    "Quantity",
    "Percentage",
    "transaction",
    "quarter",
    "per_unit",
    "per_period",
    "per_transaction",
    "Margin",
    "USD",
    "whole",
    "excess",
    "marginal",
    "2026-07",
    "2026-07-01",
    "required",
]
near_values = st.recursive(
    json_values | st.sampled_from([*WORDS, "Fixed Amount", "Percentage of Quota", "0", "100", "250.5", 0, 1, 7]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=25,
)
objects = st.dictionaries(st.sampled_from(FIELDS), near_values, max_size=8)


def understood_or_refused(stated: object) -> None:
    """Calculate a form, or have its problems; anything else is a crash."""
    try:
        inputs = parse_form(stated)
    except Refused as refused:
        silent = [problem for problem in refused.problems if not problem.message or not problem.fix]
    else:
        outcome = calculate(inputs.plan, inputs.sales, inputs.situation)
        silent = [] if sum(line.amount for line in outcome.lines) == outcome.total else [outcome]
    assert silent == []


@settings(max_examples=400, deadline=None)
@given(objects | near_values, st.lists(objects, max_size=3) | near_values, objects | near_values)
def test_any_json_is_either_understood_or_refused(plan: object, sales: object, context: object) -> None:
    """Whatever JSON comes, it is calculated or refused with at least one problem; nothing else happens."""
    understood_or_refused({"plan": plan, "sales": sales, "context": context})


SOUND = form(
    rule("Tiered", [{"from": 0, "to": 100, "commission": 5}, {"from": 100, "to": None, "commission": 7}]),
    [{"sale_id": "a", "amount": "180", "quantity": "1", "cost": "60", "date": "2026-07-03", "payee": "p"}],
    {"quota": "100", "draw_balance": "0", "target_incentive": 50},
    draw={"amount": 1, "recoverable": True},
    spiffs=[{"amount": 5}],
    bonuses=[{"amount": 5, "at_least": 3}],
    overrides=[{"manager": "m", "percentage": 1}],
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_sound_form_with_anything_put_into_it_is_understood_or_refused(data: st.DataObject) -> None:
    """One field of a sound form may hold anything: it is calculated or refused, and never a crash."""

    def spoil(value: object) -> object:
        if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
            items = cast("dict[str, object]", value)
            name = data.draw(st.sampled_from([*items, *FIELDS]))
            return {**items, name: spoil(items.get(name))}
        if isinstance(value, list) and value and data.draw(st.booleans()):
            first, *rest = cast("list[object]", value)
            return [spoil(first), *rest]
        return data.draw(near_values)

    understood_or_refused(spoil(SOUND))


def test_ten_thousand_sales_of_many_payees_in_one_calculation() -> None:
    """The work grows with the sales, not with their square: ten thousand are an ordinary test."""
    tiers = [{"from": 0, "to": 5000, "commission": 5}, {"from": 5000, "to": None, "commission": 7}]
    sales = [
        {"amount": "100.10", "date": f"2026-{1 + i % 12:02d}-10", "payee": f"p{i % 100}", "sale_id": f"s{i}"}
        for i in range(10_000)
    ]

    outcome = calculated(form(rule("Tiered", tiers, accumulation="year"), sales, calculation_schedule="Monthly"))

    # Each of the payees sells 100 times 100.10: 5,000 at 5 % and 5,010 at 7 %.
    assert outcome.total == 100 * (Decimal(250) + Decimal("350.70"))


@given(tables(), amounts, st.integers(0, 100))
def test_a_matrix_of_equal_columns_is_its_table(tiers: list[dict[str, Any]], x: Decimal, score: int) -> None:
    """Which column is chosen changes nothing, where all columns pay the same."""
    rows = [{**row, "commission": [row["commission"]] * 3} for row in tiers]
    stated = rule("Tiered", rows, columns={"measure": "score", "from": [0, 40, 70]})
    context = {"measures": {"score": score}}

    matrix = calculated(form(stated, [{"amount": str(x)}], context)).total

    assert matrix == pay(rule("Tiered", tiers), [x])


def test_a_matrix_of_unequal_columns_is_not_its_first_table() -> None:
    """Excluded: columns that differ."""
    tiers = [{"from": 0, "to": None, "commission": [5, 10]}]
    stated = rule("Tiered", tiers, columns={"measure": "score", "from": [0, 50]})

    paid = [calculated(form(stated, [{"amount": 100}], {"measures": {"score": at}})).total for at in (49, 50)]

    assert paid == [5, 10]


@given(tables(), amounts, st.decimals("0", "5", places=2))
def test_a_modifier_multiplies_the_exact_amount(tiers: object, x: Decimal, multiplier: Decimal) -> None:
    """What is paid is the exact amount times the multiplier, rounded once."""
    by = [{"from": 0, "to": None, "multiplier": str(multiplier)}]
    stated = rule("Tiered", tiers, modifiers=[{"measure": "score", "tiers": by}])
    exact = sum(
        (line.exact for line in calculated(form(rule("Tiered", tiers), [{"amount": str(x)}])).lines), Decimal(0)
    )

    paid = calculated(form(stated, [{"amount": str(x)}], {"measures": {"score": 1}})).total

    assert paid == round_money(exact * multiplier, CENT)


def test_a_cap_comes_after_the_modifier() -> None:
    """Excluded: rules with a cap, which holds for the multiplied amount."""
    by = [{"from": 0, "to": None, "multiplier": 2}]
    stated = {"commission": 10, "cap": 15, "modifiers": [{"measure": "score", "tiers": by}]}

    assert calculated(form(stated, [{"amount": 100}], {"measures": {"score": 1}})).total == 15


@given(st.lists(amounts, min_size=1, max_size=4), st.integers(1, 10_000))
def test_steps_pay_what_division_without_rest_says(sold: list[Decimal], step: int) -> None:
    """Amounts per step pay floor(x / step) * v."""
    stated = {"value_type": "Fixed Amount", "fixed_basis": "per_step", "step": step, "commission": "2.50"}

    assert pay(stated, sold) == sum(sold, Decimal(0)) // step * Decimal("2.50")


def test_steps_of_each_sale_alone_lose_the_rests() -> None:
    """Excluded: accumulation by transaction."""
    stated = {"value_type": "Fixed Amount", "fixed_basis": "per_step", "step": 100, "commission": 1}

    assert pay(stated, [Decimal(150)] * 2) == 3
    assert pay({**stated, "accumulation": "transaction"}, [Decimal(150)] * 2) == 2
