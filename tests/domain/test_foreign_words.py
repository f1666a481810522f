"""Fields and values of other systems are refused with what they are called here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from commission_mcp.domain.parsing import parse_form
from commission_mcp.domain.parsing.foreign import called_here, value_here
from commission_mcp.domain.wizard import Draft, set_fields
from commission_mcp.errors import Refused

TIERS = [{"from": 0, "to": None, "commission": 5}]
RULE: dict[str, Any] = {"category_type": "Tiered", "range_type": "Amount", "tiers": TIERS}


def fixes(rule: Mapping[str, object], sale: Mapping[str, object], context: Mapping[str, object], **plan: object) -> str:
    """What a form is refused with, taken together."""
    try:
        parse_form({"plan": {"rules": [rule], **plan}, "sales": [sale], "context": context})
    except Refused as refused:
        return " ".join(f"{problem.path}: {problem.fix}" for problem in refused.problems)
    return ""


@pytest.mark.parametrize(
    ("where", "word", "ours"),
    [
        ("rule", "rate", "`commission`"),
        ("rule", "brackets", "`tiers`"),
        ("rule", "type", "`category_type`"),
        ("rule", "basis", "`base_value`"),
        ("rule", "accelerator", "`accelerators`"),
        ("rule", "decelerators", "`accelerators`"),
        ("rule", "kicker", "`accelerators`"),
        ("rule", "multiplier", "`multipliers`"),
        ("rule", "payout_curve", "`points`"),
        ("rule", "matrix", "`columns`"),
        ("rule", "stages", "`holdback`"),
        ("rule", "hurdle", "`gates`"),
        ("rule", "split", "`payout_split`"),
        ("rule", "quota", "`context.quota`"),
        ("rule", "retroactive", "`category_type`"),
        ("rule", "max", "`cap`"),
        ("rule", "draws", "`draw`"),
        ("plan", "kickers", "`bonuses`"),
        ("plan", "spif", "`spiffs`"),
        ("plan", "salary", "`base_salary`"),
        ("plan", "guarantee", "`total_floor`"),
        ("plan", "manager_override", "`overrides`"),
        ("plan", "frequency", "`calculation_schedule`"),
        ("plan", "clawback", "`context.clawbacks`"),
        ("plan", "target_incentive", "`context.target_incentive`"),
        ("plan", "start-date", "`valid_from`"),
        ("sale", "revenue", "`amount`"),
        ("sale", "Deal Value", "`amount`"),
        ("sale", "rep", "`payee`"),
        ("sale", "units", "`quantity`"),
        ("sale", "profit", "`margin`"),
        ("sale", "splits", "`credits`"),
        ("sale", "paid_date", "`events`"),
        ("sale", "discount", "`discount_percent`"),
        ("sale", "exchange_rate", "`fx_rate`"),
        ("sale", "deal_type", "`attributes`"),
        ("context", "ote", "`target_incentive`"),
        ("context", "ytd", "`base_before`"),
        ("context", "hierarchy", "`reports_to`"),
        ("context", "scores", "`measures`"),
        ("context", "hire_date", "`active`"),
    ],
)
def test_a_foreign_field_is_refused_with_ours(where: str, word: str, ours: str) -> None:
    places: dict[str, dict[str, object]] = {"rule": {**RULE}, "sale": {"amount": 1}, "context": {}, "plan": {}}
    places[where][word] = 5

    told = fixes(places["rule"], places["sale"], places["context"], **places["plan"])

    assert ours in told.split("The fields are:")[0]


@pytest.mark.parametrize(
    ("field", "value", "ours"),
    [
        ("category_type", "Progressive", "'Tiered'"),
        ("category_type", "retroactive", "'Slab'"),
        ("category_type", "curve", "'Interpolated'"),
        ("category_type", "simple", "'Flat'"),
        ("category_type", "Teired", "'Tiered'"),
        ("range_type", "revenue", "'Amount'"),
        ("range_type", "quota attainment", "'Percentage of Quota'"),
        ("base_value", "profit", "'Margin'"),
        ("value_type", "%", "'Percentage'"),
        ("value_type", "dollars", "'Fixed Amount'"),
        ("accumulation", "quarterly", "'quarter'"),
        ("accumulation", "deal", "'transaction'"),
    ],
)
def test_a_foreign_value_is_refused_with_ours(field: str, value: str, ours: str) -> None:
    assert ours in fixes({**RULE, field: value}, {"amount": 1}, {}).split("Allowed are:")[0]


@pytest.mark.parametrize(("written", "told"), [("5%", "points"), ("$5", "currency sign"), ("1.5x", "1.5")])
def test_a_number_with_a_sign_is_refused_with_what_to_write(written: str, told: str) -> None:
    assert told in fixes({"commission": written}, {"amount": 1}, {})


def test_shares_that_are_parts_of_one_are_refused() -> None:
    credits_ = [{"payee": "a", "share": "0.6"}, {"payee": "b", "share": "0.4"}]

    assert "points" in fixes(RULE, {"amount": 1000, "credits": credits_}, {})
    assert fixes(RULE, {"amount": 1000, "credits": [{"payee": "a", "share": "1"}]}, {}) == ""


def test_parts_of_one_as_attainment_are_pointed_out() -> None:
    tiers = [{"from": 0, "to": 1, "commission": 5}, {"from": 1, "to": None, "commission": 8}]
    rule = {"category_type": "Slab", "range_type": "Percentage of Quota", "tiers": tiers}
    parsed = parse_form({"plan": {"rules": [rule]}, "sales": [{"amount": 1}], "context": {"quota": 5}})

    assert [str(warning.code) for warning in parsed.warnings] == ["W_LOOKS_LIKE_FRACTION"]


@pytest.mark.parametrize(
    ("where", "field", "sent", "told"),
    [
        ("plan", "draw", 2000, '"recoverable"'),
        ("rule", "holdback", 20, '"until"'),
        ("rule", "columns", [0, 20], '"measure"'),
        ("sale", "credits", ["a", "b"], '"share"'),
        ("context", "adjustments", -500, '"reason"'),
        ("plan", "holdback", {}, "a field of a rule"),
        ("rule", "total_cap", 5, "a field of the plan"),
        ("plan", "reports_to", {}, "`context.reports_to`"),
        ("rule", "refund_of", "s", "a field of a sale"),
        ("rule", "category_type", "Rate matrix", "`columns`"),
    ],
)
def test_another_shape_or_place_is_answered_with_ours(where: str, field: str, sent: object, told: str) -> None:
    places: dict[str, dict[str, object]] = {"rule": {**RULE}, "sale": {"amount": 1}, "context": {}, "plan": {}}
    places[where][field] = sent

    assert told in fixes(places["rule"], places["sale"], places["context"], **places["plan"])


def test_nothing_foreign_is_guessed() -> None:
    assert fixes({**RULE, "category_type": "marginal"}, {"amount": 1}, {})
    assert called_here("zeppelin", {"commission"}) == value_here("zeppelin", {"Tiered"}) == ""


def test_the_wizard_says_it_too() -> None:
    _, problems = set_fields(Draft(), 2, {"accelerator": []})

    assert "`accelerators`" in problems[0].fix
