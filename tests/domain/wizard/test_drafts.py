"""Drafts: what is taken, what is missing, what is wrong, and the plan that comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.wizard import Assessment, Draft, Known, Names, RegionDefaults, TakenName, assess, set_fields
from commission_mcp.domain.wizard.differences import differences
from commission_mcp.domain.wizard.overlaps import overlaps
from commission_mcp.domain.wizard.worked import exposure, worked_rules

KNOWN = Known(
    base_currency="USD",
    region="North America",
    compliance_level="enterprise",
    regions={"North America": RegionDefaults("USD", "standard"), "EMEA": RegionDefaults("EUR", "standard")},
    territories=Names({"north": ("t-n",), "t-n": ("t-n",), "south": ("t-s",)}, ("North", "South")),
    products=Names({"product a": ("p-a",), "product b": ("p-b",)}, ("Product A", "Product B")),
    payees=Names({"kim": ("k-1", "k-2"), "k-1": ("k-1",)}, ("Kim",)),
    uoms=Names({"each": ("Each",)}, ("Each",)),
    override_keys={"priority_1": (1, Decimal(1)), "standard": (100, Decimal(1)), "boost": (50, Decimal("1.5"))},
)
METADATA = {
    "plan_name": "Q3 Sales Incentives",
    "description": "",
    "calculation_schedule": "Monthly",
    "payment_schedule": "Monthly",
    "assignee_type": "Territory",
    "valid_from": "2025-01-01",
    "valid_to": "2025-03-31",
}
TIERS = [
    {"from": 0, "to": 100000, "commission": 5},
    {"from": 100001, "to": 250000, "commission": 7},
    {"from": 250001, "to": None, "commission": 10},
]
RULE = {
    "plan_type": "Revenue Target",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": TIERS,
}
SUBMISSION = {"assignments": [{"territory": "North", "product": "Product A", "client_override": "priority_1"}]}


def drafted(*sets: tuple[int, dict[str, Any]], draft: Draft | None = None) -> Draft:
    draft = draft or Draft()
    for phase, fields in sets:
        draft, problems = set_fields(draft, phase, fields)
        assert problems == []
    return draft


def whole(**rule: object) -> Draft:
    return drafted((1, METADATA), (2, {**RULE, **rule}), (3, SUBMISSION))


def codes(assessment: Assessment) -> set[tuple[str, str]]:
    found = (*assessment.missing, *assessment.problems, *assessment.warnings)
    return {(str(problem.code), problem.path) for problem in found}


def refused(draft: Draft, phase: int, fields: dict[str, Any]) -> list[tuple[str, str]]:
    after, problems = set_fields(draft, phase, fields)
    assert after.rules == draft.rules
    return [(str(problem.code), problem.path) for problem in problems]


def test_an_empty_draft_lacks_what_every_plan_needs() -> None:
    assessment = assess(Draft(), KNOWN)

    assert assessment.problems == ()
    assert {problem.path for problem in assessment.missing} == {
        "plan_name",
        "calculation_schedule",
        "assignee_type",
        "valid_from",
        "valid_to",
        "plan_type",
        "category_type",
        "value_type",
        "base_value",
        "tiers",
        "assignments",
    }


def test_each_phase_done_leads_to_the_next() -> None:
    draft = drafted((1, METADATA))
    assert assess(draft, KNOWN).open_phase == 2
    draft = drafted((2, RULE), draft=draft)
    assert assess(draft, KNOWN).open_phase == 3
    draft = drafted((3, SUBMISSION), draft=draft)
    assert assess(draft, KNOWN).open_phase is None


def test_a_whole_draft_is_a_plan_whose_canonical_form_is_the_same_plan() -> None:
    assessment = assess(whole(), KNOWN)

    assert assessment.definition is not None
    assert parse_plan(assessment.definition)[0] == assessment.plan
    assert [tier["from"] for tier in assessment.definition["rules"][0]["tiers"]] == ["0", "100000", "250000"]  # type: ignore[index] - plain JSON
    assert assessment.definition["assignments"] == [
        {"territory": "t-n", "product": "p-a", "client_override": "priority_1", "priority": 1}
    ]


def test_the_canonical_form_of_the_canonical_form_is_itself() -> None:
    first = assess(whole(), KNOWN).definition
    assert first is not None
    again = assess(Draft().filled(first, "version 1"), replace(KNOWN, territories=_keys("t-n"), products=_keys("p-a")))

    assert differences(first, again.definition) == []


def _keys(*keys: str) -> Names:
    return Names({key: (key,) for key in keys}, keys)


def test_a_name_of_another_quarter_and_inclusive_tiers_are_pointed_out() -> None:
    assert codes(assess(whole(), KNOWN)) == {("W_NAME_DATES", "plan_name"), ("W_NORMALISED", "tiers")}


def test_outcomes_of_approvals_are_requests_only() -> None:
    claims = {"manager_approval": "required", "finance_review": "auto_approved", "compliance_check": "passed"}
    assessment = assess(drafted((3, {"client_approvals": claims}), draft=whole()), KNOWN)

    assert {path for code, path in codes(assessment) if code == "W_APPROVAL_IGNORED"} == {
        "client_approvals.finance_review",
        "client_approvals.compliance_check",
    }
    assert assessment.requested == ("manager_approval", "finance_review", "compliance_check")


def test_defaults_name_their_source() -> None:
    draft = drafted((1, {"client_specific_rules": {"region": "emea"}}))
    found = {default.path: (default.value, default.source) for default in assess(draft, KNOWN).defaults}

    assert found["client_specific_rules.currency"] == ("EUR", "the region EMEA")
    assert found["client_specific_rules.compliance_level"] == ("enterprise", "the client's profile")


def test_a_currency_of_phase_3_that_is_another_one_is_a_problem() -> None:
    assert ("E_CURRENCY", "currency") in codes(assess(drafted((3, {"currency": "EUR"}), draft=whole()), KNOWN))


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        (
            {"tiers": [{"from": 0, "to": 100000, "commission": 5}, {"from": 100500, "to": None, "commission": 7}]},
            "E_TIER_GAP",
            "tiers[1].from",
        ),
        (
            {"tiers": [{"from": 0, "to": 100000, "commission": 5}, {"from": 90000, "to": None, "commission": 7}]},
            "E_TIER_OVERLAP",
            "tiers[1].from",
        ),
        ({"tiers": [{"from": 0, "to": 250000, "commission": 5}]}, "E_TIER_OPEN", "tiers[0].to"),
        ({"tiers": [{"from": 0, "to": None, "commission": "1e5"}]}, "E_NUMBER", "tiers[0].commission"),
        ({"tiers": [{"from": 0, "to": None, "commission": "NaN"}]}, "E_NUMBER", "tiers[0].commission"),
        ({"tiers": [{"from": 0, "to": "100,000", "commission": 5}]}, "E_NUMBER", "tiers[0].to"),
        ({"base_value": "Margin"}, "E_BASE_VALUE", "base_value"),
        ({"category_type": "Teired"}, "E_UNKNOWN", "category_type"),
        ({"value_type": "Fixed Amount"}, "E_FIELD_MISSING", "fixed_basis"),
        ({"range_type": "Quantity"}, "E_FIELD_MISSING", "uom"),
        ({"valid_from": "2024-12-01"}, "E_DATE", "valid_from"),
        ({"scope": {"territory": "Nort"}}, "E_UNKNOWN", "scope.territory"),
        ({"plan_params": ["Terittory"]}, "E_UNKNOWN", "plan_params"),
        ({"tiers": [{"from": 0, "to": None, "commission": "0.05"}]}, "W_LOOKS_LIKE_FRACTION", "tiers"),
    ],
)
def test_what_is_wrong_in_a_rule_is_said_where_it_is(fields: dict[str, Any], code: str, path: str) -> None:
    draft = drafted((2, fields), draft=whole())
    found = codes(assess(draft, KNOWN))

    assert any(found_code == code and path.rpartition(".")[2] in found_path for found_code, found_path in found), found


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        (
            {"payment_schedule": "Monthly", "calculation_schedule": "Quarterly"},
            "E_SCHEDULE_MISMATCH",
            "payment_schedule",
        ),
        ({"valid_from": "2025-04-01"}, "E_DATE", "valid_to"),
        ({"valid_from": "2025-01-15"}, "E_FIELD_MISSING", "proration"),
        ({"client_specific_rules": {"currency": "USX"}}, "E_CURRENCY", "client_specific_rules.currency"),
        ({"client_specific_rules": {"region": "EMAE"}}, "E_UNKNOWN", "client_specific_rules.region"),
        (
            {"client_specific_rules": {"compliance_level": "none"}},
            "E_UNKNOWN",
            "client_specific_rules.compliance_level",
        ),
        ({"client_specific_rules": "USD"}, "E_FIELD_TYPE", "client_specific_rules"),
        ({"assignee_type": "Terittory"}, "E_UNKNOWN", "assignee_type"),
        ({"plan_name": " "}, "E_FIELD_TYPE", "plan_name"),
        ({"description": "x" * 5000}, "E_FIELD_TYPE", "description"),
        ({"valid_from": "01.01.2025"}, "E_DATE", "valid_from"),
    ],
)
def test_what_is_wrong_in_the_metadata_is_said_where_it_is(fields: dict[str, Any], code: str, path: str) -> None:
    assert (code, path) in codes(assess(drafted((1, fields), draft=whole()), KNOWN))


@pytest.mark.parametrize(
    ("assignments", "code", "path"),
    [
        ([{"territory": "Nort"}], "E_UNKNOWN", "assignments[0].territory"),
        ([{"payee": "Kim"}], "E_UNKNOWN", "assignments[0].payee"),
        ([{"territory": "North", "client_override": "priority_9"}], "E_UNKNOWN", "assignments[0].client_override"),
        ([{"territory": "North"}, {"territory": ["North", "South"]}], "E_ASSIGN_CONFLICT", "assignments[1]"),
        ([{"territory": "North", "currency": "EUR"}], "E_CURRENCY", "assignments[0].currency"),
        ([{"priority": 1}], "E_FIELD_MISSING", "assignments[0].territory"),
        ([{"territory": "North", "valid_to": "2026-01-01"}], "E_DATE", "assignments[0].valid_to"),
        ({"territory": "North"}, "E_FIELD_TYPE", "assignments"),
        (["North"], "E_FIELD_TYPE", "assignments[0]"),
    ],
)
def test_what_is_wrong_in_the_assignments_is_said_where_it_is(assignments: object, code: str, path: str) -> None:
    assert (code, path) in codes(assess(drafted((3, {"assignments": assignments}), draft=whole()), KNOWN))


def test_more_than_a_version_can_hold_is_said_in_the_draft() -> None:
    many = [f"c{number}" for number in range(40)]
    row = {"customer": many, "plant": many}
    draft = drafted(
        (3, {"assignments": [row]}), (2, {"spiffs": [{"name": n, "amount": 1} for n in many]}), draft=whole()
    )

    assert codes(assess(draft, KNOWN)) >= {("E_LIMIT", "rules"), ("E_LIMIT", "assignments")}


def test_a_name_that_another_plan_has_is_taken() -> None:
    known = replace(KNOWN, taken=TakenName("plan-9", "q3 sales incentives"))

    assert ("E_NAME_TAKEN", "plan_name") in codes(assess(whole(), known))
    assert ("E_NAME_TAKEN", "plan_name") not in codes(assess(replace(whole(), plan_id="plan-9"), known))


def test_unknown_fields_and_steps_are_answered_with_the_nearest() -> None:
    draft, problems = set_fields(Draft(), 1, {"plan_nmae": "x"})

    assert draft == Draft()
    assert (problems[0].code, "'plan_name'" in problems[0].fix) == ("E_FIELD_UNKNOWN", True)
    assert ("E_UNKNOWN", "client_approvals") in codes(
        assess(drafted((3, {"client_approvals": {"manger_approval": "required"}})), KNOWN)
    )


def test_setting_again_changes_nothing() -> None:
    draft = whole()

    assert drafted((1, METADATA), (2, RULE), (3, SUBMISSION), draft=draft) == draft


def test_null_takes_a_field_back_but_an_open_end_is_an_end() -> None:
    draft = drafted((1, {"payment_schedule": None, "valid_to": None}), draft=whole())

    assert "payment_schedule" not in draft.metadata
    assert assess(draft, KNOWN).plan is not None


def test_fields_of_another_phase_find_their_place() -> None:
    draft = drafted((1, {**METADATA, **RULE, **SUBMISSION}))

    assert assess(draft, KNOWN).plan is not None


def test_a_draft_survives_being_stored() -> None:
    draft = drafted((2, {"change": "+1pt"}), draft=whole())
    stored = json.loads(json.dumps(draft.to_json()))

    assert Draft.from_json(stored, draft.phase, None).to_json() == draft.to_json()


def test_several_rules_are_told_apart_by_their_number() -> None:
    draft = drafted((2, {"rule_no": 2, "clone_of": 1, "name": "second", "component": "extra"}), draft=whole())
    assert refused(draft, 2, {"base_value": "Net Revenue"}) == [("E_FIELD_MISSING", "rule_no")]
    assert refused(draft, 2, {"rule_no": 9, "base_value": "Net Revenue"}) == [("E_NUMBER", "rule_no")]
    draft = drafted((2, {"rule_no": 2, "tiers": [{"from": 5, "to": None, "commission": 1}]}), draft=draft)
    assert ("E_TIER_START", "rules[1].tiers[0].from") in codes(assess(draft, KNOWN))
    draft = drafted((2, {"rule_no": 2, "remove": True}), draft=draft)

    assert len(draft.rules) == 1


def test_a_rule_of_another_category_drops_what_no_longer_means_anything() -> None:
    draft = drafted((2, {"category_type": "Flat", "commission": "6"}), draft=whole())

    assert assess(draft, KNOWN).problems == ()
    assert "tiers" not in draft.rules[0]


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"base_value": "Gross", "plan_base": "Revenue"}, {"base_value": "Gross Revenue"}),
        ({"base_value": "Net", "plan_base": "Revenue"}, {"base_value": "Net Revenue"}),
        ({"base_value": "Net", "plan_base": "Margin", "plan_type": "Margin Target"}, {"base_value": "Margin"}),
        ({"value_type": "Amount", "fixed_basis": "per_period"}, {"value_type": "Fixed Amount"}),
        ({"range_type": "% of quota"}, {"range_type": "Percentage of Quota"}),
        ({"category_type": "slab"}, {"category_type": "Slab"}),
    ],
)
def test_the_older_dashboards_words_are_understood(fields: dict[str, Any], stored: dict[str, str]) -> None:
    definition = assess(whole(**fields), KNOWN).definition
    assert definition is not None
    rule: dict[str, Any] = definition["rules"][0]  # type: ignore[index] - plain JSON

    assert {name: rule[name] for name in stored} == stored
    assert "plan_base" not in rule


def test_older_spellings_of_what_an_assignment_names_are_understood() -> None:
    row = {"Territory": "North", "BusinessPartner": "Acme", "Group": "Gold"}
    definition = assess(drafted((3, {"assignments": [row]}), draft=whole()), KNOWN).definition
    assert definition is not None

    assert definition["assignments"] == [{"territory": "t-n", "customer": "Acme", "group": "Gold", "priority": 100}]


def test_by_1_percent_is_never_guessed() -> None:
    draft, problems = set_fields(whole(), 2, {"change": "increase by 1 %"})

    assert [problem.code for problem in problems] == ["E_CHANGE_AMBIGUOUS"]
    assert all(text in problems[0].message for text in ("6/8/11", "5.05/7.07/10.10"))
    assert draft == whole()


@pytest.mark.parametrize(
    ("fields", "rates"),
    [
        ({"change": "+1pt"}, ["6", "8", "11"]),
        ({"change": "x1.01"}, ["5.05", "7.07", "10.1"]),
        ({"change": "increase by 1 %", "change_meaning": "points"}, ["6", "8", "11"]),
        ({"change": "+1%", "change_meaning": "relative"}, ["5.05", "7.07", "10.1"]),
        ({"change": "reduce by 2 percentage points"}, ["3", "5", "8"]),
    ],
)
def test_a_change_that_is_clear_is_made_once_however_often_it_is_sent(fields: dict[str, Any], rates: list[str]) -> None:
    draft = drafted((2, fields), (2, fields), draft=whole())

    assert [tier["commission"] for tier in draft.rules[0]["tiers"]] == rates  # type: ignore[union-attr,index] - plain JSON


@pytest.mark.parametrize("change", ["by a lot", "", "+1e5 %", 7])
def test_what_is_no_change_is_refused(change: object) -> None:
    assert refused(whole(), 2, {"change": change})


def test_there_is_nothing_to_change_in_an_empty_draft() -> None:
    assert refused(Draft(), 2, {"change": "+1pt"}) == [("E_FIELD_MISSING", "change")]


@pytest.mark.parametrize(
    "fields",
    [
        {"plan_name": "a\0b"},
        {"plan_name": "\ud800"},
        {"description": ["x" * 200_000]},
        {"tiers": [[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]},
    ],
)
def test_what_a_database_cannot_keep_is_refused_whole(fields: dict[str, Any]) -> None:
    draft, problems = set_fields(whole(), 1, {"assignee_type": "Payee", **fields})

    assert problems
    assert draft == whole()


def test_a_priority_beside_an_override_key_is_that_of_the_key() -> None:
    row = {"territory": "North", "client_override": "boost", "priority": 7}
    draft = drafted((3, {"assignments": [row]}), draft=whole())

    assert codes(assess(draft, KNOWN)) >= {("E_FIELD_FORBIDDEN", "assignments[0].priority")}
    assert assess(drafted((3, {"assignments": [{**row, "priority": 50}]}), draft=draft), KNOWN).plan is not None


def test_worked_amounts_show_both_readings_of_the_same_tiers() -> None:
    plan = assess(whole(), KNOWN).plan
    assert plan is not None
    worked = worked_rules(plan)

    assert [(row.at, row.pays, row.sibling_pays) for row in worked[0].rows] == [
        ("0", "0.00", "0.00"),
        ("100000", "5000.00", "5000.00"),
        ("100000.01", "5000.00", "7000.00"),
        ("250000", "15500.00", "17500.00"),
        ("250000.01", "15500.00", "25000.00"),
        ("500000", "40500.00", "50000.00"),
    ]
    assert exposure(plan, worked) == Decimal("40500.00")


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        (
            {
                "range_type": "Quantity",
                "value_type": "Fixed Amount",
                "fixed_basis": "per_unit",
                "tiers": [{"from": 1, "to": 100, "commission": "2"}, {"from": 101, "to": None, "commission": "2.25"}],
            },
            ("200", "425.00", "450.00"),
        ),
        (
            {
                "range_type": "Percentage of Quota",
                "tiers": [{"from": 0, "to": 100, "commission": 8}, {"from": 100, "to": None, "commission": 12}],
            },
            ("200", "20000.00", "24000.00"),
        ),
        (
            {
                "category_type": "Slab",
                "range_type": "Margin Percent",
                "tiers": [{"from": 0, "to": 35, "commission": 1}, {"from": 35, "to": None, "commission": 2}],
            },
            ("70", "2000.00", None),
        ),
        ({"category_type": "Flat", "range_type": None, "tiers": None, "commission": 5}, ("100000", "5000.00", None)),
    ],
)
def test_every_kind_of_range_is_worked(rule: dict[str, Any], last: tuple[str, str, str | None]) -> None:
    plan = assess(drafted((3, {"uom": "Each"}), draft=whole(**rule)), KNOWN).plan
    assert plan is not None
    row = worked_rules(plan)[0].rows[-1]

    assert (row.at, row.pays, row.sibling_pays) == last


def test_differences_are_told_field_by_field() -> None:
    before, after = assess(whole(), KNOWN), assess(drafted((2, {"change": "+1pt"}), draft=whole()), KNOWN)
    found = differences(before.definition, after.definition)

    assert [(one.path, one.before, one.after) for one in found] == [
        ("rules[0].tiers[0].commission", "5", "6"),
        ("rules[0].tiers[1].commission", "7", "8"),
        ("rules[0].tiers[2].commission", "10", "11"),
    ]


def test_plans_overlap_where_a_sale_can_match_both() -> None:
    plan = assess(whole(), KNOWN).plan
    assert plan is not None
    south = assess(drafted((3, {"assignments": [{"territory": "South"}]}), draft=whole()), KNOWN).plan
    assert south is not None

    assert len(list(overlaps(plan, plan, {}))) == 1
    assert list(overlaps(plan, south, {})) == []
    assert len(list(overlaps(plan, south, {"territory": {"t-n": "t-s"}}))) == 1


MATRIX: dict[str, Any] = {
    "category_type": "Slab",
    "range_type": "Percentage of Quota",
    "value_type": "Percentage",
    "tiers": [{"from": 0, "to": 100, "commission": [2, 3]}, {"from": 101, "to": None, "commission": ["2.5", "5"]}],
    "columns": {"measure": "gm", "from": [0, 20]},
    "modifiers": [{"measure": "gm", "tiers": [{"from": 30, "to": None, "multiplier": "1.1"}]}],
    "gates": [{"measure": "gm", "at_least": "-5"}],
    "holdback": [{"percentage": 20, "until": {"days": 90}}, {"percentage": 10, "until": "payment"}],
    "payout_split": [{"payee": "p1", "share": "1/3"}],
}
MEASURES = [{"name": "gm", "range_type": "Margin Percent"}]


def test_the_wizard_takes_second_measures_holdbacks_and_split_payouts() -> None:
    draft = drafted((1, METADATA), (2, {**RULE, **MATRIX, "measures": MEASURES}), (3, SUBMISSION))
    known = replace(KNOWN, payees=_keys("p1"))

    assessment = assess(draft, known)

    assert (assessment.missing, assessment.problems) == ((), ())
    assert ("W_NO_EVENT", "holdback") in codes(assessment)
    assert assessment.plan is not None
    assert assessment.definition is not None
    assert parse_plan(assessment.definition)[0] == assessment.plan
    kept = replace(known, territories=_keys("t-n"), products=_keys("p-a"))
    again = assess(Draft().filled(assessment.definition, "version 1"), kept)
    assert differences(assessment.definition, again.definition) == []
    assert [(rule.name, rule.rows[1].pays) for rule in worked_rules(assessment.plan)] == [
        ("rule 1, gm from 0 to below 20", "2000.00"),
        ("rule 1, gm from 20", "3000.00"),
    ]


def test_a_step_goes_with_the_basis_that_it_belongs_to() -> None:
    step = {"category_type": "Flat", "value_type": "Fixed Amount", "fixed_basis": "per_step", "step": 100}
    draft = drafted(
        (1, METADATA), (2, {**RULE, "tiers": None, "range_type": None, **step, "commission": 5}), (3, SUBMISSION)
    )
    assert assess(draft, KNOWN).problems == ()

    draft = drafted((2, {"fixed_basis": "per_transaction"}), draft=draft)

    assert "step" not in draft.rules[0]
    assert assess(draft, KNOWN).problems == ()


def test_a_measure_that_the_plan_does_not_define_is_a_problem() -> None:
    """A run could not know it: figures that no sale tells are not stored."""
    assessment = assess(whole(gates=[{"measure": "margn", "at_least": 20}], measures=[{"name": "margin"}]), KNOWN)

    assert [(str(problem.code), problem.path) for problem in assessment.problems] == [("E_NO_MEASURE", "gates")]
    assert "'margin'" in assessment.problems[0].fix


def test_a_change_moves_every_column_of_a_matrix() -> None:
    draft = drafted((1, METADATA), (2, {**RULE, **MATRIX, "measures": MEASURES}))
    draft = drafted((2, {"change": "+1pt"}), draft=draft)

    assert [tier["commission"] for tier in draft.rules[0]["tiers"]] == [["3", "4"], ["3.5", "6"]]  # type: ignore[index, union-attr] - plain JSON
