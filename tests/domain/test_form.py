"""What the form accepts, what it refuses, and that it tells everything at once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from commission_mcp.domain.bands import Boundary
from commission_mcp.domain.canonical import canonical_json, fingerprint
from commission_mcp.domain.money import loads, minor_unit, read_number, round_money
from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.rules import Slab
from commission_mcp.errors import Code, Refused

Pay: TypeAlias = Callable[..., Outcome]
Refusals: TypeAlias = Callable[..., list[tuple[str, str]]]


def tier(start: object, end: object, value: object = 5) -> dict[str, object]:
    return {"from": start, "to": end, "commission": value}


def rule(*tiers: dict[str, object], **more: object) -> dict[str, Any]:
    return {"category_type": "Slab", "range_type": "Amount", "value_type": "Percentage", "tiers": list(tiers), **more}


FIRST, LAST = tier(0, 100000), tier(100000, None)


@pytest.mark.parametrize(
    ("tiers", "code", "path"),
    [
        ([tier(0, 100000), tier(100500, None)], "E_TIER_GAP", "tiers[1].from"),
        ([tier(0, 100000), tier(90000, None)], "E_TIER_OVERLAP", "tiers[1].from"),
        ([tier(0, 100000), tier(100000, 250000)], "E_TIER_OPEN", "tiers[1].to"),
        ([tier(0, None), tier(100000, None)], "E_TIER_OPEN", "tiers[0].to"),
        ([tier(5, None)], "E_TIER_START", "tiers[0].from"),
        ([tier(0, 0), tier(0, None)], "E_TIER_EMPTY", "tiers[0].to"),
        ([tier(0, 10), tier(11, 20), tier(20, None)], "E_TIER_MIXED", "tiers"),
        ([tier(0, None, -1)], "E_NEGATIVE", "tiers[0].commission"),
        ([tier(0, None, "1e5")], "E_NUMBER", "tiers[0].commission"),
        ([tier("NaN", None)], "E_NUMBER", "tiers[0].from"),
        ([tier(0, "100,000"), LAST], "E_NUMBER", "tiers[0].to"),
        ([tier(0, None, 0.05)], "E_NUMBER", "tiers[0].commission"),
        ([], "E_TIER_COUNT", "tiers"),
    ],
)
def test_tiers_that_leave_a_doubt_are_refused(
    refusals: Refusals, tiers: list[dict[str, object]], code: str, path: str
) -> None:
    assert (code, f"plan.rules[0].{path}") in refusals(rule(*tiers))


@pytest.mark.parametrize(
    ("tiers", "cut", "boundary"),
    [
        ([FIRST, LAST], "100000", Boundary.LOWER_INCLUSIVE),
        ([FIRST, tier(100001, None)], "100000", Boundary.UPPER_INCLUSIVE),
        ([FIRST, tier("100000.01", None)], "100000", Boundary.UPPER_INCLUSIVE),
        ([tier(0, "499.99"), tier(500, None)], "499.99", Boundary.UPPER_INCLUSIVE),
        ([{"from": 0, "commission": 5}, tier(7, None)], "7", Boundary.LOWER_INCLUSIVE),
        ([{"to": 7, "commission": 5}, {"to": None, "commission": 5}], "7", Boundary.LOWER_INCLUSIVE),
    ],
)
def test_every_notation_means_the_same_cut(tiers: list[dict[str, object]], cut: str, boundary: Boundary) -> None:
    plan, warnings = parse_plan({"rules": [rule(*tiers)]})
    scheme = plan.rules[0].scheme

    assert isinstance(scheme, Slab)
    assert (scheme.bands.cuts, scheme.bands.boundary) == ((Decimal(cut),), boundary)
    assert ([warning.code for warning in warnings] == [Code.NORMALISED]) is (boundary is Boundary.UPPER_INCLUSIVE)


def test_a_stated_boundary_counts(pay: Pay) -> None:
    tiers = [tier(0, 100, 5), tier(100, None, 10)]

    assert pay(rule(*tiers, boundary="upper_inclusive"), [100]).total == 5
    assert pay(rule(*tiers), [100]).total == 10


def test_all_problems_are_told_at_once(refusals: Refusals) -> None:
    found = refusals(
        [rule(tier(0, "1e5"), tier("x", None), threshold="1,000", colour="red"), {"category_type": "Tired"}],
        [{"amount": "NaN"}, {"amont": 1}, {"amount": 1, "date": "31.12.2026"}],
        {"quotas": 1},
        plan_nam="x",
        calculation_schedule="Quarterly",
        payment_schedule="Monthly",
    )

    assert set(found) == {
        ("E_NUMBER", "plan.rules[0].tiers[0].to"),
        ("E_NUMBER", "plan.rules[0].tiers[1].from"),
        ("E_NUMBER", "plan.rules[0].threshold"),
        ("E_FIELD_UNKNOWN", "plan.rules[0].colour"),
        ("E_UNKNOWN", "plan.rules[1].category_type"),
        ("E_NUMBER", "sales[0].amount"),
        ("E_FIELD_UNKNOWN", "sales[1].amont"),
        ("E_FIELD_MISSING", "sales[1].amount"),
        ("E_DATE", "sales[2].date"),
        ("E_FIELD_UNKNOWN", "context.quotas"),
        ("E_FIELD_UNKNOWN", "plan.plan_nam"),
        ("E_SCHEDULE_MISMATCH", "plan.payment_schedule"),
    }


def test_wrong_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(Refused) as refused:
        parse_plan({"rules": [rule(tier(0, None), base_value="Gros Revenue", acumulation="year")]})

    fixes = {problem.path: problem.fix for problem in refused.value.problems}
    assert fixes["plan.rules[0].base_value"].startswith("Did you mean 'Gross Revenue'?")
    assert fixes["plan.rules[0].acumulation"].startswith("Did you mean 'accumulation'?")


@pytest.mark.parametrize(
    ("calculation", "payment", "sound"),
    [
        ("Monthly", "Quarterly", True),
        ("Quarterly", "Monthly", False),
        ("Weekly", "Monthly", False),
        ("Per Transaction", "Monthly", True),
        ("Half-Yearly", "Yearly", True),
        ("Monthly", "Per Transaction", False),
    ],
)
def test_payments_nest_in_calculations(refusals: Refusals, calculation: str, payment: str, *, sound: bool) -> None:
    found = refusals({"commission": 5}, calculation_schedule=calculation, payment_schedule=payment)

    assert found == ([] if sound else [("E_SCHEDULE_MISMATCH", "plan.payment_schedule")])


@pytest.mark.parametrize(
    ("stated", "code", "path"),
    [
        ({"category_type": "Flat", "range_type": "Amount", "commission": 5}, "E_FIELD_FORBIDDEN", "range_type"),
        ({"category_type": "Flat", "value_type": "Fixed Amount", "commission": 5}, "E_FIELD_MISSING", "fixed_basis"),
        ({"commission": 5, "fixed_basis": "per_unit"}, "E_FIELD_FORBIDDEN", "fixed_basis"),
        ({"category_type": "Slab", "tiers": [FIRST, LAST]}, "E_FIELD_MISSING", "range_type"),
        ({"category_type": "Flat", "tiers": [FIRST, LAST]}, "E_TIER_COUNT", "tiers"),
        ({"category_type": "Flat"}, "E_FIELD_MISSING", "commission"),
        ({"tiers": [FIRST, LAST]}, "E_FIELD_MISSING", "category_type"),
        ({"commission": 5, "plan_type": "Margin Target", "base_value": "Gross Revenue"}, "E_BASE_VALUE", "base_value"),
        ({"commission": 5, "rounding": "0.003"}, "E_NUMBER", "rounding"),
        ({"commission": 5, "pool": [{"payee": "a"}, {"payee": "a"}]}, "E_DUPLICATE", "pool"),
        ({"commission": 5, "cap": {"per": "period"}}, "E_FIELD_MISSING", "cap.amount"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(refusals: Refusals, stated: object, code: str, path: str) -> None:
    assert (code, f"plan.rules[0].{path}") in refusals(stated)


@pytest.mark.parametrize(
    ("sales", "code", "path"),
    [
        ([{"sale_id": "a", "amount": 1}, {"sale_id": "a", "amount": 2}], "E_DUPLICATE", "sales[1].sale_id"),
        ([{"amount": -1, "refund_of": "x"}], "E_REFUND", "sales[0].refund_of"),
        ([{"sale_id": "a", "amount": 1}, {"amount": 1, "refund_of": "a"}], "E_REFUND", "sales[1]"),
        ([{"amount": 1, "currency": "EUR"}, {"amount": 1, "currency": "GBP"}], "E_FX", "sales[0].fx_rate"),
        ([{"amount": 1, "date": "2025-03-31T23:30-05:00"}], "E_DATE", "sales[0].date"),
        ([{"amount": 1, "date": "2025-03-31"}, {"amount": 1}], "E_DATE", "sales[1].date"),
        ([{"amount": 1, "credits": [{"payee": "a", "share": 120}]}], "E_NUMBER", "sales[0].credits"),
        ([{"amount": 1, "credits": [{"payee": "a"}]}], "E_FIELD_MISSING", "sales[0].credits[0].share"),
        ([7], "E_FIELD_TYPE", "sales[0]"),
    ],
)
def test_sales_that_leave_a_doubt_are_refused(refusals: Refusals, sales: list[object], code: str, path: str) -> None:
    assert (code, path) in refusals({"commission": 5}, sales)


@pytest.mark.parametrize(
    ("stated", "plan", "code"),
    [
        ({"commission": "0.05"}, {}, "W_LOOKS_LIKE_FRACTION"),
        ({"commission": 101}, {}, "W_RATE_ABOVE_100"),
        (rule(tier(0, 100000, 7), tier(100000, None, 5)), {}, "W_SLAB_CLIFF_DOWN"),
        (rule(LAST, FIRST), {}, "W_TIER_ORDER"),
        ({"commission": 5}, {"valid_from": "2025-01-15"}, "W_PARTIAL_PERIOD"),
        ({"commission": 5}, {"valid_from": "2025-01-01", "plan_name": "Q3 Sales Incentives"}, "W_NAME_DATES"),
        ({"commission": 5}, {"client_approvals": {"compliance_check": "passed"}}, "W_APPROVAL_IGNORED"),
    ],
)
def test_what_is_probably_not_meant_is_said(
    warnings_of: Refusals, stated: object, plan: dict[str, Any], code: str
) -> None:
    assert code in [told for told, _ in warnings_of(stated, **plan)]


def test_the_seeds_three_phases_are_one_plan(pay: Pay) -> None:
    seed = rule(tier(0, 100000), tier(100001, 250000, 7), tier(250001, None, 10), plan_type="Revenue Target")
    outcome = pay(
        seed,
        [{"amount": 1000, "territory": "North", "product": "Product A"}, {"amount": 9, "territory": "North"}],
        plan_name="Q3 Sales Incentives - Client ABC",
        client_specific_rules={"currency": "USD", "region": "North America", "compliance_level": "enterprise"},
        assignments=[
            {"territory": "North", "product": "Product A", "client_override": "priority_1"},
            {"territory": "South", "product": "Product B", "client_override": "standard"},
        ],
        currency="USD",
        uom="Each",
    )

    assert (outcome.total, [miss.reason for miss in outcome.unmatched]) == (50, ["no assignment matches"])


def test_equal_assignments_are_in_conflict(refusals: Refusals) -> None:
    north = {"territory": "North"}

    assert refusals({"commission": 5}, assignments=[north, north]) == [("E_ASSIGN_CONFLICT", "plan.assignments[1]")]
    later = [{**north, "valid_to": "2025-06-30"}, {**north, "valid_from": "2025-07-01"}]
    assert refusals({"commission": 5}, assignments=later) == []


def test_json_numbers_keep_their_text() -> None:
    assert loads('{"a": 7.10, "b": 3, "c": 1e5, "d": NaN}') == {"a": "7.10", "b": 3, "c": "1e5", "d": "NaN"}


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}', "[" * 100_000, "9" * 5000])
def test_what_is_no_sound_json_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        loads(text)


@pytest.mark.parametrize(
    "value", ["1e5", "NaN", "Infinity", "1,000", "+1", ".6", "01", "1.", " 1", "\u0661", True, 0.1, None]
)
def test_what_is_no_plain_number_is_refused(value: object) -> None:
    assert isinstance(read_number(value, 6), str)


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("2.675", "2.68"), ("-0.004", "0.00")]
)
def test_halves_are_rounded_away_from_zero(amount: str, rounded: str) -> None:
    assert str(round_money(Decimal(amount), minor_unit("USD"))) == rounded


def test_equal_plans_have_equal_fingerprints() -> None:
    one, other = {"b": [1, {"d": None, "c": "é"}], "a": "5"}, {"a": "5", "b": [1, {"c": "é", "d": None}]}

    assert canonical_json(one) == '{"a":"5","b":[1,{"c":"é","d":null}]}'
    assert fingerprint(one) == fingerprint(other)
    with pytest.raises(TypeError):
        canonical_json({"a": [0.1]})
