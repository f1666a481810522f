"""Whatever is sent is answered with problems and breaks nothing; what is whole pays as it was written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.parsing import parse_plan
from commission_mcp.domain.wizard import Draft, Known, Names, RegionDefaults, assess, set_fields
from commission_mcp.domain.wizard.differences import differences
from commission_mcp.domain.wizard.fields import METADATA, PLAN_EXTRAS, RULE, RULE_CONTROLS, SUBMISSION
from commission_mcp.domain.wizard.guidance import next_call, saved_fields, shown_problem
from commission_mcp.domain.wizard.worked import exposure, worked_rules

KNOWN = Known(
    regions={"EMEA": RegionDefaults("EUR", "standard")},
    territories=Names({"north": ("north",), "south": ("south",)}, ("North", "South")),
    products=Names({"a": ("a",)}, ("A",)),
    payees=Names({"p1": ("p1",)}, ("p1",)),
    uoms=Names({"each": ("Each",)}, ("Each",)),
    override_keys={"standard": (100, Decimal(1))},
)
NAMES = (*METADATA, *RULE, *PLAN_EXTRAS, *RULE_CONTROLS, *SUBMISSION, "no_such_field")
WORDS = (
    "Tiered", "Slab", "Flat", "Interpolated", "Amount", "Percentage", "Fixed Amount", "Gross Revenue", "Monthly",
    "Margin", "per_unit", "2026-01-01", "2026-02-30", "100,000", "1e5", "NaN", "-1", "5", "+1pt", "+1 %",
    "North", "Nort", "p1", "standard", "EUR", "", " ", "\0", "\ud800", "x" * 300,
)  # fmt: skip # words alone, some to a line
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-10, 10**20), st.sampled_from(WORDS), st.text(max_size=5))
KEYS = st.sampled_from(
    ["from", "to", "commission", "amount", "territory", "payee", "product", "tiers", "at", "x", "priority", "scope"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)


WHOLE: dict[str, Any] = {
    "plan_name": "Any",
    "calculation_schedule": "Monthly",
    "assignee_type": "Territory",
    "valid_from": "2026-01-01",
    "valid_to": "2026-12-31",
    "plan_type": "Bonus",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": [{"from": 0, "to": None, "commission": 5}],
    "assignments": [{"territory": "North"}],
}


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.integers(1, 3), FIELDS), max_size=3))
def test_any_fields_are_answered(whole: bool, sets: list[tuple[int, dict[str, Any]]]) -> None:  # noqa: FBT001 - drawn
    draft = set_fields(Draft(), 1, WHOLE)[0] if whole else Draft()
    for phase, fields in sets:
        draft, problems = set_fields(draft, phase, fields)
        for problem in problems:
            shown_problem(problem, KNOWN)
        stored = json.loads(canonical_json(draft.to_json()))
        assert Draft.from_json(stored, 1, None).to_json() == stored
        assessment = assess(draft, KNOWN)
        assert all(problem.fix for problem in (*assessment.missing, *assessment.problems))
        next_call("draft", assessment.open_phase or 3, assessment, KNOWN)
        json.dumps(saved_fields(draft)).encode()


RATE = st.decimals("0", "100", places=2).map(str)
CUTS = st.lists(st.integers(1, 10**7), min_size=0, max_size=5, unique=True).map(sorted)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, object]]:
    """Tiers in one of the usual notations."""
    cuts, above = draw(CUTS), draw(st.sampled_from([0, 1]))
    edges = [0, *cuts]
    if above:
        edges = [edge for place, edge in enumerate(edges) if not place or edge - edges[place - 1] > 1]
    ends = [*edges[1:], None]
    return [
        {"from": edge + (above if place else 0), "to": end, "commission": draw(RATE)}
        for place, (edge, end) in enumerate(zip(edges, ends, strict=True))
    ]


@settings(max_examples=100, deadline=None)
@given(
    tables(),
    st.sampled_from(["Tiered", "Slab", "tiered", "SLAB"]),
    st.sampled_from(["Gross", "Net Revenue", "cash"]),
    st.sampled_from([None, "quarter", "transaction"]),
    st.sampled_from([None, "5000", {"percent_of_target": "150"}]),
)
def test_what_is_whole_is_stored_as_it_pays_and_stored_again_the_same(
    tiers: list[dict[str, object]], category: str, base: str, accumulation: str | None, cap: object
) -> None:
    fields = {
        "plan_name": "Any",
        "calculation_schedule": "monthly",
        "assignee_type": "territory",
        "valid_from": "2026-01-01",
        "valid_to": None,
        "plan_type": "bonus",
        "category_type": category,
        "range_type": "amount",
        "value_type": "percentage",
        "base_value": base,
        "tiers": tiers,
        "accumulation": accumulation,
        "cap": cap,
        "assignments": [{"Territory": ["North", "South"]}],
    }
    draft, problems = set_fields(Draft(), 1, fields)
    assessment = assess(draft, KNOWN)

    assert (problems, assessment.missing, assessment.problems) == ([], (), ())
    assert assessment.plan is not None
    assert assessment.definition is not None
    assert parse_plan(assessment.definition)[0] == assessment.plan
    again = assess(Draft().filled(assessment.definition, "stored"), KNOWN)
    assert differences(assessment.definition, again.definition) == []
    worked = worked_rules(assessment.plan)
    assert len(worked[0].rows) >= 2
    exposure(assessment.plan, worked)
