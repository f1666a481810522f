"""Approvals over MCP: by others, in their roles, on exactly one text; and what follows from them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.client import Client

from commission_mcp.storage import operations

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from conftest import Connect, Demo, Installation

pytestmark = pytest.mark.anyio

FIELDS: dict[str, Any] = {
    "calculation_schedule": "Monthly",
    "assignee_type": "Territory",
    "valid_from": "2033-01-01",
    "valid_to": "2033-12-31",
    "plan_type": "Revenue Target",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": [{"from": 0, "to": 100000, "commission": 5}, {"from": 100000, "to": None, "commission": 7}],
    "assignments": [{"territory": "North"}, {"territory": "South", "product": ["Product A", "Product B"]}],
}
STEPS = ("manager_approval", "finance_review", "compliance_check")


@dataclass
class People:
    """A connection for each of them."""

    author: Client
    approver: Client
    finance: Client
    compliance: Client
    everyone: Client


@pytest.fixture(scope="module")
async def people(demo: Demo) -> AsyncIterator[People]:
    """The demo's people, and one who has every role."""
    roles = {"author": "plan_author", "approver": "approver", "finance": "finance", "compliance": "compliance"}
    every = "plan_author,approver,finance,compliance,analyst"
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(demo(name, roles=role))
            for name, role in {**roles, "everyone": every}.items()
        }
        yield People(**opened)


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, **arguments: object) -> set[str]:
    result = await client.call_tool("decide_plan", arguments)
    assert result.is_error, result.structured_content
    return {problem["code"] for problem in (result.meta or {})["commission-mcp/problems"]}


async def submitted(client: Client, name: str, **changes: object) -> dict[str, Any]:
    """A submitted version of a new plan, or of the plan that `plan_id` names."""
    plan_id = changes.pop("plan_id", None)
    start = {} if plan_id is None else {"plan_id": plan_id}
    fields = {**FIELDS, "plan_name": name, **changes}
    answer = await call(client, "plan_wizard", action="start", fields=fields, **start)
    review = await call(client, "plan_wizard", action="review", draft_id=answer["draft_id"])
    return (await call(client, "plan_wizard", **review["next"]["arguments"]))["plan"]


async def decided(client: Client, plan: dict[str, Any], decision: str = "approve", **more: object) -> dict[str, Any]:
    version = {"plan_id": plan["plan_id"], "version": plan["version"], "sha256": plan["sha256"]}
    return (await call(client, "decide_plan", **version, decision=decision, **more))["plan"]


async def approved(people: People, plan: dict[str, Any]) -> dict[str, Any]:
    for step in plan["approvals"]:
        if step["decision"] == "pending":
            plan = await decided(getattr(people, step["deciding_role"]), plan)
    return plan


async def rows(client: Client, sql: str, *params: object) -> list[list[Any]]:
    return (await call(client, "query", sql=sql, params=list(params)))["rows"]


async def test_a_plan_is_active_when_every_step_is_approved(people: People) -> None:
    plan = await submitted(people.author, "Approved by all", client_approvals=dict.fromkeys(STEPS, "required"))
    assert [step["decision"] for step in plan["approvals"]] == ["pending"] * 3
    plan = await decided(people.approver, plan)
    assert (plan["status"], plan["approvals"][0]["decided_by"]) == ("submitted", "local-approver")
    plan = await decided(people.finance, plan)
    plan = await decided(people.compliance, plan, comment="as the policy asks")

    assert plan["status"] == "active"
    found = await rows(
        people.everyone,
        "SELECT v.status, r.category_type, t.from_value, t.commission FROM plan_versions v JOIN plan_rules r USING "
        "(plan_id, version) JOIN plan_tiers t USING (plan_id, version, rule_no) WHERE plan_id = $1 ORDER BY 3",
        plan["plan_id"],
    )
    assert found == [["active", "Tiered", "0", "5"], ["active", "Tiered", "100000", "7"]]


async def test_the_rows_of_a_version_are_those_of_its_definition(people: People) -> None:
    plan = await submitted(people.author, "Written once")
    found = await rows(
        people.everyone,
        "SELECT territory_id, product_id, priority FROM plan_assignments WHERE plan_id = $1 ORDER BY 1, 2",
        plan["plan_id"],
    )

    assert found == [
        ["abc-north", None, 100],
        ["abc-south", "abc-product-a", 100],
        ["abc-south", "abc-product-b", 100],
    ]


async def test_an_author_decides_nothing_of_the_own_whatever_the_roles(people: People) -> None:
    plan = await submitted(people.everyone, "By everyone")

    version = {"plan_id": plan["plan_id"], "sha256": plan["sha256"]}
    assert await refused(people.everyone, **version, decision="approve") == {"E_OWN_PLAN"}
    waiting = (await call(people.everyone, "decide_plan"))["waiting"]
    assert [row["yours"] for row in waiting if row["plan_id"] == plan["plan_id"]] == [[]]
    assert (await decided(people.approver, plan))["approvals"][0]["decision"] == "approved"


async def test_a_step_is_for_the_role_that_the_policy_names(people: People) -> None:
    plan = await submitted(people.author, "By role", client_approvals=dict.fromkeys(STEPS, "required"))
    version = {"plan_id": plan["plan_id"], "sha256": plan["sha256"], "decision": "approve"}

    assert await refused(people.approver, **version, step="finance_review") == {"E_ROLE_REQUIRED"}
    assert await refused(people.everyone, **version) == {"E_ARGUMENT"}
    assert await refused(people.approver, **version, step="payee_acknowledgement") == {"E_PLAN_STATE"}
    assert (await decided(people.everyone, plan, step="finance_review"))["status"] == "submitted"
    assert await refused(people.finance, **version) == {"E_ROLE_REQUIRED"}
    assert await refused(people.finance, **version, step="finance_review") == {"E_PLAN_STATE"}


async def test_a_decision_is_on_exactly_one_text(people: People) -> None:
    plan = await submitted(people.author, "One text")
    version = {"plan_id": plan["plan_id"], "decision": "approve"}

    assert await refused(people.approver, **version) == {"E_ARGUMENT"}
    assert await refused(people.approver, **version, sha256="0" * 64) == {"E_PLAN_HASH"}


async def test_a_policy_may_approve_small_plans_by_itself(people: People) -> None:
    plan = await submitted(
        people.author, "Small", tiers=[{"from": 0, "to": 10, "commission": 5}, {"from": 10, "commission": 6}]
    )
    large = await submitted(people.author, "Large", total_cap="60000")

    by_step = {step["step"]: step["decision"] for step in plan["approvals"]}
    assert by_step == {"manager_approval": "pending", "finance_review": "automatic", "compliance_check": "pending"}
    assert {step["decision"] for step in large["approvals"]} == {"pending"}


async def test_a_rejected_plan_is_withdrawn_and_gives_its_name_back(people: People) -> None:
    plan = await submitted(people.author, "Rejected once")
    version = {"plan_id": plan["plan_id"], "sha256": plan["sha256"], "decision": "reject"}
    assert await refused(people.approver, **version) == {"E_ARGUMENT"}
    rejected = await decided(people.approver, plan, "reject", comment="too much at the top")
    assert rejected["status"] == "withdrawn"
    assert await refused(people.compliance, **{**version, "decision": "approve"}) == {"E_PLAN_STATE"}

    again = await submitted(people.author, "Rejected once")
    assert again["plan_id"] != plan["plan_id"]


async def test_a_new_version_supersedes_the_older_from_its_first_day(people: People) -> None:
    first = await approved(people, await submitted(people.author, "Two versions"))
    second = await submitted(people.author, "Two versions", plan_id=first["plan_id"], valid_from="2033-07-01")
    assert (second["version"], first["status"]) == (2, "active")
    second = await approved(people, second)

    found = await rows(
        people.everyone,
        "SELECT version, status, valid_from, valid_to FROM plan_versions WHERE plan_id = $1 ORDER BY version",
        first["plan_id"],
    )
    assert found == [[1, "superseded", "2033-01-01", "2033-06-30"], [2, "active", "2033-07-01", "2033-12-31"]]


async def review_of(client: Client, plan_id: str, **fields: object) -> dict[str, str]:
    """The warnings about days, by code, of a new version with these fields; the draft is forgotten."""
    start = await call(client, "plan_wizard", action="start", plan_id=plan_id, fields=fields)
    review = await call(client, "plan_wizard", action="review", draft_id=start["draft_id"])
    await call(client, "plan_wizard", action="cancel", draft_id=start["draft_id"])
    return {row["code"]: row["message"] for row in review["warnings"] if row["path"] == "valid_to"}


async def days(client: Client, plan_id: str) -> list[list[Any]]:
    return await rows(
        client, "SELECT version, valid_from, valid_to FROM plan_validity WHERE plan_id = $1 ORDER BY 2", plan_id
    )


async def test_a_version_that_ends_before_the_older_lets_it_count_again(people: People) -> None:
    first = await approved(people, await submitted(people.author, "Interrupted"))
    plan_id = first["plan_id"]
    dates = {"valid_from": "2033-07-01", "valid_to": "2033-09-30"}
    told = await review_of(people.author, plan_id, **dates)
    rejected = await submitted(people.author, "Interrupted", plan_id=plan_id, **dates)
    await decided(people.approver, rejected, "reject", comment="not yet")
    untouched = await days(people.everyone, plan_id)
    await approved(people, await submitted(people.author, "Interrupted", plan_id=plan_id, **dates))

    assert set(told) == {"W_VERSION_RETURNS"}
    assert "2033-10-01 to 2033-12-31" in told["W_VERSION_RETURNS"]
    assert untouched == [[1, "2033-01-01", "2033-12-31"]]  # a version that is withdrawn never counts
    assert await days(people.everyone, plan_id) == [
        [1, "2033-01-01", "2033-06-30"],
        [3, "2033-07-01", "2033-09-30"],
        [1, "2033-10-01", "2033-12-31"],
    ]


async def test_an_interrupted_version_is_an_overlap_on_the_days_on_which_it_counts_again(people: People) -> None:
    dates = {"valid_from": "2041-01-01", "valid_to": "2041-12-31"}
    first = await approved(people, await submitted(people.author, "Comes back", **dates))
    again = {"valid_from": "2041-07-01", "valid_to": "2041-09-30"}
    await approved(people, await submitted(people.author, "Comes back", plan_id=first["plan_id"], **again))
    named: list[bool] = []
    for month in ("2041-08", "2041-10"):
        fields = {**FIELDS, "plan_name": f"Beside {month}", "valid_from": f"{month}-01", "valid_to": f"{month}-30"}
        start = await call(people.author, "plan_wizard", action="start", fields={**fields, "proration": "actual"})
        review = await call(people.author, "plan_wizard", action="review", draft_id=start["draft_id"])
        overlaps = [row["message"] for row in review["warnings"] if row["code"] == "W_PLAN_OVERLAP"]
        named.append(any(message.startswith(f"{first['plan_id']}/1 ") for message in overlaps))

    assert named == [False, True]


async def test_a_plan_is_ended_early_by_a_version_from_the_same_day_and_gaps_are_told(people: People) -> None:
    first = await approved(people, await submitted(people.author, "Ended early"))
    plan_id = first["plan_id"]
    told = await review_of(people.author, plan_id, valid_to="2033-06-30")
    later = await review_of(people.author, plan_id, valid_from="2034-02-01", valid_to="2034-12-31")
    await approved(people, await submitted(people.author, "Ended early", plan_id=plan_id, valid_to="2033-06-30"))

    assert set(told) == set(later) == {"W_PLAN_GAP"}
    assert "2033-07-01 to 2033-12-31" in told["W_PLAN_GAP"]
    assert "2034-01-01 to 2034-01-31" in later["W_PLAN_GAP"]
    assert await days(people.everyone, plan_id) == [[2, "2033-01-01", "2033-06-30"]]


async def test_a_version_that_waits_gives_way_to_the_next(people: People) -> None:
    first = await submitted(people.author, "Third time")
    start = await call(people.author, "plan_wizard", action="start", plan_id=first["plan_id"])
    review = await call(people.author, "plan_wizard", action="review", draft_id=start["draft_id"])
    assert "W_VERSION_PENDING" in {row["code"] for row in review["warnings"]}
    second = (await call(people.author, "plan_wizard", **review["next"]["arguments"]))["plan"]

    assert second["version"] == 2
    version = {"plan_id": first["plan_id"], "version": 1, "sha256": first["sha256"], "decision": "approve"}
    assert await refused(people.approver, **version) == {"E_PLAN_STATE"}


async def test_an_approved_version_cannot_be_edited(people: People, demo_installation: Installation) -> None:
    plan = await approved(people, await submitted(people.author, "Set in stone"))
    async with operations(demo_installation.address) as connection:
        with pytest.raises(Exception, match="cannot be edited"):
            await connection.execute(
                "UPDATE cm.plan_version SET description = 'x' WHERE plan_id = %s", [plan["plan_id"]]
            )


async def test_a_new_name_counts_with_the_version_that_brings_it(people: People) -> None:
    first = await approved(people, await submitted(people.author, "Old name"))
    second = await submitted(people.author, "New name", plan_id=first["plan_id"])
    assert second["plan_name"] == "Old name"
    assert (await approved(people, second))["plan_name"] == "New name"
    third = await submitted(people.author, "Newest name", plan_id=first["plan_id"])
    await decided(people.approver, third, "reject", comment="no")

    found = await rows(people.everyone, "SELECT plan_name FROM commission_plans WHERE plan_id = $1", first["plan_id"])
    assert found == [["New name"]]


async def test_a_payee_sees_only_what_payees_acknowledge(people: People, demo: Demo) -> None:
    fields = {"client_approvals": {"payee_acknowledgement": "required"}}
    hidden, shown = await submitted(people.author, "Hidden"), await submitted(people.author, "Shown", **fields)
    async with demo("analyst", roles="payee") as payee:
        waiting = {row["plan_id"] for row in (await call(payee, "decide_plan"))["waiting"]}
        assert shown["plan_id"] in waiting
        assert hidden["plan_id"] not in waiting
        assert await refused(payee, plan_id=hidden["plan_id"]) == {"E_ROLE_REQUIRED"}
        plan = await decided(payee, shown)

    assert plan["approvals"][-1]["decision"] == "approved"


async def test_of_two_plans_of_one_name_one_is_submitted(people: People) -> None:
    """The name is checked in the draft, and once more by the database when both submit at the same time."""
    reviews: list[dict[str, Any]] = []
    for client in (people.author, people.everyone):
        answer = await call(client, "plan_wizard", action="start", fields={**FIELDS, "plan_name": "Only one"})
        reviews.append(await call(client, "plan_wizard", action="review", draft_id=answer["draft_id"]))
    results: list[CallToolResult] = []

    async def submit(client: Client, review: dict[str, Any]) -> None:
        results.append(await client.call_tool("plan_wizard", review["next"]["arguments"]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit, people.author, reviews[0])
        tasks.start_soon(submit, people.everyone, reviews[1])

    assert sorted(bool(result.is_error) for result in results) == [False, True]
    assert "E_NAME_TAKEN" in str(results[1 - [bool(result.is_error) for result in results].index(False)].meta)


async def test_of_two_new_versions_at_a_time_the_second_must_be_reviewed_again(people: People) -> None:
    plan = await submitted(people.author, "Two at a time")
    reviews: list[dict[str, Any]] = []
    for client in (people.author, people.everyone):
        answer = await call(client, "plan_wizard", action="start", plan_id=plan["plan_id"])
        reviews.append(await call(client, "plan_wizard", action="review", draft_id=answer["draft_id"]))
    first = (await call(people.author, "plan_wizard", **reviews[0]["next"]["arguments"]))["plan"]
    result = await people.everyone.call_tool("plan_wizard", reviews[1]["next"]["arguments"])

    assert first["version"] == 2
    assert "E_REVISION" in str(result.meta)


async def test_of_two_decisions_on_a_step_at_a_time_one_counts(people: People) -> None:
    plan = await submitted(people.author, "Decided once")
    version = {"plan_id": plan["plan_id"], "sha256": plan["sha256"], "step": "manager_approval"}
    results: list[CallToolResult] = []

    async def settle(client: Client, decision: dict[str, str]) -> None:
        results.append(await client.call_tool("decide_plan", {**version, **decision}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settle, people.approver, {"decision": "approve"})
        tasks.start_soon(settle, people.everyone, {"decision": "reject", "comment": "no"})

    assert sorted(bool(result.is_error) for result in results) == [False, True]


async def test_what_waits_names_the_callers_own_steps(people: People) -> None:
    plan = await submitted(people.author, "Waiting")
    answer = await call(people.approver, "decide_plan")
    mine = next(row for row in answer["waiting"] if row["plan_id"] == plan["plan_id"])
    assert mine["yours"] == ["manager_approval"]
    shown = await call(people.approver, "decide_plan", plan_id=plan["plan_id"])

    assert shown["next"]["arguments"]["sha256"] == plan["sha256"]


async def test_who_decides_nothing_sees_nothing(
    connect: Connect, demo_installation: Installation, people: People
) -> None:
    assert await refused(people.author) == {"E_ROLE_REQUIRED"}
    assert await refused(people.approver, plan_id="plan-none") == {"E_NOT_FOUND"}
    assert await refused(people.approver, decision="approve") == {"E_ARGUMENT"}
    async with connect(demo_installation, roles="approver") as other:
        waiting = (await call(other, "decide_plan"))["waiting"]
    mine = {row["plan_id"] for row in (await call(people.approver, "decide_plan"))["waiting"]}
    assert mine.isdisjoint(row["plan_id"] for row in waiting)


async def test_two_hosts_that_edit_a_draft_at_once_lose_nothing(people: People, demo: Demo) -> None:
    draft = (await call(people.author, "plan_wizard", action="start", fields={"plan_name": "Two hosts"}))["draft_id"]
    changes = {name: value for name, value in FIELDS.items() if name != "tiers"}
    async with demo("author", roles="plan_author") as other, anyio.create_task_group() as tasks:
        for number, (name, value) in enumerate(changes.items()):
            host = (people.author, other)[number % 2]

            async def change(host: Client = host, field: dict[str, Any] = {name: value}) -> None:  # noqa: B006 - bound
                await call(host, "plan_wizard", draft_id=draft, fields=field)

            tasks.start_soon(change)
    whole = await call(people.author, "plan_wizard", draft_id=draft, fields={"tiers": FIELDS["tiers"]})

    assert whole["missing"] == whole["problems"] == []
    saved = {**whole["saved"]["1"], **whole["saved"]["2"]["rules"][0], **whole["saved"]["3"]}
    assert {name: saved[name] for name in changes} == changes


async def test_two_hosts_that_submit_a_draft_at_once_make_one_version(people: People, demo: Demo) -> None:
    started = await call(people.author, "plan_wizard", action="start", fields={**FIELDS, "plan_name": "Twice at once"})
    review = await call(people.author, "plan_wizard", action="review", draft_id=started["draft_id"])
    made: list[tuple[str, int]] = []

    async def submit(host: Client) -> None:
        plan = (await call(host, "plan_wizard", **review["next"]["arguments"]))["plan"]
        made.append((plan["plan_id"], plan["version"]))

    async with demo("author", roles="plan_author") as other, anyio.create_task_group() as tasks:
        tasks.start_soon(submit, people.author)
        tasks.start_soon(submit, other)

    assert len(made) == 2
    assert len(set(made)) == 1


async def test_a_step_is_for_the_role_that_the_policy_names_at_the_time(
    people: People, demo_installation: Installation
) -> None:
    async def policy(role: str) -> None:
        async with operations(demo_installation.address) as connection:
            await connection.execute(
                "UPDATE cm.approval_policy SET deciding_role = %s"
                " WHERE client_id = 'client-abc' AND step = 'manager_approval'",
                [role],
            )

    started = await call(people.author, "plan_wizard", action="start", fields={**FIELDS, "plan_name": "Moved step"})
    review = await call(people.author, "plan_wizard", action="review", draft_id=started["draft_id"])
    try:
        await policy("admin")
        late = await people.author.call_tool("plan_wizard", review["next"]["arguments"])
        again = await call(people.author, "plan_wizard", action="review", draft_id=started["draft_id"])
        plan = (await call(people.author, "plan_wizard", **again["next"]["arguments"]))["plan"]
        version = {"plan_id": plan["plan_id"], "version": plan["version"], "sha256": plan["sha256"]}
        step = {"step": "manager_approval", "decision": "approve"}
        stranger = await refused(people.approver, **version, **step)
        await policy("approver")
        decided_now = await call(people.approver, "decide_plan", **version, **step)
    finally:
        await policy("approver")

    # What the author saw named another role, so it is reviewed again.
    assert [problem["code"] for problem in (late.meta or {})["commission-mcp/problems"]] == ["E_REVISION"]
    assert stranger == {"E_ROLE_REQUIRED"}
    assert decided_now["plan"]["approvals"][0]["decision"] == "approved"
