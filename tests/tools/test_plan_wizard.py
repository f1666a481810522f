"""The wizard over MCP: the older dashboard's payloads, mistakes and corrections, review and submission."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client import Client

from commission_mcp.storage import operations

if TYPE_CHECKING:
    from conftest import Connect, Demo, Installation

pytestmark = pytest.mark.anyio

PHASE_1: dict[str, Any] = {
    "phase": 1,
    "client_id": "client-abc",
    "fields": {
        "plan_name": "Q3 Sales Incentives - Client ABC",
        "description": "Quarterly sales commission structure for Client ABC",
        "calculation_schedule": "Monthly",
        "payment_schedule": "Monthly",
        "assignee_type": "Territory",
        "valid_from": "2025-01-01",
        "valid_to": "2025-03-31",
        "client_specific_rules": {"currency": "USD", "region": "North America", "compliance_level": "enterprise"},
    },
}
PHASE_2: dict[str, Any] = {
    "phase": 2,
    "client_id": "client-abc",
    "fields": {
        "plan_type": "Revenue Target",
        "category_type": "Tiered",
        "range_type": "Amount",
        "value_type": "Percentage",
        "base_value": "Gross Revenue",
        "client_tier_overrides": {"premium_threshold": 500000, "enterprise_multiplier": 1.2},
        "tiers": [
            {"from": 0, "to": 100000, "commission": 5},
            {"from": 100001, "to": 250000, "commission": 7},
            {"from": 250001, "to": None, "commission": 10},
        ],
    },
}
PHASE_3: dict[str, Any] = {
    "phase": 3,
    "client_id": "client-abc",
    "fields": {
        "assignments": [
            {"territory": "North", "product": "Product A", "client_override": "priority_1"},
            {"territory": "South", "product": "Product B", "client_override": "standard"},
        ],
        "currency": "USD",
        "uom": "Each",
        "client_approvals": {
            "manager_approval": "required",
            "finance_review": "auto_approved",
            "compliance_check": "passed",
        },
    },
}


@pytest.fixture
async def author(demo: Demo, demo_installation: Installation) -> AsyncIterator[Client]:
    """A plan author of the demo client, without drafts."""
    async with operations(demo_installation.address) as connection:
        await connection.execute("DELETE FROM cm.plan_draft")
    async with demo("author", roles="plan_author,analyst") as client:
        yield client


async def call(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("plan_wizard", arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, **arguments: object) -> set[str]:
    result = await client.call_tool("plan_wizard", arguments)
    assert result.is_error, result.structured_content
    return {problem["code"] for problem in (result.meta or {})["commission-mcp/problems"]}


def codes(rows: list[dict[str, Any]]) -> set[str]:
    return {row["code"] for row in rows}


async def seeded(client: Client, name: str, **metadata: object) -> dict[str, Any]:
    """A whole draft with the older dashboard's fields, under a name of its own."""
    answer = await call(client, phase=1, fields={**PHASE_1["fields"], "plan_name": name, **metadata})
    await call(client, **PHASE_2, draft_id=answer["draft_id"])
    return await call(client, **PHASE_3, draft_id=answer["draft_id"])


async def test_the_older_dashboards_payloads_go_through_as_they_are(author: Client) -> None:
    first = await call(author, **PHASE_1)
    assert (first["plan_phase"], first["step"]) == (2, "Step 2 of 3: business rules")
    assert codes(first["warnings"]) == {"W_NAME_DATES"}
    second = await call(author, **PHASE_2)
    assert (second["plan_phase"], second["draft_id"]) == (3, first["draft_id"])
    assert codes(second["warnings"]) == {"W_NAME_DATES", "W_NORMALISED", "W_DRAFT_CONTINUED"}
    third = await call(author, **PHASE_3)
    assert (third["missing"], third["problems"]) == ([], [])
    assert "W_APPROVAL_IGNORED" in codes(third["warnings"])
    review = await call(author, **third["next"]["arguments"])

    assert review["preview"]["rules"][0]["rows"][-1] == ["500000", "40500.00", "50000.00"]
    assert [step["automatic"] for step in review["preview"]["approvals"]] == [False, False, False]
    submitted = await call(author, **review["next"]["arguments"])
    assert submitted["plan"]["status"] == "submitted"
    assert {step["decision"] for step in submitted["plan"]["approvals"]} == {"pending"}
    assert submitted["plan"]["sha256"] == review["preview"]["sha256"]


async def test_every_answer_says_what_is_missing_and_which_call_is_next(author: Client) -> None:
    answer = await call(author)

    assert answer["next"]["arguments"]["phase"] == 1
    assert "plan_name" in answer["next"]["arguments"]["fields"]
    schedule = next(row for row in answer["missing"] if row["path"] == "calculation_schedule")
    assert "Monthly" in schedule["allowed"]
    assert {row["source"] for row in answer["defaults"]} >= {"the client's profile"}


async def test_the_next_call_of_every_answer_works_until_the_plan_is_submitted(author: Client) -> None:
    answer = await call(author)
    for _ in range(12):
        if answer["plan"] is not None:
            break
        answer = await call(author, **answer["next"]["arguments"])

    assert answer["plan"]["status"] == "submitted"


async def test_mistakes_are_answered_all_at_once_and_corrected_one_by_one(author: Client) -> None:
    wrong = {**PHASE_1["fields"], "plan_name": "Mistakes", "assignee_type": "Terittory", "valid_from": "2025-13-01"}
    first = await call(author, phase=1, fields=wrong)
    assert codes(first["problems"]) == {"E_UNKNOWN", "E_DATE"}
    assert first["plan_phase"] == 1
    second = await call(author, draft_id=first["draft_id"], fields={"assignee_type": "Territory", "plan_nmae": "x"})
    assert codes(second["problems"]) == {"E_DATE", "E_FIELD_UNKNOWN"}
    third = await call(author, draft_id=first["draft_id"], phase=1, fields={"valid_from": "2025-01-01"})

    assert (third["problems"], third["plan_phase"]) == ([], 2)


async def test_setting_again_changes_nothing(author: Client) -> None:
    once = await seeded(author, "Twice")
    again = await call(author, **PHASE_3, draft_id=once["draft_id"])

    assert again == once


async def test_dates_without_a_phase_are_the_plans(author: Client) -> None:
    answer = await call(author, fields={**PHASE_1["fields"], **PHASE_2["fields"], "plan_name": "Dates"})
    answer = await call(author, draft_id=answer["draft_id"], fields={"valid_to": "2025-06-30", "description": "Half"})

    assert (answer["saved"]["1"]["valid_to"], answer["saved"]["1"]["description"]) == ("2025-06-30", "Half")
    assert "valid_to" not in answer["saved"]["2"]["rules"][0]


async def test_a_huge_draft_is_answered_briefly(author: Client) -> None:
    tiers = [{"from": n * 10, "to": None if n == 49 else n * 10 + 10, "commission": n + 1} for n in range(50)]
    rules = [{**PHASE_2["fields"], "tiers": tiers, "name": f"rule {n}", "component": f"c{n}"} for n in range(12)]
    fields = {**PHASE_1["fields"], **PHASE_3["fields"], "plan_name": "Huge", "rules": rules}
    answer = await call(author, action="start", fields=fields)
    result = await author.call_tool("plan_wizard", {"action": "review", "draft_id": answer["draft_id"]})

    assert not result.is_error
    assert len("".join(str(getattr(part, "text", "")) for part in result.content)) < 20_000
    assert len(json.dumps(result.structured_content)) < 60_000


async def test_going_back_loses_nothing(author: Client) -> None:
    answer = await seeded(author, "Back")
    back = await call(author, action="back", draft_id=answer["draft_id"], phase=1)

    assert (back["plan_phase"], back["saved"]) == (1, answer["saved"])


async def test_a_draft_that_changed_after_its_review_is_not_submitted(author: Client) -> None:
    answer = await seeded(author, "Changed")
    review = await call(author, action="review", draft_id=answer["draft_id"])
    await call(author, draft_id=answer["draft_id"], fields={"description": "another text"})

    submit = {"action": "submit", "draft_id": answer["draft_id"]}
    assert await refused(author, **submit, revision=review["revision"]) == {"E_REVISION"}
    assert await refused(author, **submit) == {"E_REVISION"}


async def test_an_unfinished_draft_is_not_submitted(author: Client) -> None:
    answer = await call(author, phase=1, fields={**PHASE_1["fields"], "plan_name": "Unfinished"})
    found = await refused(author, action="submit", draft_id=answer["draft_id"], revision="x")

    assert found == {"E_DRAFT_INCOMPLETE", "E_FIELD_MISSING"}


async def test_submitting_twice_makes_one_version(author: Client) -> None:
    answer = await seeded(author, "Once only")
    review = await call(author, action="review", draft_id=answer["draft_id"])
    submit = {"action": "submit", "draft_id": answer["draft_id"], "revision": review["revision"]}
    first = await call(author, **submit)
    assert (await call(author, **submit))["plan"] == first["plan"]
    assert await refused(author, draft_id=answer["draft_id"], fields={"description": "late"}) == {"E_DRAFT_CLOSED"}

    assert (await call(author, action="resume", draft_id=answer["draft_id"]))["plan"] == first["plan"]


async def test_a_name_in_use_is_refused_whatever_its_case(author: Client) -> None:
    answer = await call(author, phase=1, fields={"plan_name": "q3 SALES incentives"})

    assert codes(answer["problems"]) == {"E_NAME_TAKEN"}


async def test_a_new_version_starts_from_the_plan_and_shows_what_changes(author: Client) -> None:
    answer = await call(author, action="start", plan_id="plan-core")
    assert answer["missing"] == answer["problems"] == []
    await call(author, draft_id=answer["draft_id"], phase=2, fields={"change": "+1pt"})
    review = await call(author, action="review", draft_id=answer["draft_id"])

    assert review["preview"]["compared_with"] == "plan-core/2"
    assert [(row["before"], row["after"]) for row in review["preview"]["differences"]] == [
        ("5", "6"),
        ("7", "8"),
        ("10", "11"),
    ]
    assert "W_PLAN_OVERLAP" in codes(review["warnings"])


async def test_increasing_those_rates_by_1_percent_is_asked_about(author: Client) -> None:
    answer = await call(author, plan_id="plan-core", phase=2, fields={"change": "increase by 1%"})

    assert codes(answer["problems"]) == {"E_CHANGE_AMBIGUOUS"}
    assert "6/8/11" in answer["problems"][0]["message"]
    assert "5.05/7.07/10.10" in answer["problems"][0]["message"]
    assert answer["saved"]["2"]["rules"][0]["tiers"][0]["commission"] == "5"


async def test_a_copy_needs_a_name_of_its_own(author: Client) -> None:
    answer = await call(author, copy_of="plan-123")

    assert [row["path"] for row in answer["missing"]] == ["plan_name"]


async def test_a_template_fills_in_and_says_so(author: Client) -> None:
    answer = await call(author, template="Monthly")

    assert {"path": "calculation_schedule", "value": "Monthly", "source": "the template Monthly"} in answer["defaults"]
    assert await refused(author, template="Mnthly") == {"E_UNKNOWN"}


async def test_a_plan_for_emea_is_in_euros_with_the_clients_compliance(author: Client) -> None:
    answer = await call(author, phase=1, fields={"client_specific_rules": {"region": "EMEA"}})
    filled = {row["path"]: (row["value"], row["source"]) for row in answer["defaults"]}

    assert filled["client_specific_rules.currency"] == ("EUR", "the region EMEA")
    assert filled["client_specific_rules.compliance_level"] == ("enterprise", "the client's profile")


async def test_the_dialogue_of_an_enterprise_client_in_emea_ends_in_a_plan(author: Client) -> None:
    """Currency and compliance are applied and named; what is automatic in the client's own currency is not here."""
    start = {**PHASE_1["fields"], "plan_name": "EMEA Enterprise", "client_specific_rules": {"region": "EMEA"}}
    answer = await call(author, phase=1, fields=start)
    await call(author, **PHASE_2, draft_id=answer["draft_id"])
    fields = {"assignments": [{"territory": "North"}], "uom": "Each"}
    answer = await call(author, draft_id=answer["draft_id"], phase=3, fields={**fields, "currency": "USD"})
    assert codes(answer["problems"]) == {"E_CURRENCY"}
    await call(author, draft_id=answer["draft_id"], phase=3, fields={"currency": None})
    review = await call(author, action="review", draft_id=answer["draft_id"])
    submitted = await call(author, **review["next"]["arguments"])

    assert [(step["step"], step["automatic"]) for step in review["preview"]["approvals"]] == [
        ("manager_approval", False),
        ("finance_review", False),
        ("compliance_check", False),
    ]
    assert submitted["plan"]["status"] == "submitted"
    resource = await author.read_resource(f"plan://{submitted['plan']['plan_id']}")
    plan = json.loads(resource.contents[0].model_dump()["text"])
    assert (plan["definition"]["currency"], plan["definition"]["client_specific_rules"]["region"]) == ("EUR", "EMEA")


async def test_a_plan_described_in_one_paragraph_becomes_fields_of_all_phases_in_one_call(author: Client) -> None:
    """A monthly plan for the North, July to December 2026: 8 % of gross revenue below quota, 12 % above."""
    answer = await call(
        author,
        fields={
            "plan_name": "North second half",
            "calculation_schedule": "Monthly",
            "assignee_type": "Territory",
            "valid_from": "2026-07-01",
            "valid_to": "2026-12-31",
            "plan_type": "Revenue Target",
            "category_type": "Tiered",
            "range_type": "Percentage of Quota",
            "value_type": "Percentage",
            "base_value": "Gross Revenue",
            "tiers": [{"from": 0, "to": 100, "commission": 8}, {"from": 100, "to": None, "commission": 12}],
            "assignments": [{"territory": "North"}],
        },
    )
    assert answer["missing"] == answer["problems"] == []
    review = await call(author, action="review", draft_id=answer["draft_id"])

    assert review["preview"]["rules"][0]["rows"][-1] == ["200", "20000.00", "24000.00"]
    assert review["preview"]["rules"][0]["assumed"] == "a quota of 100,000"


async def test_payees_without_a_quota_are_named_where_the_plan_counts_by_it(author: Client) -> None:
    answer = await seeded(author, "By quota", valid_from="2031-01-01", valid_to="2031-03-31")
    fields = {"range_type": "Percentage of Quota", "tiers": [{"from": 0, "to": None, "commission": 8}]}
    await call(author, draft_id=answer["draft_id"], phase=2, fields=fields)
    review = await call(author, action="review", draft_id=answer["draft_id"])

    assert "W_NO_QUOTA" in codes(review["warnings"])
    assert review["preview"]["quota_rows_needed"]


async def test_several_open_drafts_are_never_mixed_up(author: Client) -> None:
    await call(author, phase=1, fields={"plan_name": "One"})
    await call(author, phase=1, fields={"plan_name": "Two"})

    assert await refused(author, **PHASE_2) == {"E_DRAFT_AMBIGUOUS"}
    listed = await call(author, action="drafts")
    assert [row["plan_name"] for row in listed["drafts"]] == ["Two", "One"]
    resumed = await call(author, **listed["next"]["arguments"])
    assert resumed["saved"]["1"] == {"plan_name": "Two"}
    await call(author, action="cancel", draft_id=resumed["draft_id"])
    assert [row["plan_name"] for row in (await call(author, action="drafts"))["drafts"]] == ["One"]


async def test_the_draft_that_was_just_brought_to_a_phase_is_gone_on_with(author: Client) -> None:
    await call(author, phase=1, fields={"plan_name": "Left behind"})
    first = await call(author, phase=1, fields={**PHASE_1["fields"], "plan_name": "Worked on"})
    second = await call(author, **PHASE_2)

    assert second["draft_id"] == first["draft_id"]
    assert "W_DRAFT_CONTINUED" in codes(second["warnings"])


async def test_a_phase_without_any_draft_has_nothing_to_go_on_with(author: Client) -> None:
    assert await refused(author, **PHASE_2) == {"E_NOT_FOUND"}


async def test_drafts_of_others_are_not_there(author: Client, demo: Demo) -> None:
    answer = await call(author, phase=1, fields={"plan_name": "Mine"})
    async with demo("second-author", roles="plan_author") as other:
        assert (await call(other, action="drafts"))["drafts"] == []
        assert await refused(other, action="resume", draft_id=answer["draft_id"]) == {"E_NOT_FOUND"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": "start", "draft_id": "x"},
        {"action": "start", "plan_id": "plan-core", "copy_of": "plan-core"},
        {"action": "drafts", "phase": 1},
        {"action": "cancel"},
        {"action": "set", "draft_id": "not a key"},
        {"action": "review", "draft_id": "not a key", "revision": "x"},
        {"action": "begin"},
        {"phase": 4},
        {"fields": "plan_name"},
    ],
)
async def test_arguments_that_make_no_call_are_refused(author: Client, arguments: dict[str, Any]) -> None:
    assert await refused(author, **arguments) == {"E_ARGUMENT"}


async def test_another_client_cannot_be_asked_for(author: Client) -> None:
    assert await refused(author, phase=1, client_id="client-emea", fields={}) == {"E_CLIENT_MISMATCH"}


async def test_only_an_author_makes_plans(demo: Demo) -> None:
    async with demo("analyst", roles="analyst") as client:
        assert await refused(client) == {"E_ROLE_REQUIRED"}


async def test_a_client_without_masters_or_policy_gets_a_plan_too(
    connect: Connect, demo_installation: Installation
) -> None:
    async with connect(demo_installation, roles="plan_author") as client:
        answer = await call(
            client,
            fields={
                **PHASE_1["fields"],
                **PHASE_2["fields"],
                "plan_name": "Small",
                "client_specific_rules": None,
                "assignments": [{"territory": "north"}],
            },
        )
        review = await call(client, action="review", draft_id=answer["draft_id"])
        submitted = await call(client, **review["next"]["arguments"])

    assert [step["step"] for step in submitted["plan"]["approvals"]] == ["manager_approval"]


async def test_the_documented_calls_say_what_the_page_says(author: Client) -> None:
    page = (Path(__file__).parents[2] / "docs" / "wizard.md").read_text("utf-8")
    answer: dict[str, Any] = {}
    for block, said in re.findall(r"```json\n(.*?)```\n((?:Says: [^\n]*\n)+)", page, re.DOTALL):
        filled = block.replace("DRAFT", str(answer.get("draft_id"))).replace("REVISION", str(answer.get("revision")))
        result = await author.call_tool("plan_wizard", json.loads(filled))
        text = "".join(str(getattr(part, "text", "")) for part in result.content)
        answer = result.structured_content or {}

        assert not result.is_error, text
        assert [line for line in said.splitlines() if line.removeprefix("Says: ") not in text] == [], text
