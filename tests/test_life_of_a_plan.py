"""From the first field to the payout over stdio, as different people, with everything killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from commission_mcp.app import open_administration, open_operations
from commission_mcp.domain.caller import Role
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client as Tenant
from commission_mcp.storage import LoginLimits, add_client

pytestmark = pytest.mark.anyio

PEOPLE = {
    "ada": "plan_author,analyst",
    "bob": "approver",
    "eve": "plan_author,approver,finance",
    "fay": "finance",
    "kim": "payee",
}
ROWS = """
INSERT INTO cm.territory (client_id, territory_id, name) VALUES ('acme', 'north', 'North');
INSERT INTO cm.payee (client_id, payee_id, user_id, name, currency, hired_on) VALUES
  ('acme', 'p1', 'kim', 'Kim', 'USD', '2020-01-01'), ('acme', 'p2', NULL, 'Lee', 'USD', '2020-01-01');
INSERT INTO cm.period (client_id, period_id, kind, span) VALUES ('acme', '2026-07', 'month', '[2026-07-01,2026-08-01)');
INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, territory_id, quantity, gross, net,
  currency) VALUES ('acme', 's1', 'erp', '1', '2026-07-03', 'north', 1, 180000, 180000, 'USD');
INSERT INTO cm.credit (client_id, sale_id, payee_id, credit_role, share) VALUES ('acme', 's1', 'p1', 'direct', 1)
"""
RULE = {
    "plan_type": "Revenue Target",
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": [{"from": 0, "to": 100000, "commission": 5}, {"from": 100000, "to": None, "commission": 7.5}],
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cm-life-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
async def settings(folder: Path) -> Settings:
    """A client with its people, one payee and one sale."""
    overrides = {"data_directory": folder / "data", "client_id": "acme"}
    loaded = load_settings(environment={}, overrides=overrides).settings
    async with open_administration(loaded) as (connection, credentials):
        await add_client(connection, Tenant("acme", "Acme", region="North America"), credentials, LoginLimits())
    async with open_operations(loaded) as connection:
        for name in PEOPLE:
            await connection.execute(
                "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles) "
                "VALUES ('acme', %s, 'local', %s, %s)",
                [name, name, [str(role) for role in Role]],
            )
        for statement in ROWS.split(";\n"):
            await connection.execute(statement.encode())
    return loaded


@asynccontextmanager
async def host(settings: Settings, person: str) -> AsyncGenerator[Client]:
    """A host of its own, with a server process of its own."""
    arguments = ["-m", "commission_mcp", "serve", "--data-directory", str(settings.data_directory), "--client", "acme"]
    environment = {"COMMISSION_SUBJECT": person, "COMMISSION_ROLES": PEOPLE[person], "PATH": os.environ["PATH"]}
    with tempfile.TemporaryFile("w+") as log:
        server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
        async with Client(stdio_client(server, errlog=log)) as client:
            yield client


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, tool: str, **arguments: object) -> set[str]:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return {problem["code"] for problem in (result.meta or {})["commission-mcp/problems"]}


def kill_everything(settings: Settings) -> None:
    """The server process and the supervisor of the databases, at once and without a word."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(settings.data_directory) in command and ("supervisor" in command or "\0serve\0" in command):
                os.kill(int(entry.name), signal.SIGKILL)


async def begun(settings: Settings) -> str:
    """A draft with a mistake that was corrected, in whose middle everything dies."""
    hosting = host(settings, "ada")
    ada = await hosting.__aenter__()
    fields = {
        "plan_name": "Summer",
        "calculation_schedule": "Monthly",
        "assignee_type": "Territory",
        "valid_from": "2026-07-01",
        "valid_to": "2026-06-30",
    }
    answer = await call(ada, "plan_wizard", phase=1, fields=fields)
    assert [problem["code"] for problem in answer["problems"]] == ["E_DATE"]
    draft_id = str(answer["draft_id"])
    await call(ada, "plan_wizard", draft_id=draft_id, fields={"valid_to": "2026-12-31"})
    await call(ada, "plan_wizard", draft_id=draft_id, phase=2, fields=RULE)
    kill_everything(settings)
    with suppress(Exception):  # the transport to a dead server ends in its own way
        await hosting.__aexit__(None, None, None)
    return draft_id


async def test_a_plan_lives_through_the_death_of_everything(settings: Settings) -> None:
    draft_id = await begun(settings)

    async with host(settings, "ada") as ada:
        listed = await call(ada, "plan_wizard", action="drafts")
        assert [(row["draft_id"], row["plan_name"], row["plan_phase"]) for row in listed["drafts"]] == [
            (draft_id, "Summer", 3)
        ]
        resumed = await call(ada, "plan_wizard", action="resume", draft_id=draft_id)
        assert resumed["saved"]["2"]["rules"][0]["tiers"][1]["commission"] == "7.5"
        fields = {"assignments": [{"territory": "North"}]}
        await call(ada, "plan_wizard", draft_id=draft_id, phase=3, fields=fields)
        review = await call(ada, "plan_wizard", action="review", draft_id=draft_id)
        plan = (await call(ada, "plan_wizard", **review["next"]["arguments"]))["plan"]
        assert plan["status"] == "submitted"

    version = {"plan_id": plan["plan_id"], "sha256": plan["sha256"], "decision": "approve"}
    async with host(settings, "eve") as eve:
        own = await call(eve, "plan_wizard", action="start", copy_of=plan["plan_id"], fields={"plan_name": "Eve's"})
        review = await call(eve, "plan_wizard", action="review", draft_id=own["draft_id"])
        mine = (await call(eve, "plan_wizard", **review["next"]["arguments"]))["plan"]
        own_version = {"plan_id": mine["plan_id"], "sha256": mine["sha256"], "decision": "approve"}
        assert await refused(eve, "decide_plan", **own_version) == {"E_OWN_PLAN"}
    async with host(settings, "bob") as bob:
        waiting = await call(bob, "decide_plan")
        assert plan["plan_id"] in [row["plan_id"] for row in waiting["waiting"]]
        assert (await call(bob, "decide_plan", **version))["plan"]["status"] == "active"
        rejected = {**own_version, "decision": "reject", "comment": "one is enough"}
        assert (await call(bob, "decide_plan", **rejected))["plan"]["status"] == "withdrawn"
    async with host(settings, "fay") as fay:
        ran = await call(fay, "run_commissions", period="2026-07")

    assert [(payout["payee"], payout["amount"]) for payout in ran["payouts"]] == [("p1", "11000.00")]
    await explained(settings)
    await compared_with_a_new_version(settings, plan["plan_id"])


async def explained(settings: Settings) -> None:
    """The payee asks why, and about nobody else."""
    async with host(settings, "kim") as kim:
        why = await call(kim, "explain_payout", period="2026-07")
        assert await refused(kim, "explain_payout", period="2026-07", payee="p2") == {"E_NOT_FOUND"}
        assert await refused(kim, "query", sql="SELECT 1") == {"E_ROLE_REQUIRED"}

    assert [(line["sale_id"], line["amount"]) for line in why["lines"]] == [("s1", "11000.00")]
    assert why["totals"][0]["to_pay"] == "11000.00"
    assert "7.5" in str(why["lines"][0]["parts"])


async def compared_with_a_new_version(settings: Settings, plan_id: str) -> None:
    """The author changes the rates; the difference is seen before anybody decides."""
    async with host(settings, "ada") as ada:
        started = await call(ada, "plan_wizard", action="start", plan_id=plan_id, fields={"change": "+1pt"})
        review = await call(ada, "plan_wizard", action="review", draft_id=started["draft_id"])
        newer = (await call(ada, "plan_wizard", **review["next"]["arguments"]))["plan"]
        assert (newer["plan_id"], newer["version"]) == (plan_id, 2)
        first, second = ({"plan_id": plan_id, "version": version} for version in (1, 2))
        compared = await call(ada, "compare_plans", plan=first, other=second, period="2026-07")

    assert compared["totals"]["difference"] == "1800.00"
    assert [(row["payee"], row["other"]) for row in compared["payees"]] == [("p1", "12800.00")]
