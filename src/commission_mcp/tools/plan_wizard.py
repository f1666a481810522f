"""The `plan_wizard` tool: a commission plan in three phases, from the first field to the submitted version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias, cast

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver.resolve import Resolve
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller, outbox_fallback
from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.domain.caller import Caller, Role
from commission_mcp.domain.wizard import Assessment, Draft, Known, assess, set_fields
from commission_mcp.domain.wizard import guidance as guide
from commission_mcp.domain.wizard.backend import Backend, backend_warnings, with_backend
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.forms import WizardForm, ask_user
from commission_mcp.storage import Writing
from commission_mcp.storage.outbox import load_destinations
from commission_mcp.storage.plans import (
    Review,
    delete_draft,
    insert_draft,
    load_draft,
    load_known,
    load_steps,
    load_template,
    load_version,
    lock_plan,
    open_drafts,
    review,
    save_draft,
    submit,
)
from commission_mcp.storage.plans.telling import review_rows, review_text, version_rows

ANNOTATIONS = ToolAnnotations(
    title="Plan wizard", read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)

Action: TypeAlias = Literal["start", "set", "back", "review", "submit", "resume", "drafts", "cancel"]

_PHASE_LAST = 3
_DRAFTS_SHOWN = 50
_PROBLEMS_SHOWN = 60
_TEXT_CHARS_MAX = 18_000  # with the next call an answer stays below 20,000
_OF_START = frozenset({"phase", "fields", "plan_id", "template", "copy_of"})
_UNDERSTOOD: dict[Action, frozenset[str]] = {
    "start": _OF_START,
    "set": frozenset({"draft_id", "phase", "fields"}),
    "back": frozenset({"draft_id", "phase"}),
    "review": frozenset({"draft_id"}),
    "submit": frozenset({"draft_id", "revision"}),
    "resume": frozenset({"draft_id"}),
    "drafts": frozenset(),
    "cancel": frozenset({"draft_id"}),
}


class WizardResult(BaseModel):
    """Where the draft stands. `problems` must be corrected, `missing` given; then `review`, then `submit`."""

    draft_id: str | None
    plan_phase: int | None = Field(description="1 metadata, 2 business rules, 3 assignments and submission.")
    step: str
    saved: dict[str, Any] = Field(description="The fields of each phase.")
    missing: list[Any] = Field(description="{path, phase, message, fix, allowed, example} each.")
    problems: list[Any] = Field(description="{code, path, phase, message, fix, allowed, example} each.")
    warnings: list[Any] = Field(description="How something was understood: {code, path, message, fix} each.")
    defaults: list[Any] = Field(description="What was filled in: {path, value, source} each.")
    preview: dict[str, Any] | None = Field(description="review: amounts, changes, overlaps, assignees, approvals.")
    revision: str | None = Field(description="review: what `submit` needs.")
    plan: dict[str, Any] | None = Field(description="submit: the version, its hash and its approval steps.")
    drafts: list[Any] = Field(description="drafts: yours that are not submitted.")
    next: dict[str, Any] = Field(description="The next call: {say, tool, arguments}.")


async def plan_wizard(
    action: Annotated[Action | None, Field(description="Default: set; start where no draft is named.")] = None,
    draft_id: Annotated[str | None, Field(description="The draft, from an earlier answer.")] = None,
    phase: Annotated[int | None, Field(ge=1, le=3, description="Phase of `fields`; back: the one to go to.")] = None,
    fields: Annotated[dict[str, Any] | None, Field(description="Fields of the phase; null takes one back.")] = None,
    plan_id: Annotated[str | None, Field(description="start: make a new version of this plan.")] = None,
    template: Annotated[str | None, Field(description="start: fill in from this template.")] = None,
    copy_of: Annotated[str | None, Field(description="start: a new plan with the rules of this one.")] = None,
    revision: Annotated[str | None, Field(description="submit: from `review`.")] = None,
    client_id: Annotated[str | None, Field(description="Your own client, if you want that checked.")] = None,
    *,
    form: Annotated[ElicitationResult[WizardForm], Resolve(ask_user)],
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, WizardResult]:
    """Create or change a commission plan: start, set fields phase by phase, review, submit for approval.

    Phase 1: plan_name, description, calculation_schedule, payment_schedule, assignee_type, valid_from, valid_to,
    client_specific_rules {currency, region, compliance_level}. Phase 2, one rule (several with `rule_no`): plan_type,
    category_type Flat/Slab/Tiered, range_type, value_type, base_value, tiers [{from, to, commission}], or `change`
    ("+1pt", "x1.01") of a version's rates. Phase 3: assignments [{territory, product, payee, ...}], currency, uom,
    client_approvals. Every answer says what is missing or wrong and gives the next call. Ask the user for what is
    missing; never invent it. Show the user the `review` before `submit`. `drafts` and `resume` find work begun earlier.
    """
    answer = form.data.fields() if isinstance(form, AcceptedElicitation) else {}
    given = {**(fields or {}), **answer} if fields or answer else fields
    asked = _asked(action, draft_id, phase, given, plan_id, template, copy_of, revision)
    asked = replace(asked, declined=not isinstance(form, AcceptedElicitation))
    _check_client(client_id, caller)
    database = await app.database()
    (await database.admit(caller)).caller.require(Role.PLAN_AUTHOR)
    backend = None if asked.action in {"drafts", "cancel"} else await app.backend_lists.of(database, caller)
    async with database.writing(caller) as writing:
        writing.admission.caller.require(Role.PLAN_AUTHOR)
        wizard = _Wizard(writing, asked, backend)
        if asked.action == "drafts":
            return await wizard.listed()
        if asked.action == "cancel":
            return await wizard.cancelled()
        await wizard.open()
        if asked.action == "submit":
            return await wizard.submitted(app)
        return await wizard.reviewed() if asked.action == "review" else await wizard.stood()


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments, with the action that they amount to; none is left only for a phase without a draft."""

    action: Action | None
    draft_id: str | None
    phase: int | None
    fields: Mapping[str, object]
    plan_id: str | None
    template: str | None
    copy_of: str | None
    revision: str | None
    declined: bool = False


def _asked(
    action: Action | None,
    draft_id: str | None,
    phase: int | None,
    fields: Mapping[str, object] | None,
    plan_id: str | None,
    template: str | None,
    copy_of: str | None,
    revision: str | None,
) -> _Asked:
    given = {"draft_id": draft_id, "phase": phase, "fields": fields, "plan_id": plan_id, "template": template}
    given |= {"copy_of": copy_of, "revision": revision}
    names = {name for name, value in given.items() if value is not None}
    if action is None:
        continues = phase not in (None, 1) and not names & {"plan_id", "template", "copy_of"}
        action = "set" if draft_id is not None else None if continues else "start"
    _check_arguments(action or "set", names)
    exact = cast("Mapping[str, object]", exact_numbers(dict(fields or {})))
    return _Asked(action, draft_id, phase, exact, plan_id, template, copy_of, revision)


def _check_arguments(action: Action, given: set[str]) -> None:
    """Refuse arguments that the action does not understand."""
    understood = _UNDERSTOOD[action]
    listed = ", ".join(f"`{name}`" for name in sorted(understood)) or "none"
    problems = [
        Problem(Code.ARGUMENT, f"`{action}` does not take `{name}`.", f"It takes {listed}.", name)
        for name in sorted(given - understood)
    ]
    if action == "start" and len(given & {"plan_id", "copy_of"}) > 1:
        problems.append(Problem(Code.ARGUMENT, "A draft has one origin.", "Pass plan_id or copy_of.", "copy_of"))
    if action == "cancel" and "draft_id" not in given:
        problems.append(Problem(Code.ARGUMENT, "`cancel` needs `draft_id`.", "`drafts` lists them.", "draft_id"))
    if problems:
        raise Refused(*problems)


def _check_client(asserted: str | None, caller: Caller) -> None:
    if asserted not in (None, caller.client_id):
        raise Refused(
            Problem(
                Code.CLIENT_MISMATCH,
                f"This connection serves {caller.client_id!r} and no other client.",
                "Leave `client_id` out; the operator connects other clients.",
                "client_id",
            )
        )


class _Wizard:
    """One call: the draft is opened and locked, changed, assessed, and the answer is made of it."""

    def __init__(self, writing: Writing, asked: _Asked, backend: Backend | None) -> None:
        self._writing = writing
        self._asked = asked
        self._backend = backend
        self._draft_id = asked.draft_id or ""
        self._draft = Draft()
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._known = Known()
        self._assessment = assess(self._draft, self._known)

    async def open(self) -> None:
        """Open or begin the draft, and take up what was given."""
        if self._asked.action == "start":
            self._draft = await self._begun()
        else:
            self._draft_id = self._asked.draft_id or await self._meant_draft()
            self._draft = await load_draft(self._writing, self._draft_id)
        if self._asked.declined:
            message = "The form was not filled in; nothing is lost."
            self._warnings.append(Problem(Code.DECLINED, message, "Ask the user, and send `fields`.", "fields"))
        changed = self._changed()
        if changed is not self._draft and self._draft.submitted is not None:
            raise _closed(self._draft)
        await self._assess(changed)
        if self._asked.action == "start":
            self._draft_id = await insert_draft(self._writing, self._draft)
        elif self._draft.submitted is None and self._asked.action not in {"review", "submit"}:
            await save_draft(self._writing, self._draft_id, self._draft)

    def _changed(self) -> Draft:
        """The draft with the fields, or with the phase, that this call brings."""
        if self._asked.fields:
            # Dates and a description without a phase are the plan's, not a rule's.
            draft, self._problems = set_fields(self._draft, self._asked.phase or 1, self._asked.fields)
            return draft
        if self._asked.action == "back":
            return replace(self._draft, phase=self._asked.phase or max(1, self._draft.phase - 1))
        return self._draft if self._asked.phase is None else replace(self._draft, phase=self._asked.phase)

    async def _assess(self, draft: Draft) -> None:
        self._known = with_backend(await load_known(self._writing, draft), self._backend)
        self._assessment = assess(draft, self._known)
        if draft.submitted is None:
            self._warnings += backend_warnings(draft, self._backend)
        if self._asked.action != "back" and draft.submitted is None:
            draft = replace(draft, phase=self._assessment.open_phase or _PHASE_LAST)
        self._draft = draft

    async def _begun(self) -> Draft:
        draft = Draft()
        if self._asked.template is not None:
            fields = await load_template(self._writing, self._asked.template)
            draft = draft.filled(fields, f"the template {self._asked.template}")
        origin = self._asked.plan_id or self._asked.copy_of
        if origin is None:
            return draft
        version = await load_version(self._writing, origin)
        definition = {"plan_name": version.name, "description": version.description, **version.definition}
        draft = draft.filled(definition, f"{version.ref}")
        if self._asked.copy_of is not None:
            return draft.without("plan_name")
        return replace(draft, plan_id=version.plan_id, base_version=version.version)

    async def _meant_draft(self) -> str:
        """The draft that is meant where none is named: the only one, or the one that was just brought to this phase."""
        found = await open_drafts(self._writing)
        latest = found[0] if found else None
        awaits_it = latest is not None and latest.recent and latest.phase == self._asked.phase
        if latest is not None and (len(found) == 1 or awaits_it):
            message = f"No draft was named; yours of {latest.plan_name!r}, {latest.draft_id}, was taken."
            self._warnings.append(Problem(Code.DRAFT_CONTINUED, message, "Pass its `draft_id`.", "draft_id"))
            return latest.draft_id
        listed = ", ".join(f"{draft.draft_id} ({draft.plan_name or 'no name yet'})" for draft in found[:5])
        if found:
            message = f"You have {len(found)} open drafts, and none is named."
            raise Refused(Problem(Code.DRAFT_AMBIGUOUS, message, f"Pass one as `draft_id`: {listed}.", "draft_id"))
        fix = "Begin one: action `start`, or phase 1 with `fields`."
        raise Refused(Problem(Code.NOT_FOUND, "You have no open draft.", fix, "draft_id"))

    async def listed(self) -> CallToolResult:
        """The caller's open drafts."""
        found = await open_drafts(self._writing)
        rows = [
            {
                "draft_id": draft.draft_id,
                "plan_name": draft.plan_name,
                "plan_phase": draft.phase,
                "plan_id": draft.plan_id,
                "updated_at": f"{draft.updated_at:%Y-%m-%dT%H:%M:%SZ}",
            }
            for draft in found
        ]
        arguments = {"action": "resume", "draft_id": rows[0]["draft_id"]} if rows else {"action": "start"}
        lines = [f"{len(rows)} open drafts of yours, the latest first."]
        lines += [
            f"- {row['draft_id']}: {row['plan_name'] or 'no name yet'}, phase {row['plan_phase']}" for row in rows
        ]
        say = "Go on with the latest." if rows else "Begin a plan."
        if len(rows) > _DRAFTS_SHOWN:
            rows, lines = rows[:_DRAFTS_SHOWN], [*lines[: _DRAFTS_SHOWN + 1], f"- the latest {_DRAFTS_SHOWN} are shown"]
        return _answer("Drafts", "\n".join(lines), _next(say, arguments), drafts=rows)

    async def cancelled(self) -> CallToolResult:
        """Forget a draft; a submitted version stays."""
        if not await delete_draft(self._writing, self._draft_id):
            fix = "The action `drafts` lists your drafts."
            raise Refused(Problem(Code.NOT_FOUND, "You have no draft of this key.", fix, "draft_id"))
        text = f"Draft {self._draft_id} is forgotten."
        return _answer("Cancelled", text, _next("Begin another plan.", {"action": "start"}), draft_id=self._draft_id)

    async def stood(self) -> CallToolResult:
        """Where the draft stands."""
        if self._draft.submitted is not None:
            return await self._version_answer()
        return self._standing()

    async def reviewed(self) -> CallToolResult:
        """The review of a finished draft, or what keeps it from being reviewed."""
        if self._draft.submitted is not None:
            return await self._version_answer()
        if self._assessment.plan is None:
            return self._standing()
        return self._standing(await self._review())

    async def submitted(self, app: CurrentApp) -> CallToolResult:
        """Submit what was reviewed, and nothing else."""
        closed = self._draft.submitted
        if closed is not None:
            if closed.revision == self._asked.revision:
                return await self._version_answer()
            raise _closed(self._draft)
        if self._assessment.plan is None or self._assessment.definition is None:
            raise _incomplete(self._assessment)
        await lock_plan(self._writing, self._draft.plan_id)
        reviewed = await self._review()
        if self._asked.revision != reviewed.revision:
            raise _not_reviewed(self._draft_id, given=self._asked.revision is not None)
        destinations = await load_destinations(self._writing, outbox_fallback(app.settings))
        closed = await submit(
            self._writing,
            self._draft_id,
            self._draft,
            self._assessment.plan,
            self._assessment.definition,
            reviewed,
            destinations.targets,
        )
        self._draft = replace(self._draft, plan_id=closed.plan_id, submitted=closed)
        return await self._version_answer()

    async def _review(self) -> Review:
        if self._assessment.plan is None or self._assessment.definition is None:
            raise _incomplete(self._assessment)
        return await review(
            self._writing,
            self._draft,
            self._known,
            self._assessment.plan,
            self._assessment.definition,
            self._assessment.requested,
        )

    async def _version_answer(self) -> CallToolResult:
        """The version that the draft has become."""
        closed = self._draft.submitted
        if closed is None:
            raise RuntimeError("the draft is not submitted")
        version = await load_version(self._writing, closed.plan_id, closed.version)
        rows = version_rows(version, await load_steps(self._writing, version))
        waiting = [step for step in rows["approvals"] if step["decision"] == "pending"]
        who = ", ".join(f"{step['step']} by {step['deciding_role']}" for step in waiting)
        say = f"Others decide now: {who}. You cannot approve your own plan." if waiting else "Nothing is left to do."
        text = f"{version.ref} {version.name!r} is {version.status}; sha256 {version.sha256}. {say}"
        arguments = {"plan_id": version.plan_id, "version": version.version}
        nxt = {"say": say, "tool": "decide_plan", "arguments": arguments}
        return _answer("Submitted", text, nxt, draft_id=self._draft_id, plan_phase=_PHASE_LAST, plan=rows)

    def _standing(self, reviewed: Review | None = None) -> CallToolResult:
        assessment, phase = self._assessment, self._draft.phase
        # What this call brought and the draft did not take comes first.
        problems = [*self._problems, *assessment.problems]
        warnings = [*self._warnings, *assessment.warnings, *_review_warnings(reviewed)]
        nxt = guide.next_call(self._draft_id, phase, assessment, self._known)
        if reviewed is not None:
            arguments = {"action": "submit", "draft_id": self._draft_id, "revision": reviewed.revision}
            nxt = _next("Show the user this review; when they agree, submit it.", arguments)
        step = "Review" if reviewed is not None else guide.step_text(phase)
        head = f"{step}. Draft {self._draft_id}{_of_plan(self._draft)}."
        parts = [head, *self._review_lines(reviewed)]
        parts += guide.lines_of("Problems", problems)
        parts += guide.lines_of("Missing", assessment.of_phase(phase)[0])
        parts += guide.lines_of("Warnings", warnings)
        parts += [*_default_lines(assessment), guide.saved_line(self._draft)]
        return _answer(
            step,
            "\n".join(parts),
            nxt,
            draft_id=self._draft_id,
            plan_phase=phase,
            saved=guide.saved_fields(self._draft),
            missing=[guide.shown_problem(problem, self._known) for problem in assessment.missing],
            problems=[guide.shown_problem(problem, self._known) for problem in problems[:_PROBLEMS_SHOWN]],
            warnings=[guide.shown_problem(problem, self._known) for problem in warnings],
            defaults=guide.default_rows(assessment),
            preview=None if reviewed is None else review_rows(reviewed),
            revision=None if reviewed is None else reviewed.revision,
        )

    def _review_lines(self, reviewed: Review | None) -> list[str]:
        plan = self._assessment.plan
        return [] if reviewed is None or plan is None else review_text(reviewed, plan.currency)


def _review_warnings(reviewed: Review | None) -> list[Problem]:
    if reviewed is None:
        return []
    found: list[Problem] = []
    for other in reviewed.live:
        places = (
            "; ".join(f"{one.mine} and {one.other}" for one in other.overlaps[:3]) or "its assignments are unreadable"
        )
        message = f"{other.plan.ref} {other.plan.name!r} ({other.plan.status}) pays for the same: {places}. Both pay."
        found.append(Problem(Code.PLAN_OVERLAP, message, "Check that both are meant.", "assignments"))
    if reviewed.pending is not None:
        message = f"Version {reviewed.pending.version} still waits for decisions."
        found.append(Problem(Code.VERSION_PENDING, message, "Submitting this one withdraws it.", "plan_id"))
    for one in reviewed.returning:
        message = f"Version {one.version} counts again from {one.start} {_until(one.end)}, when this one is over."
        fix = "If it shall not, let this one last as long, or begin on the same day."
        found.append(Problem(Code.VERSION_RETURNS, message, fix, "valid_to"))
    for first, last in reviewed.gaps:
        message = (
            f"No version of the plan will count from {first} {_until(last)}: sales of these days earn nothing by it."
        )
        found.append(Problem(Code.PLAN_GAP, message, "Check that this is meant.", "valid_to"))
    if reviewed.without_quota:
        named = ", ".join(reviewed.without_quota[:5])
        message = f"{len(reviewed.without_quota)} payees have no quota in the plan's time: {named}."
        fix = "Import quotas (payee_id, measure, starts_on, ends_on, amount) before the first run."
        found.append(Problem(Code.NO_QUOTA_YET, message, fix, "range_type"))
    return found


def _until(last: date | None) -> str:
    return "on" if last is None else f"to {last}"


def _of_plan(draft: Draft) -> str:
    return f", a new version of {draft.plan_id}" if draft.plan_id is not None else ""


def _default_lines(assessment: Assessment) -> list[str]:
    filled = [
        f"{row.path} = {row.value} ({row.source})"
        for row in assessment.defaults
        if isinstance(row.value, str | int) and row.value != ""
    ]
    return [f"Filled in: {'; '.join(filled)}."] if filled else []


def _closed(draft: Draft) -> Refused:
    closed = draft.submitted
    where = "" if closed is None else f" as {closed.plan_id}/{closed.version}"
    fix = "" if closed is None else f"Begin a new version: action start, plan_id {closed.plan_id!r}."
    return Refused(Problem(Code.DRAFT_CLOSED, f"This draft was submitted{where}, and stays as it is.", fix, "draft_id"))


def _incomplete(assessment: Assessment) -> Refused:
    message = "The draft is not whole, so it cannot be submitted."
    head = Problem(Code.DRAFT_INCOMPLETE, message, "Set what follows, then review.", "draft_id")
    return Refused(head, *assessment.missing, *assessment.problems)


def _not_reviewed(draft_id: str, *, given: bool) -> Refused:
    message = "The draft is another one than was reviewed." if given else "`submit` needs the `revision` of a review."
    fix = f"Call plan_wizard with action review and draft_id {draft_id!r}; show it to the user; submit its `revision`."
    return Refused(Problem(Code.REVISION, message, fix, "revision"))


def _next(say: str, arguments: Mapping[str, object]) -> dict[str, object]:
    return {"say": say, "tool": "plan_wizard", "arguments": dict(arguments)}


def _answer(
    step: str,
    text: str,
    following: Mapping[str, object],
    *,
    draft_id: str | None = None,
    plan_phase: int | None = None,
    saved: Mapping[str, object] | None = None,
    missing: Sequence[object] = (),
    problems: Sequence[object] = (),
    warnings: Sequence[object] = (),
    defaults: Sequence[object] = (),
    preview: Mapping[str, object] | None = None,
    revision: str | None = None,
    plan: Mapping[str, object] | None = None,
    drafts: Sequence[object] = (),
) -> CallToolResult:
    structured = WizardResult(
        draft_id=draft_id,
        plan_phase=plan_phase,
        step=step,
        saved=dict(saved or {}),
        missing=list(missing),
        problems=list(problems),
        warnings=list(warnings),
        defaults=list(defaults),
        preview=None if preview is None else dict(preview),
        revision=revision,
        plan=None if plan is None else dict(plan),
        drafts=list(drafts),
        next=dict(following),
    ).model_dump()
    if len(text) > _TEXT_CHARS_MAX:
        text = f"{text[:_TEXT_CHARS_MAX]}\n... cut; the rest is in the structured content."
    text = f"{text}\nNext: {following['say']}\n{guide.call_text(following)}"
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
