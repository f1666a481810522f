"""What plans would pay for the real sales of a period; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from commission_mcp.domain.canonical import fingerprint
from commission_mcp.domain.money import ZERO, minor_unit, round_money
from commission_mcp.domain.outcome import Outcome, Unmatched
from commission_mcp.domain.parsing.plan_form import parse_plan
from commission_mcp.domain.settlement import Settlement
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs.versions import StoredPlan, find_version, override_keys, with_keys
from commission_mcp.storage.writing import Writing

_REFERENCE = {"plan_id", "version"}


async def named_plan(writing: Writing, form: object, where: str = "plan") -> StoredPlan | None:
    """The stored version that `{"plan_id", "version"}` names; None when the form is a plan itself.

    Raises:
        Refused: when there is no such version, or the form mixes both.
    """
    if not isinstance(form, dict) or "plan_id" not in form:
        return None
    stated: dict[str, object] = {str(name): value for name, value in form.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
    plan_id, version = stated["plan_id"], stated.get("version")
    if not isinstance(plan_id, str) or not (version is None or (isinstance(version, int) and 0 < version < 2**31)):
        raise Refused(
            Problem(
                Code.FIELD_TYPE,
                "A stored plan is named by its id as text and its version as a number.",
                'Send {"plan_id": "plan-core", "version": 2}; without a version the newest counts.',
                where,
            )
        )
    extra = sorted(stated.keys() - _REFERENCE)
    if extra:
        raise Refused(
            Problem(
                Code.FIELD_FORBIDDEN,
                f"{', '.join(extra)[:80]} stands beside `plan_id`, and a stored version is taken as it is.",
                "Send `plan_id` and `version` only, or the whole plan without `plan_id`.",
                where,
            )
        )
    return await find_version(writing, plan_id, version)


async def any_plan(writing: Writing, form: object, where: str = "plan") -> StoredPlan:
    """A stored version, or an inline plan as if it were one.

    Raises:
        Refused: with every problem of an inline plan.
    """
    stored = await named_plan(writing, form, where)
    if stored is not None:
        return stored
    try:
        plan, _ = parse_plan(form)
    except Refused as refused:
        paths = [where + problem.path.removeprefix("plan") for problem in refused.problems]
        problems = [replace(problem, path=path) for problem, path in zip(refused.problems, paths, strict=True)]
        raise Refused(*problems) from None
    plan = with_keys(plan, await override_keys(writing))
    return StoredPlan("", plan.name, 0, "inline", plan, bytes.fromhex(fingerprint(form)), frozenset())


def single_outcome(settlement: Settlement, plan: StoredPlan) -> Outcome:
    """What the only plan of a settlement pays, with what it does not pay."""
    unmatched = tuple(settlement.unmatched)
    problems = list(settlement.problems)
    if unmatched:
        missed = {miss.sale_id: miss.amount for miss in unmatched}
        problems.append(
            Problem(
                Code.UNMATCHED,
                f"{len(missed)} sales of {sum(missed.values(), ZERO)} in all earned nothing for somebody.",
                "See `unmatched` for each and why.",
            )
        )
    if not settlement.results:
        nothing = round_money(ZERO, minor_unit(plan.plan.currency))
        return Outcome(nothing, plan.plan.currency, (), (), tuple(problems), unmatched, (), settlement.complete)
    outcomes = [result.outcome for result in settlement.results]
    return Outcome(
        total=sum((outcome.total for outcome in outcomes), ZERO),
        currency=plan.plan.currency,
        lines=tuple(line for outcome in outcomes for line in outcome.lines),
        steps=tuple(step for outcome in outcomes for step in outcome.steps),
        problems=(*(problem for outcome in outcomes for problem in outcome.problems), *problems),
        unmatched=(*(miss for outcome in outcomes for miss in outcome.unmatched), *unmatched),
        statements=tuple(statement for outcome in outcomes for statement in outcome.statements),
        complete=settlement.complete,
    )


def only_for(outcome: Outcome, payees: frozenset[str] | None) -> Outcome:
    """The outcome as far as it concerns these payees; None for all of it."""
    if payees is None:
        return outcome
    lines = tuple(line for line in outcome.lines if line.payee in payees)
    total: Decimal = sum((line.amount for line in lines), ZERO)
    return replace(
        outcome,
        total=round_money(total, minor_unit(outcome.currency)),
        lines=lines,
        steps=tuple(step for step in outcome.steps if step.payee in payees),
        statements=tuple(statement for statement in outcome.statements if statement.payee in payees),
        unmatched=_missed(outcome.unmatched, payees),
        problems=tuple(problem for problem in outcome.problems if problem.code is not Code.UNMATCHED),
    )


def _missed(unmatched: Sequence[Unmatched], payees: frozenset[str]) -> tuple[Unmatched, ...]:
    return tuple(miss for miss in unmatched if miss.payee in payees)
