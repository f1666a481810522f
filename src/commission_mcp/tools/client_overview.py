"""The `client_overview` tool: the client's plans, documents and context, and a period at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.caller import Role
from commission_mcp.domain.money import plain
from commission_mcp.search.folder import Folder
from commission_mcp.storage.runs import find_period
from commission_mcp.storage.runs.access import SEE_ALL, visible_payees
from commission_mcp.storage.runs.overview import (
    Figures,
    PayeeSum,
    PeriodSum,
    client_context,
    latest_period,
    period_figures,
    plans_shown,
)
from commission_mcp.storage.writing import Writing

ANNOTATIONS = ToolAnnotations(
    title="Client overview", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

_DOCUMENTS_MAX = 200
_FIGURES = SEE_ALL | {Role.PLAN_AUTHOR, Role.APPROVER}
_IN_FORCE = ("active", "superseded")
_ALL_STATUSES = (*_IN_FORCE, "approved", "submitted", "draft")


class Overview(BaseModel):
    """A client at a glance. Amounts are exact text."""

    client_id: str
    accessible_documents: list[str] = Field(description="Documents of the client, and those for everybody.")
    commission_plans: list[Any] = Field(description="{plan_id, name, version, valid_from, valid_to, status} each.")
    client_context: dict[str, Any] = Field(
        description="name, region, currency, commission_model, tier, compliance_level, time_zone"
    )
    period: str | None
    period_status: str | None
    scope: str = Field(description="Whose figures these are: all, team, own, or none.")
    complete: bool | None = Field(description="None where the period has not been run.")
    totals: list[Any] = Field(description="{currency, earned, to_pay, payees} each.")
    payouts: list[Any] = Field(description="{status, currency, payouts, amount} each: draft, approved, held, paid.")
    attainment: dict[str, int] = Field(description="Payees by attainment of the quota that holds at the period's end.")
    top: list[Any] = Field(description="{payee, name, currency, earned} each, the most first.")
    bottom: list[Any] = Field(description="The same, the least first.")
    unmatched: list[Any] = Field(description="{reason, credits, amount} each.")
    trend: list[Any] = Field(description="{period, currency, earned, to_pay, payees} each, the oldest first.")
    truncated: bool = Field(description="True when there are more documents.")


async def client_overview(
    period: Annotated[
        str | None, Field(description="Such as 2026-07; the last one that was run, if left out.", max_length=40)
    ] = None,
    client_id: Annotated[str | None, Field(description="Your own client, if you want that checked.")] = None,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, Overview]:
    """Show your client: plans, documents, context, and a period's totals, attainment, top and bottom, trend.

    A good first call. A payee sees the own figures, a manager those of the team. For more use `query` on the views
    `attainment`, `payout_by_month` and `plan_performance`, or `explain_payout`.
    """
    caller.require_client(client_id)
    async with (await app.database()).writing(caller, read_only=True) as reading:
        seen = await _seen(reading, period)
    documents = await anyio.to_thread.run_sync(
        accessible_documents,
        app.settings.documents_directory,
        app.settings.client_documents_directory,
        caller.client_id,
    )
    seen["client_id"] = caller.client_id
    seen["accessible_documents"] = documents[:_DOCUMENTS_MAX]
    result = Overview(**seen, truncated=len(documents) > _DOCUMENTS_MAX)
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


def accessible_documents(shared: Path, clients: Path, client_id: str) -> list[str]:
    """The documents that a client may read: its own, under its id, and those for everybody."""
    own = [f"{client_id}/{file.name}" for file in Folder(clients / client_id).files()]
    return own + [file.name for file in Folder(shared, without=clients, linked=True).files()]


async def _seen(reading: Writing, period: str | None) -> dict[str, Any]:
    """What the caller may see of plans and figures."""
    roles = reading.admission.caller.roles
    when = await latest_period(reading) if period is None else await find_period(reading, period)
    scope = _scope(roles)
    figures = None
    if when is not None and scope != "none":
        figures = await period_figures(reading, when, await visible_payees(reading, when.span, _FIGURES))
    known = _IN_FORCE if roles <= {Role.PAYEE, Role.MANAGER} else _ALL_STATUSES
    return {
        "commission_plans": [
            {
                "plan_id": plan.plan_id,
                "name": plan.name,
                "version": plan.version,
                "valid_from": plan.valid_from.isoformat(),
                "valid_to": None if plan.valid_to is None else plan.valid_to.isoformat(),
                "status": plan.status,
            }
            for plan in await plans_shown(reading, known)
        ],
        "client_context": await client_context(reading),
        "period": None if when is None else when.period_id,
        "period_status": None if when is None else when.status,
        "scope": scope,
        **_figures(figures, None if when is None else when.period_id),
    }


def _scope(roles: frozenset[Role]) -> str:
    if not roles.isdisjoint(_FIGURES):
        return "all"
    return "team" if Role.MANAGER in roles else "own" if Role.PAYEE in roles else "none"


def _figures(figures: Figures | None, period: str | None) -> dict[str, Any]:
    if figures is None:
        empty: dict[str, Any] = {
            "totals": [],
            "payouts": [],
            "top": [],
            "bottom": [],
            "unmatched": [],
            "trend": [],
            "attainment": {},
        }
        return {"complete": None, **empty}
    trend = [_period(found) for found in figures.trend]
    return {
        "complete": figures.complete,
        "totals": [{k: v for k, v in found.items() if k != "period"} for found in trend if found["period"] == period],
        "payouts": [
            {"status": found.status, "currency": found.currency, "payouts": found.payouts, "amount": str(found.amount)}
            for found in figures.payouts
        ],
        "attainment": dict(figures.attainment),
        "top": [_payee(found) for found in figures.top],
        "bottom": [_payee(found) for found in figures.bottom],
        "unmatched": [
            {"reason": reason, "credits": count, "amount": plain(amount)} for reason, count, amount in figures.unmatched
        ],
        "trend": trend,
    }


def _period(found: PeriodSum) -> dict[str, Any]:
    return {
        "period": found.period,
        "currency": found.currency,
        "earned": str(found.earned),
        "to_pay": str(found.to_pay),
        "payees": found.payees,
    }


def _payee(found: PayeeSum) -> dict[str, str]:
    return {"payee": found.payee, "name": found.name, "currency": found.currency, "earned": str(found.earned)}


def _text(result: Overview) -> str:
    context = ", ".join(f"{name} {value}" for name, value in result.client_context.items() if value is not None)
    parts = [f"{result.client_id}: {context}"]
    parts += [
        f"plan {plan['plan_id']} ({plan['name']}), version {plan['version']}, {plan['status']},"
        f" {plan['valid_from']} to {plan['valid_to'] or 'open'}"
        for plan in result.commission_plans
    ]
    parts.append(f"documents: {', '.join(result.accessible_documents) or 'none'}{', ...' if result.truncated else ''}")
    if result.period is None or result.scope == "none":
        return "\n".join(parts)
    whose = {"all": "all payees", "team": "your team", "own": "yourself"}[result.scope]
    state = {None: "not run", True: "complete", False: "INCOMPLETE"}[result.complete]
    parts.append(f"{result.period} ({result.period_status}, {state}), {whose}:")
    parts += [
        f"earned {total['earned']} {total['currency']}, to pay {total['to_pay']}, {total['payees']} payees"
        for total in result.totals
    ]
    parts += [f"payouts {p['status']}: {p['payouts']} of {p['amount']} {p['currency']}" for p in result.payouts]
    parts.append("attainment: " + ", ".join(f"{band}: {count}" for band, count in result.attainment.items()))
    parts += _listed("top", result.top) + _listed("bottom", result.bottom)
    parts += [
        f"unmatched: {miss['credits']} credits of {miss['amount']}: {miss['reason']}" for miss in result.unmatched
    ]
    trend = [f"{found['period']} {found['earned']} {found['currency']}" for found in result.trend]
    return "\n".join([*parts, f"trend: {'; '.join(trend) or 'none'}"])


def _listed(what: str, payees: list[Mapping[str, str]]) -> list[str]:
    return [f"{what}: " + "; ".join(f"{p['name']} {p['earned']} {p['currency']}" for p in payees)] if payees else []
