"""Drafts of the caller's own; they are rows, so they outlive every restart."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.money import loads
from commission_mcp.domain.wizard import Draft
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.sessions.identifiers import mint
from commission_mcp.storage.writing import Writing

DRAFTS_MAX = 200  # open ones of a user


@dataclass(frozen=True, slots=True)
class DraftSummary:
    """A draft in a list; `recent` when it was worked on within the hour."""

    draft_id: str
    plan_name: str | None
    phase: int
    plan_id: str | None
    updated_at: datetime
    recent: bool


async def insert_draft(writing: Writing, draft: Draft) -> str:
    """Keep a new draft; its key.

    Raises:
        Refused: with `E_LIMIT` when the caller has too many open ones.
    """
    row = await writing.row(
        "SELECT count(*) FROM cm.plan_draft WHERE client_id = %s AND issuer = %s AND subject = %s AND phase < 4",
        _owner(writing),
    )
    if row is not None and row[0] >= DRAFTS_MAX:
        fix = "`drafts` lists them; submit or `cancel` some."
        raise Refused(Problem(Code.LIMIT, f"You have {DRAFTS_MAX} open drafts.", fix))
    draft_id = mint()
    await writing.execute(
        "INSERT INTO cm.plan_draft (client_id, issuer, subject, draft_id, phase, fields, plan_id) "
        "VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s)",
        [*_owner(writing), draft_id, *_columns(draft)],
    )
    return draft_id


async def load_draft(writing: Writing, draft_id: str) -> Draft:
    """A draft of the caller's own, locked until the transaction ends.

    Raises:
        Refused: with `E_NOT_FOUND`.
    """
    row = await writing.row(
        "SELECT fields::text, phase, plan_id FROM cm.plan_draft "
        "WHERE client_id = %s AND issuer = %s AND subject = %s AND draft_id = %s FOR UPDATE",
        [*_owner(writing), _key(draft_id)],
    )
    if row is None:
        fix = "The action `drafts` lists your drafts; `start` begins one."
        raise Refused(Problem(Code.NOT_FOUND, "You have no draft of this key.", fix, "draft_id"))
    fields, phase, plan_id = row
    return Draft.from_json(cast("Mapping[str, object]", loads(fields)), min(3, int(phase)), plan_id)


async def save_draft(writing: Writing, draft_id: str, draft: Draft) -> None:
    """Keep what a draft has become."""
    await writing.execute(
        "UPDATE cm.plan_draft SET phase = %s, fields = %s::jsonb, plan_id = %s, updated_at = now() "
        "WHERE client_id = %s AND issuer = %s AND subject = %s AND draft_id = %s",
        [*_columns(draft), *_owner(writing), _key(draft_id)],
    )


async def delete_draft(writing: Writing, draft_id: str) -> bool:
    """Forget a draft of the caller's own; whether there was one."""
    return bool(
        await writing.execute(
            "DELETE FROM cm.plan_draft WHERE client_id = %s AND issuer = %s AND subject = %s AND draft_id = %s",
            [*_owner(writing), _key(draft_id)],
        )
    )


async def open_drafts(writing: Writing) -> list[DraftSummary]:
    """The caller's drafts that are not submitted, the latest first."""
    rows = await writing.rows(
        "SELECT draft_id::text, fields->'metadata'->>'plan_name', phase, plan_id, updated_at, "
        "updated_at > now() - interval '1 hour' FROM cm.plan_draft "
        "WHERE client_id = %s AND issuer = %s AND subject = %s AND phase < 4 ORDER BY updated_at DESC, draft_id DESC",
        _owner(writing),
    )
    return [DraftSummary(*row) for row in rows]


def _owner(writing: Writing) -> list[object]:
    caller = writing.admission.caller
    return [caller.client_id, caller.issuer, caller.subject]


def _columns(draft: Draft) -> list[object]:
    phase = draft.phase if draft.submitted is None else 4
    return [phase, canonical_json(draft.to_json()), draft.plan_id]


def _key(draft_id: str) -> str:
    """The key, if it is one.

    Raises:
        Refused: with `E_ARGUMENT`.
    """
    try:
        return str(uuid.UUID(draft_id))
    except ValueError:
        fix = "Pass the `draft_id` of an earlier answer, or leave it out to start."
        raise Refused(Problem(Code.ARGUMENT, "This is not the key of a draft.", fix, "draft_id")) from None
