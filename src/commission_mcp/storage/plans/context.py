"""A client as plans see it: profile, override keys, approval policy, templates, and what the wizard may be given."""

from __future__ import annotations

from typing import Any

from commission_mcp.domain.wizard import Draft
from commission_mcp.domain.wizard.backend import Backend, with_backend
from commission_mcp.domain.wizard.fields import PHASE_NAMES, Step, fields_of
from commission_mcp.domain.wizard.guidance import ALLOWED
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.plans.masters import load_known
from commission_mcp.storage.plans.templates import list_templates
from commission_mcp.storage.writing import Writing

_NAMES_MAX = 200


async def client_context(writing: Writing) -> dict[str, Any]:
    """The client's profile and its own lists.

    Raises:
        Refused: with `E_CLIENT_UNKNOWN`.
    """
    row = await writing.row(
        "SELECT c.name, c.base_currency, c.time_zone, c.fiscal_year_start_month, p.region, p.tier, "
        "p.commission_model, p.compliance_level FROM cm.client c LEFT JOIN cm.client_profile p USING (client_id) "
        "WHERE c.client_id = %s",
        [writing.client_id],
    )
    if row is None:
        raise Refused(Problem(Code.CLIENT_UNKNOWN, f"There is no client {writing.client_id!r}.", path="client_id"))
    names = ("name", "currency", "time_zone", "fiscal_year_start_month", "region", "tier", "commission_model")
    known = await load_known(writing, Draft())
    return {
        "client_id": writing.client_id,
        **dict(zip((*names, "compliance_level"), row, strict=True)),
        "override_keys": {
            key: {"priority": priority, "multiplier": f"{multiplier:f}"}
            for key, (priority, multiplier) in known.override_keys.items()
        },
        "approval_policy": [
            {
                "step": policy.step,
                "requirement": policy.requirement,
                "automatic_below": None if policy.automatic_below is None else f"{policy.automatic_below:f}",
                "deciding_role": policy.deciding_role,
            }
            for policy in known.policies
        ],
        "templates": await list_templates(writing),
    }


async def wizard_choices(writing: Writing, backend: Backend | None) -> dict[str, Any]:
    """What each field of the wizard may be given, with the client's own names and those of its backend."""
    known = with_backend(await load_known(writing, Draft()), backend)
    lists = {
        "territory": known.territories.shown,
        "product": known.products.shown,
        "team": known.teams.shown,
        "role": known.job_roles.shown,
        "uom": known.uoms.shown,
    }
    return {
        "phases": {
            str(phase): {"name": name, "fields": sorted(set(fields_of(phase)))} for phase, name in PHASE_NAMES.items()
        },
        "choices": {name: list(values) for name, values in ALLOWED.items()},
        "currency": sorted(known.currencies),
        "region": {
            name: {"currency": region.currency, "compliance_level": region.compliance_level}
            for name, region in sorted(known.regions.items())
        },
        "client_override": sorted(known.override_keys),
        "client_approvals": list(Step),
        **{name: list(values[:_NAMES_MAX]) for name, values in lists.items()},
        "backend": None
        if backend is None
        else {
            "failure": backend.failure,
            **{kind: list(listed.shown[:_NAMES_MAX]) for kind, listed in sorted(backend.lists.items())},
        },
    }
