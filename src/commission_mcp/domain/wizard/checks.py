"""What the wizard asks of a plan beyond what the engine needs: all fields, the client's lists, dates that nest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from itertools import combinations
from math import prod
from typing import cast

from commission_mcp.domain.parsing.plan_form import RULES_MAX
from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.domain.plan import Assignment, Plan
from commission_mcp.domain.rules import FixedBasis, RangeType, Rule
from commission_mcp.domain.sales import Base
from commission_mcp.domain.wizard.approvals import approval_problems
from commission_mcp.domain.wizard.draft import Draft, Fields
from commission_mcp.domain.wizard.fields import PLAN_PARAMS, PLAN_TYPES
from commission_mcp.domain.wizard.inline import Inline
from commission_mcp.domain.wizard.known import Known
from commission_mcp.domain.wizard.masters import unknown
from commission_mcp.errors import Code, Problem

DESCRIPTION_CHARS_MAX = 4_000
ASSIGNMENTS_MAX = 1_000
LEVELS = ("standard", "premium", "enterprise")

_NEEDED = {
    "plan_name": "Name the plan; 1 to 200 characters, unlike any other plan's name.",
    "calculation_schedule": "Per Transaction, Daily, Weekly, Monthly, Quarterly, Half-Yearly or Yearly.",
    "assignee_type": "Payee, Role, Territory, Product or Team.",
    "valid_from": "The first day, such as 2026-07-01.",
}
_NEEDED_OF_RULE = {
    "plan_type": f"{', '.join(PLAN_TYPES)}.",
    "category_type": "Flat (one rate), Tiered (each rate on its own part) or Slab (the rate reached, on everything).",
    "value_type": "Percentage (points: 5 is 5 %) or Fixed Amount.",
    "base_value": "Gross Revenue, Net Revenue, Margin, Bookings, Cash Collected or Units.",
}


def of_draft(draft: Draft, inline: Inline, known: Known, plan: Plan | None) -> Iterator[Problem]:
    """All that is missing or wrong in a draft, beside what parsing notes."""
    yield from _metadata(draft, inline, known)
    yield from _rules(draft, inline)
    yield from approval_problems(draft.submission.get("client_approvals"))
    yield from _submission(draft, inline, known)
    if plan is not None:
        yield from _of_plan(draft, plan)


def _metadata(draft: Draft, inline: Inline, known: Known) -> Iterator[Problem]:
    fields = draft.metadata
    for name, fix in _NEEDED.items():
        if fields.get(name) is None:
            yield Problem(Code.FIELD_MISSING, f"`{name}` is missing.", fix, name)
    if "valid_to" not in fields:
        fix = "The last day, such as 2026-09-30, or null when the plan has no end."
        yield Problem(Code.FIELD_MISSING, "`valid_to` is missing.", fix, "valid_to")
    description = fields.get("description")
    if description is not None and (not isinstance(description, str) or len(description) > DESCRIPTION_CHARS_MAX):
        yield Problem(
            Code.FIELD_TYPE, "This is no description.", f"Send up to {DESCRIPTION_CHARS_MAX} characters.", "description"
        )
    if known.taken is not None and known.taken.plan_id != draft.plan_id:
        yield Problem(
            Code.NAME_TAKEN,
            f"The plan {known.taken.plan_id} is called {known.taken.name!r}.",
            f"Choose another name, or start a new version of that plan: plan_id {known.taken.plan_id!r}.",
            "plan_name",
        )
    stated = fields.get("client_specific_rules")
    if stated is not None and not isinstance(stated, Mapping):
        fix = 'Send an object: {"currency": "USD", "region": "North America"}.'
        yield Problem(Code.FIELD_TYPE, "This is no JSON object.", fix, "client_specific_rules")
    yield from _profile(cast("Fields", inline.form["client_specific_rules"]), known)


def _profile(profile: Fields, known: Known) -> Iterator[Problem]:
    path = "client_specific_rules"
    currency, region, level = profile.get("currency"), profile.get("region"), profile.get("compliance_level")
    if not _among(currency, known.currencies):
        near = nearest(currency, known.currencies)
        yield Problem(
            Code.CURRENCY,
            f"{str(currency)[:20]!r} is no currency that is known here.",
            f"{near}Send an ISO 4217 code such as {known.base_currency}.",
            f"{path}.currency",
        )
    if region is not None and known.regions and not _among(region, known.regions):
        near = nearest(region, known.regions)
        listed = ", ".join(sorted(known.regions))
        yield Problem(
            Code.UNKNOWN, f"There is no region {str(region)[:60]!r}.", f"{near}There are: {listed}.", f"{path}.region"
        )
    levels = sorted({*LEVELS, known.compliance_level, *(one.compliance_level for one in known.regions.values())})
    if level is not None and level not in levels:
        yield Problem(
            Code.UNKNOWN,
            f"{str(level)[:60]!r} is no compliance level.",
            f"{nearest(level, levels)}There are: {', '.join(levels)}.",
            f"{path}.compliance_level",
        )


def _among(value: object, names: Collection[str]) -> bool:
    """Whether the value is one of the names; what is no text never is."""
    return isinstance(value, str) and value in names


def _rules(draft: Draft, inline: Inline) -> Iterator[Problem]:
    rules = cast("list[Fields]", inline.form["rules"]) or [{}]
    for index, rule in enumerate(rules):
        for name, fix in _NEEDED_OF_RULE.items():
            if rule.get(name) is None and not (name == "base_value" and rule.get("plan_base") is not None):
                yield Problem(Code.FIELD_MISSING, f"`{name}` is missing.", fix, f"rules[{index}].{name}")
        yield from _plan_params(rule.get("plan_params"), f"rules[{index}].plan_params")
    if not draft.rules:
        yield Problem(
            Code.FIELD_MISSING,
            "`tiers` is missing.",
            "Give the tiers [{from, to, commission}] of a Slab or Tiered rule, or the `commission` of a Flat one.",
            "rules[0].tiers",
        )


def _plan_params(value: object, path: str) -> Iterator[Problem]:
    if value is None:
        return
    named = cast("list[object]", value) if isinstance(value, list) else [value]
    if isinstance(value, Mapping):
        named = list(cast("Mapping[object, object]", value))
    for name in named:
        if str(name).lower() not in {param.lower() for param in PLAN_PARAMS}:
            near = nearest(name, PLAN_PARAMS)
            yield Problem(
                Code.UNKNOWN,
                f"{str(name)[:60]!r} is no parameter of a plan.",
                f"{near}There are: {', '.join(PLAN_PARAMS)}.",
                path,
            )


def _submission(draft: Draft, inline: Inline, known: Known) -> Iterator[Problem]:
    if not draft.submission.get("assignments"):
        fix = 'Say to whom it applies: [{"territory": "North", "product": "Product A"}].'
        yield Problem(Code.FIELD_MISSING, "`assignments` is missing.", fix, "assignments")
    uom = draft.submission.get("uom")
    if isinstance(uom, str) and known.uoms.shown and not known.uoms.find(uom):
        yield unknown("unit of measure", uom, known.uoms, "uom")
    elif uom is not None and not isinstance(uom, str):
        yield Problem(Code.FIELD_TYPE, "This is no text.", "Send a unit such as Each.", "uom")
    currency = cast("Fields", inline.form["client_specific_rules"]).get("currency")
    for index, row in enumerate(cast("list[object]", inline.form["assignments"])):
        own = cast("Fields", row).get("currency") if isinstance(row, Mapping) else None
        if own is not None and own != currency:
            yield Problem(
                Code.CURRENCY,
                f"{str(own)[:20]!r} is not the plan's currency {currency!r}.",
                "Leave it out, or make a plan of its own.",
                f"assignments[{index}].currency",
            )


def _of_plan(draft: Draft, plan: Plan) -> Iterator[Problem]:
    """Checks that need the plan as parsed."""
    if draft.submission.get("uom") is None and any(_counts_units(rule) for rule in plan.rules):
        fix = "Give the unit that quantities are counted in, such as Each."
        yield Problem(Code.FIELD_MISSING, "`uom` is missing, and the plan counts a quantity.", fix, "uom")
    yield from _counts(plan)
    for index, rule in enumerate(plan.rules[: len(draft.rules)]):
        yield from _inside(plan, rule.valid_from, rule.valid_to, f"rules[{index}]")
        yield from _limits(rule, f"rules[{index}]")
        yield from _told(plan, rule, f"rules[{index}]")
    for index, assignment in enumerate(plan.assignments):
        yield from _inside(plan, assignment.valid_from, assignment.valid_to, f"assignments[{index}]")
        if assignment.valid_from and assignment.valid_to and assignment.valid_from > assignment.valid_to:
            fix = "Let `valid_to` be the later day."
            yield Problem(Code.DATE, "It ends before it begins.", fix, f"assignments[{index}].valid_to")
    for (_, one), (index, other) in combinations(enumerate(plan.assignments), 2):
        if _collide(one, other):
            yield Problem(
                Code.ASSIGN_CONFLICT,
                "Another assignment covers the same with the same priority in overlapping dates.",
                "Give one a narrower scope, other dates or another `priority`.",
                f"assignments[{index}]",
            )


def _counts(plan: Plan) -> Iterator[Problem]:
    """What a version can hold: rules with SPIFFs and bonuses, and combinations of the values that assignments name."""
    if len(plan.rules) > RULES_MAX:
        message = f"With its SPIFFs and bonuses the plan has {len(plan.rules)} rules."
        yield Problem(Code.LIMIT, message, f"Have at most {RULES_MAX}, or split the plan.", "rules")
    combinations_named = sum(prod(len(values) for _, values in one.scope.wanted) for one in plan.assignments)
    if combinations_named > ASSIGNMENTS_MAX:
        message = f"The assignments name {combinations_named:,} combinations."
        fix = f"Have at most {ASSIGNMENTS_MAX:,}; name a territory or product above instead of each below."
        yield Problem(Code.LIMIT, message, fix, "assignments")


def _told(plan: Plan, rule: Rule, path: str) -> Iterator[Problem]:
    """What a rule asks, and nothing that is stored tells: a run could never pay it in full."""
    asked = {
        "gates": {gate.measure for gate in rule.gates},
        "modifiers": {modifier.measure for modifier in rule.modifiers},
        "columns": set[str | None]() if rule.columns is None else {rule.columns.measure},
    }
    known = {measure.name for measure in plan.measures}
    for name, measures in asked.items():
        for measure in sorted(found for found in measures if found is not None and found not in known):
            yield Problem(
                Code.NO_MEASURE,
                f"The plan does not say what {measure[:60]!r} measures, and no sale tells it.",
                f'{nearest(measure, known)}Define it: `measures` [{{"name": "{measure[:60]}", "range_type": ...}}].',
                f"{path}.{name}",
            )
    events = sorted({part.event for part in rule.holdback if part.event is not None})
    if events:
        yield Problem(
            Code.NO_EVENT,
            f"What is held back until {', '.join(events)[:80]} stays held: stored sales do not tell events.",
            'Release it by {"days": 90}, a day or "end of quarter", or pay it by adjustments.',
            f"{path}.holdback",
        )


def _limits(rule: Rule, path: str) -> Iterator[Problem]:
    floor, cap = rule.floor, rule.cap
    if floor is not None and cap is not None and floor.of_target == cap.of_target and floor.at > cap.at:
        yield Problem(Code.NUMBER, "The floor is above the cap.", "Let `floor` be at most `cap`.", f"{path}.floor")


def _counts_units(rule: Rule) -> bool:
    return rule.range_type is RangeType.QUANTITY or rule.base is Base.UNITS or rule.fixed_basis is FixedBasis.PER_UNIT


def _inside(plan: Plan, first: date | None, last: date | None, path: str) -> Iterator[Problem]:
    for name, day in (("valid_from", first), ("valid_to", last)):
        early = day is not None and plan.valid_from is not None and day < plan.valid_from
        late = day is not None and plan.valid_to is not None and day > plan.valid_to
        if early or late:
            yield Problem(
                Code.DATE, "The day lies outside of the plan's dates.", "Keep it inside of them.", f"{path}.{name}"
            )


def _collide(one: Assignment, other: Assignment) -> bool:
    """Whether two assignments are for the same in some of their values, and neither goes first."""
    mine, others = dict(one.scope.wanted), dict(other.scope.wanted)
    if one.priority != other.priority or mine.keys() != others.keys():
        return False
    if any(mine[name].isdisjoint(others[name]) for name in mine):
        return False
    ends = ((one.valid_from, other.valid_to), (other.valid_from, one.valid_to))
    return all(low is None or high is None or low <= high for low, high in ends)
