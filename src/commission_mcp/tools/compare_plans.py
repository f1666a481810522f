"""The `compare_plans` tool: two plans over the same sales, payee by payee. It stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import anyio.to_thread
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.caller import Role
from commission_mcp.domain.changing import changed, rates, read_change
from commission_mcp.domain.money import HUNDRED, ZERO, minor_unit, plain, round_money
from commission_mcp.domain.outcome import Outcome
from commission_mcp.domain.parsing import parse_form
from commission_mcp.domain.periods import Period
from commission_mcp.domain.settlement import settle_period
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs import CalendarPeriod, RunInputs, StoredPlan, find_period, load_inputs
from commission_mcp.storage.runs.access import SEE_ALL, visible_payees
from commission_mcp.storage.runs.simulation import any_plan, only_for, single_outcome
from commission_mcp.storage.runs.versions import definition
from commission_mcp.storage.writing import Writing

ANNOTATIONS = ToolAnnotations(
    title="Compare plans", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

_SALES_MAX = 10_000
_TEXT_LINES_MAX = 25
_PERCENT = Decimal("0.01")


class Comparison(BaseModel):
    """What the plans pay on the same sales. Amounts are exact text."""

    currency: str
    totals: dict[str, str] = Field(description="{plan, other, difference, percent}.")
    payees: list[Any] = Field(
        description="{payee, plan, other, difference} each, the greatest gain first, losses last."
    )
    gain: int = Field(description="Payees who earn more under `other`.")
    lose: int
    same: int
    rates: list[Any] = Field(description="With `change`: {rule, before, after} each.")
    unmatched: dict[str, int] = Field(description="Credits that earn nothing under each.")
    complete: bool
    problems: list[Any] = Field(description="{plan, code, message, fix, path} each.")
    truncated: bool


async def compare_plans(
    plan: Annotated[dict[str, Any], Field(description="Inline, or stored: {plan_id, version}.")],
    other: Annotated[
        dict[str, Any] | None, Field(description="What it is compared with; or give `change` instead.")
    ] = None,
    change: Annotated[
        str | None, Field(description='"+10%" multiplies all rates, "+1pt" adds points.', max_length=40)
    ] = None,
    sales: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=_SALES_MAX, description="As for calculate_commission; or give `period`."),
    ] = None,
    period: Annotated[str | None, Field(description="The stored sales of 2026-07, 2026-Q3.", max_length=40)] = None,
    context: Annotated[dict[str, Any] | None, Field(description="With `sales`: quota, ...")] = None,
    max_items: Annotated[int, Field(ge=1, le=100_000, description="Payees to return.")] = 50,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, Comparison]:
    """Compare what two plans, two versions, or a plan and a change of its rates pay over the same sales.

    Answers the difference for each payee and in total, and who gains and who loses; stores nothing.
    """
    question = _Question(exact_numbers(plan), exact_numbers(other), change, period)
    question.refuse_mixture(given=sales is not None)
    async with (await app.database()).writing(caller, read_only=True) as reading:
        form = {"sales": exact_numbers(sales), "context": exact_numbers(context or {})}
        pair = await question.read(reading, None if sales is None else form)
    first, second = await anyio.to_thread.run_sync(pair.outcomes)
    result = _compared(first, second, pair.told, max_items)
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two plans and the sales for them.

    Attributes:
        forms: Given sales as forms, one for each plan; or
        inputs: the sales of a period, read for each plan.
        shown: Whose figures may be shown; None for everybody's.
        told: Rates before and after, where all were changed.
    """

    plans: tuple[StoredPlan, StoredPlan]
    forms: tuple[object, object] | None
    inputs: tuple[RunInputs, RunInputs] | None
    shown: frozenset[str] | None
    told: Sequence[Mapping[str, str]]

    def outcomes(self) -> tuple[Outcome, Outcome]:
        """What each plan pays."""
        first, second = (self._outcome(index) for index in (0, 1))
        return only_for(first, self.shown), only_for(second, self.shown)

    def _outcome(self, index: int) -> Outcome:
        stored = self.plans[index]
        if self.forms is not None:
            parsed = parse_form(self.forms[index])
            return calculate(replace(stored.plan, name=parsed.plan.name), parsed.sales, parsed.situation)
        if self.inputs is None:
            raise TypeError("neither sales nor a period")
        inputs = self.inputs[index]
        settled = settle_period(inputs.plans, inputs.sales, inputs.period.span, inputs.withheld)
        return single_outcome(settled, stored)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, its numbers as text."""

    plan: object
    other: object
    change: str | None
    period: str | None

    def refuse_mixture(self, *, given: bool) -> None:
        """One thing to compare with, and one source of sales."""
        problems: list[Problem] = []
        if (self.other is None) == (self.change is None):
            fix = "Send the other plan, or what would change."
            problems.append(Problem(Code.FIELD_MISSING, "Give either `other` or `change`.", fix, "other"))
        if given == (self.period is not None):
            fix = 'Send sales, or `period`: "2026-07" to take those that are stored.'
            problems.append(Problem(Code.FIELD_MISSING, "Give either `sales` or `period`.", fix, "sales"))
        if problems:
            raise Refused(*problems)

    async def read(self, reading: Writing, form: Mapping[str, object] | None) -> _Pair:
        """Read plans and sales, as far as the caller may see them."""
        roles = SEE_ALL | {Role.PLAN_AUTHOR, Role.APPROVER}
        reading.admission.caller.require(*roles, Role.MANAGER)
        today = date.fromisoformat(reading.admission.today)
        period = None if self.period is None else await find_period(reading, self.period)
        shown = await visible_payees(reading, Period(today, today) if period is None else period.span, roles)
        first = await any_plan(reading, self.plan)
        second, told = await self._second(reading, first)
        if first.plan.currency != second.plan.currency:
            raise Refused(
                Problem(
                    Code.CURRENCY,
                    f"One plan pays {first.plan.currency}, the other {second.plan.currency}.",
                    "Compare plans of one currency.",
                    "other",
                )
            )
        if period is None:
            sources = (self.plan, self.plan if self.other is None else self.other)
            forms = [
                {**(form or {}), "plan": await definition(reading, stored) if stored.plan_id else source}
                for stored, source in zip((first, second), sources, strict=True)
            ]
            return _Pair((first, second), (forms[0], forms[1]), None, shown, told)
        inputs = [await _inputs(reading, period, stored) for stored in (first, second)]
        return _Pair((first, second), None, (inputs[0], inputs[1]), shown, told)

    async def _second(self, reading: Writing, first: StoredPlan) -> tuple[StoredPlan, list[dict[str, str]]]:
        if self.change is None:
            return await any_plan(reading, self.other, "other"), []
        plan = changed(first.plan, read_change(self.change))
        told = [
            {"rule": before.name, "before": _listed(rates(before)), "after": _listed(rates(after))}
            for before, after in zip(first.plan.rules, plan.rules, strict=True)
        ]
        return replace(first, plan=plan), told


async def _inputs(reading: Writing, period: CalendarPeriod, stored: StoredPlan) -> RunInputs:
    return await load_inputs(reading, period, versions=[stored])


def _listed(values: Iterable[Decimal]) -> str:
    return ", ".join(plain(value) for value in values)


def _compared(first: Outcome, second: Outcome, told: Sequence[Mapping[str, str]], max_items: int) -> Comparison:
    unit = minor_unit(first.currency)
    sums = [_by_payee(first), _by_payee(second)]
    payees = [(payee, sums[0].get(payee, ZERO), sums[1].get(payee, ZERO)) for payee in sorted({*sums[0], *sums[1]})]
    payees.sort(key=lambda row: (row[1] - row[2], row[0]))
    total = [round_money(sum(own.values(), ZERO), unit) for own in sums]
    difference = total[1] - total[0]
    problems = [
        {"plan": name, "code": str(p.code), "message": p.message, "fix": p.fix, "path": p.path}
        for name, outcome in (("plan", first), ("other", second))
        for p in outcome.problems
    ]
    percent = str((difference * HUNDRED / total[0]).quantize(_PERCENT)) if total[0] else ""
    return Comparison(
        currency=first.currency,
        totals={"plan": str(total[0]), "other": str(total[1]), "difference": str(difference), "percent": percent},
        payees=[
            {"payee": payee, "plan": str(before), "other": str(after), "difference": str(after - before)}
            for payee, before, after in payees[:max_items]
        ],
        gain=sum(after > before for _, before, after in payees),
        lose=sum(after < before for _, before, after in payees),
        same=sum(after == before for _, before, after in payees),
        rates=[dict(found) for found in told],
        unmatched={"plan": len(first.unmatched), "other": len(second.unmatched)},
        complete=first.complete and second.complete,
        problems=problems,
        truncated=len(payees) > max_items,
    )


def _by_payee(outcome: Outcome) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in outcome.lines:
        sums[line.payee] = sums.get(line.payee, ZERO) + line.amount
    return sums


def _text(result: Comparison) -> str:
    totals = result.totals
    percent = f" ({totals['percent']} %)" if totals["percent"] else ""
    counted = f"{result.gain} payees gain, {result.lose} lose, {result.same} stay as they are."
    parts = [f"{totals['plan']} -> {totals['other']} {result.currency}: {totals['difference']}{percent}. {counted}"]
    if not result.complete:
        parts.append("INCOMPLETE: something could not be calculated, see the problems.")
    parts += [f"{found['rule']}: {found['before']} -> {found['after']}" for found in result.rates]
    parts += [
        f"{row['payee']}: {row['plan']} -> {row['other']} ({row['difference']})"
        for row in result.payees[:_TEXT_LINES_MAX]
    ]
    if len(result.payees) > _TEXT_LINES_MAX:
        parts.append(f"... and {len(result.payees) - _TEXT_LINES_MAX} more payees")
    parts += [f"{p['plan']}: {p['code']}: {p['message']} {p['fix']}".rstrip() for p in result.problems]
    return "\n".join(parts)
