"""Submitting a reviewed draft: a plan version that never changes again, and the approvals that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import psycopg

from commission_mcp.domain.plan import Plan
from commission_mcp.domain.wizard import Draft, Submitted
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.outbox import Targets, enqueue
from commission_mcp.storage.plans.approvals import ask_for, settle
from commission_mcp.storage.plans.drafts import save_draft
from commission_mcp.storage.plans.review import Review
from commission_mcp.storage.plans.storing import store_version
from commission_mcp.storage.plans.versions import load_version
from commission_mcp.storage.sessions.identifiers import mint
from commission_mcp.storage.writing import Writing


async def lock_plan(writing: Writing, plan_id: str | None) -> None:
    """Keep others from submitting or deciding on a plan until the transaction ends."""
    if plan_id is not None:
        await writing.execute(
            "SELECT FROM cm.plan WHERE client_id = %s AND plan_id = %s FOR UPDATE", [writing.client_id, plan_id]
        )


async def submit(
    writing: Writing,
    draft_id: str,
    draft: Draft,
    plan: Plan,
    definition: Mapping[str, object],
    reviewed: Review,
    targets: Targets,
) -> Submitted:
    """Write the version, ask for its approvals, close the draft, and queue the news; all or nothing.

    Args:
        writing: The transaction, in which the draft and the plan are locked.
        draft_id: The draft's key.
        draft: The draft.
        plan: What it amounts to.
        definition: Its canonical form.
        reviewed: The review with the revision that the author saw.
        targets: Where the news goes.

    Raises:
        Refused: with `E_NAME_TAKEN`, `E_ASSIGN_CONFLICT` or `E_REVISION`.
    """
    plan_id = draft.plan_id or mint()
    try:
        await _name_plan(writing, plan_id, plan.name, new=draft.plan_id is None)
        sha256 = await store_version(writing, plan_id, reviewed.version, definition, plan)
    except psycopg.errors.UniqueViolation:
        problem = Problem(Code.NAME_TAKEN, "Another plan got this name just now.", "Choose another.", "plan_name")
        raise Refused(problem) from None
    except psycopg.errors.ExclusionViolation:
        message = "Two assignments cover the same with the same priority in overlapping dates."
        fix = "Give one a narrower scope, other dates or another `priority`."
        raise Refused(Problem(Code.ASSIGN_CONFLICT, message, fix, "assignments")) from None
    except psycopg.errors.ForeignKeyViolation:
        message = "Something that the plan names was taken away since the review."
        fix = f"Call plan_wizard with action review and draft_id {draft_id!r}."
        raise Refused(Problem(Code.REVISION, message, fix, "revision")) from None
    if reviewed.pending is not None:
        await writing.execute(
            "UPDATE cm.plan_version SET status = 'withdrawn' WHERE client_id = %s AND plan_id = %s AND version = %s",
            [writing.client_id, plan_id, reviewed.pending.version],
        )
    version = await load_version(writing, plan_id, reviewed.version)
    await ask_for(writing, version, reviewed.steps)
    await enqueue(writing, "plan.submitted", version.news, targets)
    await settle(writing, version, targets)
    submitted = Submitted(plan_id, reviewed.version, sha256, reviewed.revision)
    await save_draft(writing, draft_id, replace(draft, plan_id=plan_id, submitted=submitted))
    return submitted


async def _name_plan(writing: Writing, plan_id: str, name: str, *, new: bool) -> None:
    if new:
        await writing.execute(
            "INSERT INTO cm.plan (client_id, plan_id, plan_name) VALUES (%s, %s, %s)",
            [writing.client_id, plan_id, name],
        )
        return
    # The plan keeps its name until the version is active; one that is taken up again has none to keep.
    await writing.execute(
        "UPDATE cm.plan SET plan_name = %s, withdrawn = false WHERE client_id = %s AND plan_id = %s AND withdrawn",
        [name, writing.client_id, plan_id],
    )
