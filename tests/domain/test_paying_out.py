"""What is held back and released, and what goes to others than the credited payee."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.outcome import Kind, Outcome
from commission_mcp.domain.parsing import parse_form

Pay: TypeAlias = Callable[..., Outcome]
Refusals: TypeAlias = Callable[..., list[tuple[str, str]]]

STAGES = [{"percentage": 30, "until": "delivery"}, {"percentage": 40, "until": "payment"}]
SALE = {
    "sale_id": "s",
    "amount": 1000,
    "date": "2026-01-10",
    "events": {
        "delivery": "2026-02-03",
        "payment": [{"date": "2026-03-01", "percentage": 50}, {"date": "2026-04-01", "percentage": 50}],
    },
}
BACK = {"amount": -1000, "date": "2026-03-20", "refund_of": "s"}


def flat(rate: object = 10, **more: object) -> dict[str, Any]:
    return {"category_type": "Flat", "commission": rate, **more}


def test_stages_are_paid_when_their_events_happen(pay: Pay) -> None:
    outcome = pay(flat(holdback=STAGES), [SALE], calculation_schedule="Monthly")

    assert [(statement.total, statement.held) for statement in outcome.statements] == [
        (30, 70),
        (30, 40),
        (20, 20),
        (20, 0),
    ]


@pytest.mark.parametrize(("period", "paid", "held"), [("2026-01", 30, 70), ("2026-03", 20, 20), ("2026-05", 0, 0)])
def test_each_period_pays_its_own_stage(pay: Pay, period: str, paid: int, held: int) -> None:
    outcome = pay(flat(holdback=STAGES), [SALE], {"period": period}, calculation_schedule="Monthly")

    assert outcome.total == paid
    assert sum(statement.held for statement in outcome.statements) == held


def test_what_is_refunded_is_no_longer_held(pay: Pay) -> None:
    outcome = pay(flat(holdback=STAGES), [SALE, BACK], calculation_schedule="Monthly")

    assert [statement.total for statement in outcome.statements] == [30, 30, -60]
    assert outcome.statements[-1].held == 0


@pytest.mark.parametrize(
    ("until", "paid"),
    [
        ({"days": 90}, [80, 20]),
        ("end of quarter", [80, 20]),
        ("end of month", [100]),
        ("2026-05-31", [80, 20]),
        ("go-live", [80]),
    ],
)
def test_days_and_ends_of_periods_release_too(pay: Pay, until: object, paid: list[int]) -> None:
    rule = flat(holdback={"percentage": 20, "until": until})

    outcome = pay(rule, [{"amount": 1000, "date": "2026-01-10"}], calculation_schedule="Monthly")

    assert [statement.total for statement in outcome.statements] == paid


def test_without_dates_an_event_has_happened_or_not(pay: Pay) -> None:
    rule = flat(holdback={"percentage": 50, "until": "payment"})

    assert pay(rule, [{"amount": 1000}, {"amount": 1000, "events": {"payment": True}}]).total == 150
    assert pay(rule, [{"amount": 1000, "events": {"payment": False}}]).total == 50


def test_overrides_count_what_is_earned_not_what_is_paid(pay: Pay) -> None:
    override = {"manager": "m", "of": "commission", "percentage": 10, "payees": ["r"]}
    rule = flat(holdback={"percentage": 50, "until": "payment"}, scope={"payee": "r"})

    outcome = pay(rule, [{"amount": 1000, "payee": "r"}], {"only_payee": "m"}, overrides=[override])

    assert outcome.total == 10


def test_a_cap_comes_before_what_is_held_back(pay: Pay) -> None:
    assert pay(flat(cap=60, holdback={"percentage": 50, "until": "payment"}), [1000]).total == 30


def test_a_rule_pays_a_part_to_somebody_else(pay: Pay) -> None:
    rule = flat(payout_split=[{"payee": "b", "share": 30}, {"payee": "c", "share": "1/3"}])

    outcome = pay(rule, [{"amount": 1000, "payee": "a"}])

    assert {line.payee: line.amount for line in outcome.lines if line.kind is Kind.SPLIT and line.payee != "a"} == {
        "b": 30,
        "c": Decimal("33.33"),
    }
    assert {statement.payee: statement.total for statement in outcome.statements}["a"] == Decimal("36.67")
    assert outcome.total == 100


def test_a_sale_says_for_itself_who_is_paid(pay: Pay) -> None:
    rule = flat(payout_split=[{"payee": "b", "share": 30}])
    sales = [
        {"amount": 1000, "payee": "a", "payout_split": [{"payee": "c", "share": 50}]},
        {"amount": 500, "payee": "a"},
    ]

    outcome = pay(rule, sales)

    assert {statement.payee: statement.total for statement in outcome.statements} == {"a": 85, "b": 15, "c": 50}


def test_who_is_paid_a_part_gives_it_back_with_the_refund(pay: Pay) -> None:
    rule = flat(payout_split=[{"payee": "b", "share": 30}])
    outcome = pay(rule, [{**SALE, "payee": "a"}, {**BACK, "payee": "a"}], calculation_schedule="Monthly")

    assert sum(line.amount for line in outcome.lines if line.payee == "b") == 0
    assert outcome.total == 0


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (flat(holdback={"percentage": 20}), ("E_FIELD_MISSING", "plan.rules[0].holdback.until")),
        (flat(holdback={"until": "payment"}), ("E_FIELD_MISSING", "plan.rules[0].holdback.percentage")),
        (flat(holdback={"percentage": 120, "until": "x"}), ("E_NUMBER", "plan.rules[0].holdback")),
        (flat(holdback={"percentage": 20, "until": "end of quater"}), ("E_UNKNOWN", "plan.rules[0].holdback.until")),
        (flat(holdback={"percentage": 20, "until": "2026-13-01"}), ("E_DATE", "plan.rules[0].holdback.until")),
        (flat(holdback={"percentage": 20, "until": {}}), ("E_FIELD_MISSING", "plan.rules[0].holdback.until.days")),
        (flat(payout_split=[{"payee": "b"}]), ("E_FIELD_MISSING", "plan.rules[0].payout_split[0].share")),
        (flat(payout_split=[{"payee": "b", "share": 101}]), ("E_NUMBER", "plan.rules[0].payout_split")),
        (flat(payout_split=[{"payee": "b", "share": 1}] * 2), ("E_DUPLICATE", "plan.rules[0].payout_split")),
        (
            flat(pool=[{"payee": "a"}], holdback={"percentage": 20, "until": "x"}),
            ("E_FIELD_FORBIDDEN", "plan.rules[0].holdback"),
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_is(refusals: Refusals, rule: dict[str, Any], refused: tuple[str, str]) -> None:
    assert refused in refusals(rule)


@pytest.mark.parametrize(
    ("events", "path"),
    [
        ({"payment": "soon"}, "sales[0].events.payment"),
        ({"payment": [{"date": "2026-01-01"}]}, "sales[0].events.payment[0].percentage"),
        ({"payment": [{"percentage": 60}, {"percentage": 60}]}, "sales[0].events.payment"),
    ],
)
def test_events_are_dates_or_parts(refusals: Refusals, events: object, path: str) -> None:
    assert path in [where for _, where in refusals(flat(), [{"amount": 1, "events": events}])]


amounts = st.decimals("0.01", "99999.99", places=2)
points = st.integers(0, 100)


def paid(rule: dict[str, Any], sales: list[dict[str, Any]]) -> Outcome:
    inputs = parse_form({"plan": {"calculation_schedule": "Monthly", "rules": [rule]}, "sales": sales})
    return calculate(inputs.plan, inputs.sales, inputs.situation)


@st.composite
def sold(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Sales with a payment of some later month each."""
    return [
        {
            "sale_id": f"s{index}",
            "payee": draw(st.sampled_from(["a", "b"])),
            "amount": str(draw(amounts)),
            "date": f"2026-0{draw(st.integers(1, 4))}-10",
            "events": {"payment": f"2026-0{draw(st.integers(4, 9))}-20"},
        }
        for index in range(draw(st.integers(1, 5)))
    ]


TIERS = [{"from": 0, "to": 5000, "commission": "3.333"}, {"from": 5000, "to": None, "commission": "7.77"}]
LADDER = {"category_type": "Tiered", "range_type": "Amount", "tiers": TIERS, "accumulation": "quarter"}


@given(sold(), points)
def test_a_holdback_changes_when_and_never_how_much(sales: list[dict[str, Any]], held: int) -> None:
    """Once everything has happened, each payee has got what he would have got without a holdback, to the cent."""
    with_it = paid({**LADDER, "holdback": {"percentage": held, "until": "payment"}}, sales)
    without = paid(LADDER, sales)

    for payee in ("a", "b"):
        assert sum(x.amount for x in with_it.lines if x.payee == payee) == sum(
            x.amount for x in without.lines if x.payee == payee
        )
    assert sum(line.amount for line in with_it.lines) == with_it.total


def test_what_has_not_happened_stays_held() -> None:
    """Excluded: a sale whose event never comes."""
    outcome = paid(flat(holdback={"percentage": 20, "until": "payment"}), [{"amount": 1000, "date": "2026-01-10"}])

    assert (outcome.total, outcome.statements[0].held) == (80, 20)


@given(sold(), points)
def test_a_split_payout_moves_money_and_makes_none(sales: list[dict[str, Any]], share: int) -> None:
    """The total is that of the rule alone; who takes the part gets what the others give."""
    with_it = paid({**LADDER, "payout_split": [{"payee": "c", "share": share}]}, sales)
    without = paid(LADDER, sales)

    assert with_it.total == without.total
    assert sum(line.amount for line in with_it.lines if line.kind is Kind.SPLIT) == 0


def test_a_credit_of_its_own_does_make_money() -> None:
    """Excluded: a full credit beside another is no part of it."""
    credits_ = [{"payee": "a", "share": 100}, {"payee": "c", "share": 100}]

    assert paid(flat(), [{"amount": 1000, "date": "2026-01-10", "credits": credits_}]).total == 200
