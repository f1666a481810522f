"""Forms that the plan wizard has a person fill in, in hosts that show forms; everywhere else arguments do the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias, cast

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit
from pydantic import BaseModel, Field

from commission_mcp.app import App, current_app, current_caller, give_user_time
from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.domain.caller import Role
from commission_mcp.domain.wizard import Draft, set_fields
from commission_mcp.domain.wizard.guidance import step_text
from commission_mcp.domain.wizard.tier_text import read_tiers
from commission_mcp.errors import Code, Refused
from commission_mcp.storage.plans import load_draft, load_version

USER_S = 600  # how long a call waits for a person's answer, where it waits
_MODERN = "2026-07-28"  # asks by ending the call, and so waits for nothing

Schedule: TypeAlias = Literal["Per Transaction", "Daily", "Weekly", "Monthly", "Quarterly", "Half-Yearly", "Yearly"]

Target: TypeAlias = Literal["Revenue Target", "Margin Target", "Units Target", "Bookings Target", "Bonus"]


class WizardForm(BaseModel):
    """A form; by itself the one that was not shown."""

    def fields(self) -> dict[str, object]:
        """What was filled in, as fields of the wizard; what was left empty says nothing."""
        return {name: value for name, value in self.model_dump().items() if value not in (None, "")}


class MetadataForm(WizardForm):
    """Phase 1."""

    plan_name: str = Field(title="Name", description="Unlike any other plan's name.")
    description: str = Field("", title="Description")
    calculation_schedule: Schedule = Field(title="Calculated")
    payment_schedule: Schedule | None = Field(None, title="Paid", description="Empty: as it is calculated.")
    assignee_type: Literal["Payee", "Role", "Territory", "Product", "Team"] = Field(title="Assigned by")
    valid_from: str = Field(title="First day", description="Such as 2026-07-01.")
    valid_to: str = Field("", title="Last day", description="Empty: without end.")
    region: str = Field("", title="Region", description="Empty: the client's own.")
    currency: str = Field("", title="Currency", description="ISO 4217; empty: the region's or the client's.")

    def fields(self) -> dict[str, object]:
        """The fields; an empty last day is an open end."""
        return {"valid_to": None, **super().fields()}


class RuleForm(WizardForm):
    """Phase 2, one rule."""

    plan_type: Literal["Revenue Target", "Margin Target", "Units Target", "Bookings Target", "Bonus"] = Field(
        title="Target"
    )
    category_type: Literal["Tiered", "Slab", "Flat"] = Field(
        title="Category", description="Tiered: each rate on its own part. Slab: the rate reached, on everything."
    )
    range_type: Literal["Amount", "Quantity", "Percentage of Quota"] | None = Field(
        None, title="Tiers count", description="Empty for Flat."
    )
    value_type: Literal["Percentage", "Fixed Amount"] = Field(title="Paid as")
    fixed_basis: Literal["per_transaction", "per_unit", "per_period"] | None = Field(
        None, title="Fixed amount for", description="Only for Fixed Amount."
    )
    base_value: Literal["Gross Revenue", "Net Revenue", "Margin", "Bookings", "Cash Collected", "Units"] = Field(
        title="Paid on"
    )
    commission: str = Field("", title="Rate", description="Flat: 5 is 5 %.")
    tiers: str = Field("", title="Tiers", description="Such as 0-100000: 5; 100000-250000: 7; 250000-: 10")

    def fields(self) -> dict[str, object]:
        """The fields, with the tiers as a table."""
        filled = super().fields()
        return {**filled, "tiers": read_tiers(self.tiers)} if self.tiers.strip() else filled


class AssignmentForm(WizardForm):
    """Phase 3, one assignment; several values of a kind are separated by semicolons."""

    territory: str = Field("", title="Territory", description="Several: separate them by semicolons.")
    product: str = Field("", title="Product")
    payee: str = Field("", title="Payee")
    team: str = Field("", title="Team")
    client_override: str = Field("", title="Override key", description="One of the client's, such as priority_1.")
    uom: str = Field("", title="Unit of measure", description="Needed where quantities count.")

    def fields(self) -> dict[str, object]:
        """The fields, with the values as one assignment."""
        filled = super().fields()
        own = {name: filled[name] for name in ("uom",) if name in filled}
        named = {name: _several(str(value)) for name, value in filled.items() if name not in own}
        return {"assignments": [named], **own} if named else own


class ChangeForm(WizardForm):
    """Which of the two meanings a change of rates has."""

    change_meaning: Literal["points", "relative"] = Field(
        title="Meaning", description="points: percentage points are added. relative: per cent of each rate."
    )


_FORMS: Mapping[int, type[WizardForm]] = {1: MetadataForm, 2: RuleForm, 3: AssignmentForm}


async def ask_user(
    ctx: Context[App],
    action: str | None,
    draft_id: str | None,
    phase: int | None,
    fields: dict[str, Any] | None,
    plan_id: str | None,
    template: str | None,
    copy_of: str | None,
) -> Elicit[Any] | WizardForm:
    """The form for a call that leaves something to the user, in a host that shows forms; otherwise an empty one.

    A call without fields asks for those of its phase, and a change that can mean two things for what it means.
    """
    if action not in (None, "start", "set") or not _shows_forms(ctx):
        return WizardForm()
    question = None
    if fields and "change" in fields and "change_meaning" not in fields:
        question = await _two_meanings(ctx, draft_id, phase, fields, plan_id or copy_of)
    begins = draft_id is None and plan_id is None and template is None and copy_of is None
    goes_on = draft_id is not None and phase is not None and action != "start"
    if not fields and (begins or goes_on):
        place = phase or 1
        question = Elicit(f"{step_text(place)}. Leave empty what you do not know yet.", _FORMS[place])
    if question is None:
        return WizardForm()
    if (ctx.protocol_version or "") < _MODERN:
        give_user_time(USER_S)
    return cast("Elicit[Any]", question)


def _shows_forms(ctx: Context[App]) -> bool:
    """Whether the host declared forms, and can be asked."""
    capabilities = ctx.client_capabilities
    asked = None if capabilities is None else capabilities.elicitation
    if asked is None or (asked.form is None and asked.url is not None):
        return False
    return (ctx.protocol_version or "") >= _MODERN or ctx.session.can_send_request


async def _two_meanings(
    ctx: Context[App], draft_id: str | None, phase: int | None, fields: dict[str, Any], origin: str | None
) -> Elicit[ChangeForm] | None:
    """The question what a change means, with both readings of the rates it is for; None when that is clear."""
    database = await (await current_app(ctx)).database()
    try:
        async with database.writing(await current_caller(ctx)) as reading:
            reading.admission.caller.require(Role.PLAN_AUTHOR)
            draft = Draft() if draft_id is None else await load_draft(reading, draft_id)
            if draft_id is None and origin is not None:
                draft = replace(draft.filled((await load_version(reading, origin)).definition, origin), plan_id=origin)
    except Refused:
        return None  # the call itself says why
    _, problems = set_fields(draft, phase or 2, cast("dict[str, object]", exact_numbers(fields)))
    found = next((problem for problem in problems if problem.code is Code.CHANGE_AMBIGUOUS), None)
    return None if found is None else Elicit(f"{found.message} Which is meant?", ChangeForm)


def _several(text: str) -> str | list[str]:
    values = [value.strip() for value in re.split(";", text) if value.strip()]
    return values if len(values) > 1 else text.strip()
