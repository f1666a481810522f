"""Setting fields of a draft. What is given replaces what was there, so repeating it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from commission_mcp.domain.canonical import canonical_json
from commission_mcp.domain.money import read_number
from commission_mcp.domain.parsing.foreign import called_here
from commission_mcp.domain.parsing.plan_form import RULES_MAX
from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.domain.wizard.changing import FIELDS as PAYING_FIELDS
from commission_mcp.domain.wizard.changing import MEANINGS, rates_of_rule, read_change
from commission_mcp.domain.wizard.draft import Draft, Fields
from commission_mcp.domain.wizard.fields import PLAN_EXTRAS, PROFILE, RULE_CONTROLS, fields_of, phase_of_field
from commission_mcp.errors import Code, Problem, Refused

DRAFT_CHARS_MAX = 100_000
_DEPTH_MAX = 20
_MERGED = ("client_specific_rules", "client_approvals")


def set_fields(draft: Draft, phase: int, fields: Fields) -> tuple[Draft, list[Problem]]:
    """The draft with these fields, and what of them could not be taken.

    A field is taken whole or not at all. Null takes a field back; only a null `valid_to` means something: no end.

    Args:
        draft: The draft.
        phase: Where a field belongs that several phases have.
        fields: Numbers as integers or texts.
    """
    if (problem := _unfit(fields)) is not None:
        return draft, [problem]
    problems: list[Problem] = []
    sorted_out: dict[int, dict[str, object]] = {1: {}, 2: {}, 3: {}}
    for name, value in fields.items():
        place = phase_of_field(name, phase)
        if place is None:
            problems.append(_unknown(name, phase))
        else:
            sorted_out[place][name] = value
    changed = _set_metadata(draft, sorted_out[1])
    changed = _set_submission(changed, sorted_out[3])
    try:
        changed = _set_rules(changed, sorted_out[2])
    except Refused as refused:
        problems += refused.problems
    if len(canonical_json(changed.to_json())) > DRAFT_CHARS_MAX:
        return draft, [Problem(Code.LIMIT, "The draft becomes too long.", "Split the plan into several.", "fields")]
    return changed, problems


def _unfit(fields: Fields) -> Problem | None:
    """Why the fields cannot be kept at all: nested too deeply, or with text that a database cannot hold."""
    if _deeper_than(fields, _DEPTH_MAX):
        return Problem(Code.LIMIT, "The fields are nested too deeply.", "Send plain objects and lists.", "fields")
    text = canonical_json(dict(fields))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "\0"
    if "\\u0000" in text or "\0" in text:
        return Problem(
            Code.FIELD_TYPE, "A text holds characters that are no text.", "Leave control characters out.", "fields"
        )
    return None


def _deeper_than(value: object, depth: int) -> bool:
    if isinstance(value, Mapping):
        inner = list(cast("Mapping[object, object]", value).values())
    elif isinstance(value, list):
        inner = cast("list[object]", value)
    else:
        return False
    return depth == 0 or any(_deeper_than(item, depth - 1) for item in inner)


def _unknown(name: str, phase: int) -> Problem:
    known = fields_of(phase)
    listed = ", ".join(field for field in known if field not in PROFILE or phase != 1)
    everywhere = [*known, *fields_of(1), *fields_of(2), *fields_of(3)]
    near = called_here(name, everywhere) or nearest(name, everywhere)
    return Problem(
        Code.FIELD_UNKNOWN,
        f"There is no field {name[:60]!r} in phase {phase}.",
        f"{near}The fields of phase {phase} are: {listed}.",
        name[:60],
    )


def _set_metadata(draft: Draft, fields: Fields) -> Draft:
    profile = {name: value for name, value in fields.items() if name in PROFILE}
    others = {name: value for name, value in fields.items() if name not in PROFILE}
    if profile:
        stated = others.get("client_specific_rules")
        others["client_specific_rules"] = (
            {**profile, **cast("Fields", stated)} if isinstance(stated, Mapping) else profile
        )
    return _taken(replace(draft, metadata=_merged(draft.metadata, others)), others)


def _set_submission(draft: Draft, fields: Fields) -> Draft:
    return _taken(replace(draft, submission=_merged(draft.submission, fields)), fields)


def _taken(draft: Draft, fields: Fields) -> Draft:
    """The draft, in which these fields now come from the author."""
    return replace(draft, sources={path: source for path, source in draft.sources.items() if path not in fields})


def _merged(before: Fields, fields: Fields) -> dict[str, object]:
    after = dict(before)
    for name, value in fields.items():
        if value is None and name != "valid_to":
            after.pop(name, None)
        elif name in _MERGED and isinstance(value, Mapping) and isinstance(after.get(name), Mapping):
            inner = {**cast("Fields", after[name]), **cast("Fields", value)}
            after[name] = {key: content for key, content in inner.items() if content is not None}
        else:
            after[name] = value
    return after


def _set_rules(draft: Draft, fields: Fields) -> Draft:
    """The draft with the fields of phase 2.

    Raises:
        Refused: with the reason why none of the rules was touched.
    """
    extras = {name: value for name, value in fields.items() if name in PLAN_EXTRAS}
    controls = {name: value for name, value in fields.items() if name in RULE_CONTROLS and value is not None}
    rule_fields = {name: value for name, value in fields.items() if name not in extras and name not in RULE_CONTROLS}
    draft = _taken(replace(draft, extras=_merged(draft.extras, extras)), extras)
    if "rules" in controls:
        draft = _replace_rules(draft, controls["rules"])
    if rule_fields or controls.keys() & {"clone_of", "remove"}:
        draft = _set_rule(draft, _place(draft, controls), rule_fields, controls)
    return _change(draft, controls) if "change" in controls else draft


def _set_rule(draft: Draft, place: int, fields: Fields, controls: Fields) -> Draft:
    if controls.get("remove") is True:
        return replace(draft, rules=(*draft.rules[:place], *draft.rules[place + 1 :]), rates_before={})
    if "clone_of" in controls:
        draft = _cloned(draft, place, controls["clone_of"])
    return _with_rule(draft, place, fields) if fields else draft


def _replace_rules(draft: Draft, value: object) -> Draft:
    rows = cast("list[object]", value) if isinstance(value, list) else []
    if not rows or len(rows) > RULES_MAX or not all(isinstance(row, Mapping) for row in rows):
        message = f"This is no list of 1 to {RULES_MAX} rules."
        raise Refused(Problem(Code.FIELD_TYPE, message, "Send a list of objects: [{...}].", "rules"))
    rules = tuple({**cast("Fields", row)} for row in rows)
    return _taken(replace(draft, rules=rules, rates_before={}), {"rules": None})


def _place(draft: Draft, controls: Fields) -> int:
    """The place of the rule that is meant, counted from 0; one behind the last makes a new rule."""
    stated = controls.get("rule_no")
    if stated is None:
        if len(draft.rules) > 1:
            message = f"The draft has {len(draft.rules)} rules, and `rule_no` does not say which one is meant."
            fix = f"Send `rule_no` 1 to {len(draft.rules)}, or {len(draft.rules) + 1} for another rule."
            raise Refused(Problem(Code.FIELD_MISSING, message, fix, "rule_no"))
        return 0
    last = min(RULES_MAX, len(draft.rules) + 1)
    number = read_number(stated, 0)
    if isinstance(number, str) or not 1 <= number <= last:
        message = f"There is no rule {str(stated)[:20]!r}."
        raise Refused(Problem(Code.NUMBER, message, f"Send a number from 1 to {last}.", "rule_no"))
    return int(number) - 1


def _cloned(draft: Draft, place: int, of: object) -> Draft:
    number = read_number(of, 0)
    if isinstance(number, str) or not 1 <= number <= len(draft.rules):
        fix = f"Name one of the rules 1 to {len(draft.rules)}."
        raise Refused(Problem(Code.NUMBER, "There is no such rule to clone.", fix, "clone_of"))
    copied = {name: value for name, value in draft.rules[int(number) - 1].items() if name != "name"}
    return replace(draft, rules=(*draft.rules[:place], copied, *draft.rules[place + 1 :]))


def _with_rule(draft: Draft, place: int, fields: Fields) -> Draft:
    before: Fields = draft.rules[place] if place < len(draft.rules) else {}
    gone = _overruled(before, fields)
    after = _merged({name: value for name, value in before.items() if name not in gone}, fields)
    rates_before = dict(draft.rates_before)
    if any(name in fields for name in PAYING_FIELDS):
        rates_before.pop(str(place), None)
    rules = (*draft.rules[:place], after, *draft.rules[place + 1 :])
    return _taken(replace(draft, rules=rules, rates_before=rates_before), {"rules": None})


def _overruled(before: Fields, fields: Fields) -> set[str]:
    """Fields of the rule as it was that mean nothing beside the new ones."""
    gone: set[str] = set()
    category = str(fields.get("category_type", "")).strip().lower()
    if category == "flat":
        gone = {"range_type", "boundary", "cap_range", "tiers", "points", "interpolation", "extrapolate", "below"}
    elif category in {"slab", "tiered"}:
        gone = {"commission", "rates", "points", "interpolation", "extrapolate", "below", "step"}
    if str(fields.get("value_type", "")).strip().lower() == "percentage":
        gone |= {"fixed_basis", "step"}
    if str(fields.get("fixed_basis", "per_step")).strip().lower() != "per_step":
        gone.add("step")
    if "tiers" in fields:
        gone.add("boundary")  # a new table says it by its own notation
    if "base_value" in fields:
        gone.add("plan_base")
    return gone & before.keys()


def _change(draft: Draft, controls: Fields) -> Draft:
    """Change the rates, always those that stood before the first change: doing it twice does it once."""
    text, meaning = controls["change"], controls.get("change_meaning")
    if not isinstance(text, str):
        raise Refused(Problem(Code.FIELD_TYPE, "This is no text.", 'Send "+1pt" or "x1.01".', "change"))
    if meaning not in (None, *MEANINGS):
        raise Refused(Problem(Code.UNKNOWN, "This is not known.", "Send points or relative.", "change_meaning"))
    places = [_place(draft, controls)] if "rule_no" in controls else list(range(len(draft.rules)))
    rules, before = list(draft.rules), dict(draft.rates_before)
    for place in places:
        rule: Fields = rules[place] if place < len(rules) else {}
        stood = before.get(str(place)) or {name: rule[name] for name in PAYING_FIELDS if rule.get(name) is not None}
        change = read_change(text, None if meaning is None else str(meaning), rates_of_rule(stood), fixed=_fixed(rule))
        rules[place : place + 1] = [{**rule, **change.of_rule(stood)}]
        before[str(place)] = stood
    if not any(rates_of_rule(before[str(place)]) for place in places):
        fix = "Start a new version with `plan_id`, a copy with `copy_of`, or set `tiers` first."
        raise Refused(Problem(Code.FIELD_MISSING, "There are no rates to change yet.", fix, "change"))
    return replace(draft, rules=tuple(rules), rates_before=before)


def _fixed(rule: Fields) -> bool:
    return str(rule.get("value_type", "")).strip().lower() in {"fixed amount", "amount", "fixed"}
