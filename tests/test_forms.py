"""The wizard in hosts that show forms: filled in, declined and cancelled, in both eras of the protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest
from mcp.client import Client
from mcp.types import ElicitResult

from commission_mcp.domain.wizard.tier_text import read_tiers
from commission_mcp.server import build_server
from commission_mcp.storage import operations

if TYPE_CHECKING:
    from mcp.client import ClientRequestContext
    from mcp.types import ElicitRequestParams

    from conftest import Installation

pytestmark = pytest.mark.anyio

ERAS = ("legacy", "2026-07-28")
METADATA = {
    "plan_name": "Filled in",
    "calculation_schedule": "Monthly",
    "assignee_type": "Territory",
    "valid_from": "2035-01-01",
    "valid_to": "2035-12-31",
}
RULE = {
    "plan_type": "Revenue Target",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": "0-100000: 5; 100000-: 7.5 %",
}


@dataclass
class Person:
    """Somebody at the host, who answers forms or does not."""

    action: Literal["accept", "decline", "cancel"] = "accept"
    answers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    asked: list[str] = field(default_factory=list[str])
    takes_s: float = 0

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer a form."""
        del context
        self.asked.append(params.message)
        await anyio.sleep(self.takes_s)
        if self.action != "accept":
            return ElicitResult(action=self.action)
        return ElicitResult(action="accept", content=self.answers.pop(0))


@pytest.fixture
async def clean(demo_client: str, demo_installation: Installation) -> AsyncIterator[str]:
    async with operations(demo_installation.address) as connection:
        await connection.execute("DELETE FROM cm.plan_draft")
    yield demo_client  # noqa: PT022 - an asynchronous fixture of the session's loop


@asynccontextmanager
async def host(
    installation: Installation, client_id: str, person: Person | None, era: str, **more: object
) -> AsyncGenerator[Client]:
    settings = installation.settings(client_id, subject="author", roles="plan_author", **more)
    async with Client(build_server(settings), elicitation_callback=person, mode=era) as client:
        yield client


async def call(client: Client, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("plan_wizard", arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


def codes(rows: list[dict[str, Any]]) -> set[str]:
    return {row["code"] for row in rows}


@pytest.mark.parametrize("era", ERAS)
async def test_a_plan_is_made_in_three_forms(clean: str, demo_installation: Installation, era: str) -> None:
    person = Person(answers=[METADATA, RULE, {"territory": "North; South"}])
    async with host(demo_installation, clean, person, era) as client:
        first = await call(client, action="start")
        assert (first["plan_phase"], first["problems"]) == (2, [])
        await call(client, draft_id=first["draft_id"], phase=2)
        third = await call(client, draft_id=first["draft_id"], phase=3)

    assert third["missing"] == third["problems"] == []
    assert third["saved"]["3"] == {"assignments": [{"territory": ["North", "South"]}]}
    assert [message.split(":")[0] for message in person.asked] == ["Step 1 of 3", "Step 2 of 3", "Step 3 of 3"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_form_that_is_not_filled_in_keeps_the_draft_and_goes_on_in_arguments(
    clean: str, demo_installation: Installation, era: str, action: Literal["decline", "cancel"]
) -> None:
    person = Person(action)
    async with host(demo_installation, clean, person, era) as client:
        first = await call(client)
        assert codes(first["warnings"]) == {"W_DECLINED"}
        second = await call(client, draft_id=first["draft_id"], phase=1, fields=METADATA)
        third = await call(client, draft_id=first["draft_id"], phase=2)

    assert len(person.asked) == 2
    assert third["saved"] == second["saved"]
    assert third["saved"]["1"] == METADATA


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("meaning", "rates"), [("points", ["6", "8", "11"]), ("relative", ["5.05", "7.07", "10.1"])])
async def test_by_1_percent_is_asked_of_the_person_with_both_readings(
    clean: str, demo_installation: Installation, era: str, meaning: str, rates: list[str]
) -> None:
    person = Person(answers=[{"change_meaning": meaning}])
    async with host(demo_installation, clean, person, era) as client:
        answer = await call(client, plan_id="plan-core", phase=2, fields={"change": "increase by 1 %"})

    assert [tier["commission"] for tier in answer["saved"]["2"]["rules"][0]["tiers"]] == rates
    assert "6/8/11" in person.asked[0]
    assert "5.05/7.07/10.10" in person.asked[0]


@pytest.mark.parametrize("era", ERAS)
async def test_who_does_not_say_what_is_meant_is_asked_in_the_answer(
    clean: str, demo_installation: Installation, era: str
) -> None:
    async with host(demo_installation, clean, Person("decline"), era) as client:
        answer = await call(client, plan_id="plan-core", phase=2, fields={"change": "+1%"})

    assert codes(answer["problems"]) == {"E_CHANGE_AMBIGUOUS"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_says_everything_asks_nobody(clean: str, demo_installation: Installation, era: str) -> None:
    person = Person()
    async with host(demo_installation, clean, person, era) as client:
        answer = await call(client, phase=1, fields=METADATA)
        await call(client, draft_id=answer["draft_id"], phase=2, fields={**RULE, "tiers": read_tiers(RULE["tiers"])})
        await call(client, draft_id=answer["draft_id"], action="resume")
        await call(client, action="drafts")
        await call(client, plan_id="plan-core", phase=2, fields={"change": "+1pt"})

    assert person.asked == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_may_take_longer_than_a_call(clean: str, demo_installation: Installation, era: str) -> None:
    person = Person(answers=[METADATA], takes_s=1.5)
    async with host(demo_installation, clean, person, era, call_timeout_s=1) as client:
        await client.call_tool("health", {})  # the servers are there
        answer = await call(client, action="start")

    assert answer["saved"]["1"] == METADATA


async def test_what_others_do_while_a_form_is_open_is_kept(clean: str, demo_installation: Installation) -> None:
    """A form takes minutes: another host changes the draft meanwhile, and then takes it away."""

    @dataclass
    class Interrupted(Person):
        between: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

        async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
            await call(other, **self.between.pop(0))
            return await super().__call__(context, params)

    async with host(demo_installation, clean, None, ERAS[1]) as other:
        draft = (await call(other, action="start", fields=METADATA))["draft_id"]
        person = Interrupted(answers=[RULE, {"territory": "North"}])
        person.between = [
            {"draft_id": draft, "fields": {"description": "by the other host"}},
            {"action": "cancel", "draft_id": draft},
        ]
        async with host(demo_installation, clean, person, ERAS[1]) as client:
            answer = await call(client, draft_id=draft, phase=2)
            gone = await client.call_tool("plan_wizard", {"draft_id": draft, "phase": 3})

    assert answer["saved"]["1"]["description"] == "by the other host"
    assert answer["saved"]["2"]["rules"][0]["category_type"] == "Tiered"
    assert codes((gone.meta or {})["commission-mcp/problems"]) == {"E_NOT_FOUND"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_host_without_forms_is_never_asked(clean: str, demo_installation: Installation, era: str) -> None:
    async with host(demo_installation, clean, None, era) as client:
        answer = await call(client)

    assert answer["warnings"] == []
    assert answer["next"]["arguments"]["phase"] == 1


@pytest.mark.parametrize(
    ("text", "tiers"),
    [
        ("0-100: 5; 100-: 7", [("0", "100", "5"), ("100", None, "7")]),
        ("0 to 100 = 5 %\n100.. : 7", [("0", "100", "5"), ("100", None, "7")]),
        ("0-100,000: 5", [("0", "100,000", "5")]),
    ],
)
def test_tiers_can_be_typed(text: str, tiers: list[tuple[str, str | None, str]]) -> None:
    read = read_tiers(text)

    assert isinstance(read, list)
    assert [(tier["from"], tier["to"], tier["commission"]) for tier in read] == tiers


def test_what_are_no_tiers_stays_text_for_the_wizard_to_refuse() -> None:
    assert read_tiers("five percent") == "five percent"
