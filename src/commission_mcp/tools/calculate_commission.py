"""The `calculate_commission` tool: what a plan pays for given or real sales, with every step. It stores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, cast

import anyio.to_thread
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.arguments import exact_numbers
from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.caller import Role
from commission_mcp.domain.claims import period_text
from commission_mcp.domain.money import plain, settle
from commission_mcp.domain.outcome import Line, Outcome, Statement
from commission_mcp.domain.parsing import parse_form
from commission_mcp.domain.periods import Period
from commission_mcp.domain.settlement import settle_period
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs import RunInputs, StoredPlan, find_period, load_inputs
from commission_mcp.storage.runs.access import SEE_ALL, chosen, visible_payees
from commission_mcp.storage.runs.simulation import any_plan, only_for, single_outcome
from commission_mcp.storage.runs.versions import definition
from commission_mcp.storage.writing import Writing

ANNOTATIONS = ToolAnnotations(
    title="Calculate commission",
    read_only_hint=True,
    destructive_hint=False,
    idempotent_hint=True,
    open_world_hint=False,
)

_SEES_ALL = SEE_ALL | {Role.PLAN_AUTHOR, Role.APPROVER}
_SALES_MAX = 10_000
_SHOWN_MAX = 100  # lines, steps, ... of an answer, unless more are asked for
_TEXT_LINES_MAX = 25  # of each kind in the text block


class CalculationResult(BaseModel):
    """What is paid, and why. Amounts are exact text in `currency`."""

    total: str = Field(description="Sum of all lines.")
    currency: str
    complete: bool = Field(description="False when `problems` kept something from being calculated.")
    lines: list[Any] = Field(description="{payee, period, kind, rule, sale_id, base, rates, amount} each.")
    steps: list[str] = Field(description="Each piece of arithmetic.")
    statements: list[Any] = Field(
        description="{payee, period, earned, total, payable, carried, draw_balance, held} each."
    )
    unmatched: list[Any] = Field(description="Sales that earned nothing: {sale_id, amount, payee, reason} each.")
    problems: list[Any] = Field(description="{code, message, fix, path} each; W_ codes are warnings.")
    counts: dict[str, int] = Field(description="How many there are of each list, shown or not.")
    truncated: bool = Field(description="True when a list is longer than `max_items`.")


async def calculate_commission(
    plan: Annotated[
        dict[str, Any],
        Field(description="The plan: rules and what bends them, see above; or a stored one {plan_id, version}."),
    ],
    sales: Annotated[
        list[dict[str, Any]] | None,
        Field(
            max_length=_SALES_MAX, description="{amount, date, quantity, cost, payee, product, territory, ...} each."
        ),
    ] = None,
    period: Annotated[
        str | None, Field(description="Instead of `sales`: your client's sales of 2026-07, 2026-Q3, ...", max_length=40)
    ] = None,
    payee: Annotated[
        str | None, Field(description="Show this payee only; also who made sales that name nobody.", max_length=200)
    ] = None,
    context: Annotated[
        dict[str, Any] | None, Field(description="quota, target_incentive, measures, draw_balance, period, ...")
    ] = None,
    max_items: Annotated[int, Field(ge=1, le=100_000, description="Entries of each list to return.")] = _SHOWN_MAX,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, CalculationResult]:
    """Calculate what a commission plan pays for sales that you send, or for the real sales of a period; stores nothing.

    Send numbers as strings ("7.5", points: 5 is 5 %). A rule is Flat (`commission`), Tiered (each rate on its own
    part) or Slab (the rate reached, on everything), with `range_type` Amount, Quantity or Percentage of Quota, and
    `value_type` Percentage or Fixed Amount (with `fixed_basis` per_transaction, per_unit, per_period). A rule may add
    scope, component (rules of one component compete, components add up), accumulation, threshold, accelerators, cap,
    floor, client_tier_overrides, multipliers, gates, modifiers, columns (a matrix), holdback, payout_split, pool; the
    plan measures, draw, total_cap, spiffs, bonuses, overrides, base_salary, proration, clawback_schedule. A sale may
    add credits [{payee, share}], refund_of, events, currency with fx_rate. An unknown field or a wrong value is
    refused with the allowed ones.

    Example: plan {"currency": "USD", "calculation_schedule": "Monthly", "rules": [{"category_type": "Tiered",
    "range_type": "Amount", "value_type": "Percentage", "base_value": "Gross Revenue", "tiers": [{"from": "0", "to":
    "100000", "commission": "5"}, {"from": "100000", "to": null, "commission": "7.5"}]}]}, sales [{"amount": "180000",
    "date": "2026-07-03", "payee": "p1"}], context {"draw_balance": "0"} pays 11,000.00.
    """
    question = _Question(exact_numbers(plan), exact_numbers(sales), period, payee, _context(context, payee))
    question.refuse_mixture()
    database = await app.database()
    if sales is not None and "plan_id" not in plan:
        admission = await database.admit(caller)
        admission.caller.require(*_SEES_ALL, Role.MANAGER, Role.PAYEE)
        form = {"plan": question.plan, "sales": question.sales, "context": question.context}
        outcome, warnings = await anyio.to_thread.run_sync(_calculate, form)
    else:
        async with database.writing(caller, read_only=True) as reading:
            known = await question.read(reading)
        outcome, warnings = await anyio.to_thread.run_sync(known.outcome)
    result = _result(outcome, warnings, max_items)
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read for an answer.

    Attributes:
        form: The form of a stored plan with given sales; None for real ones.
        inputs: The real sales, and all that goes with them.
        shown: Whose figures may be shown; None for everybody's.
    """

    stored: StoredPlan
    form: object | None
    inputs: RunInputs | None
    shown: frozenset[str] | None

    def outcome(self) -> tuple[Outcome, tuple[Problem, ...]]:
        """What is paid, as far as the caller may see it."""
        if self.inputs is None:
            parsed = parse_form(self.form)
            parsed = replace(parsed, plan=replace(self.stored.plan, name=parsed.plan.name))
            return only_for(calculate(parsed.plan, parsed.sales, parsed.situation), self.shown), parsed.warnings
        inputs = self.inputs
        settlement = settle_period(inputs.plans, inputs.sales, inputs.period.span, inputs.withheld)
        return only_for(single_outcome(settlement, self.stored), self.shown), ()


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, its numbers as text."""

    plan: object
    sales: object
    period: str | None
    payee: str | None
    context: object

    def refuse_mixture(self) -> None:
        """Either sales with what is known beside them, or a period, for which all of that is stored."""
        if (self.sales is None) == (self.period is None):
            raise Refused(
                Problem(
                    Code.FIELD_MISSING if self.period is None else Code.FIELD_FORBIDDEN,
                    "Give either `sales` or `period`.",
                    'Send the sales, or `period`: "2026-07" to take those that are stored.',
                    "sales",
                )
            )
        beside = set(cast("dict[str, object]", self.context)) - {"payee", "only_payee"}
        if self.period is not None and beside:
            raise Refused(
                Problem(
                    Code.FIELD_FORBIDDEN,
                    f"With `period`, {', '.join(sorted(beside))[:80]} and all else is taken as it is stored.",
                    "Leave `context` out, or send the sales too.",
                    "context",
                )
            )

    async def read(self, reading: Writing) -> _Known:
        """Read what the answer needs, and what the caller may see of it."""
        if self.period is None:
            today = date.fromisoformat(reading.admission.today)
            visible = await visible_payees(reading, Period(today, today), _SEES_ALL)
            stored = await self._stored(reading, visible)
            mine = next(iter(visible)) if visible is not None and len(visible) == 1 else None
            context = {"payee": mine, **cast("dict[str, object]", self.context)} if mine else self.context
            form = {"plan": await definition(reading, stored), "sales": self.sales, "context": context}
            return _Known(stored, form, None, chosen(visible, self.payee))
        period = await find_period(reading, self.period)
        visible = await visible_payees(reading, period.span, _SEES_ALL)
        stored = await self._stored(reading, visible)
        shown = chosen(visible, self.payee)
        return _Known(stored, None, await load_inputs(reading, period, payees=shown, versions=[stored]), shown)

    async def _stored(self, reading: Writing, visible: frozenset[str] | None) -> StoredPlan:
        """The plan; those who see only themselves or a team see plans that are or were in force."""
        stored = await any_plan(reading, self.plan)
        if visible is not None and stored.status not in {"active", "superseded"}:
            raise Refused(
                Problem(
                    Code.ROLE_REQUIRED,
                    "With your roles you calculate with plans that are in force.",
                    'Name one: {"plan_id": ..., "version": ...}.',
                    "plan",
                )
            )
        return stored


def _context(context: Mapping[str, Any] | None, payee: str | None) -> object:
    stated = {} if payee is None else {"payee": payee, "only_payee": payee}
    return {**stated, **cast("dict[str, object]", exact_numbers(dict(context or {})))}


def _calculate(form: object) -> tuple[Outcome, tuple[Problem, ...]]:
    inputs = parse_form(form)
    return calculate(inputs.plan, inputs.sales, inputs.situation), inputs.warnings


def _result(outcome: Outcome, warnings: Sequence[Problem], max_items: int) -> CalculationResult:
    problems = (*outcome.problems, *warnings)
    counts = {
        "lines": len(outcome.lines),
        "steps": len(outcome.steps),
        "statements": len(outcome.statements),
        "unmatched": len(outcome.unmatched),
    }
    return CalculationResult(
        total=str(outcome.total),
        currency=outcome.currency,
        complete=outcome.complete,
        lines=[_line(line) for line in outcome.lines[:max_items]],
        steps=[step.text for step in outcome.steps[:max_items]],
        statements=[_statement(statement) for statement in outcome.statements[:max_items]],
        unmatched=[
            {"sale_id": miss.sale_id, "amount": plain(miss.amount), "payee": miss.payee, "reason": miss.reason}
            for miss in outcome.unmatched[:max_items]
        ],
        problems=[
            {"code": str(found.code), "message": found.message, "fix": found.fix, "path": found.path}
            for found in problems
        ],
        counts=counts,
        truncated=max(counts.values()) > max_items,
    )


def _line(line: Line) -> dict[str, str | None]:
    return {
        "payee": line.payee,
        "period": period_text(line.period),
        "kind": str(line.kind),
        "rule": line.rule,
        "sale_id": line.sale_id,
        "base": None if line.base is None else plain(settle(line.base)),
        "rates": line.rates,
        "amount": str(line.amount),
    }


def _statement(statement: Statement) -> dict[str, str]:
    return {
        "payee": statement.payee,
        "period": period_text(statement.period),
        "earned": str(statement.earned),
        "total": str(statement.total),
        "payable": str(statement.payable),
        "carried": str(statement.carried),
        "draw_balance": str(statement.draw_balance),
        "held": str(statement.held),
    }


def _text(result: CalculationResult) -> str:
    """The answer for hosts that show only text: the total, the arithmetic, and what is to be known."""
    incomplete = "" if result.complete else " INCOMPLETE, see the problems."
    parts = [f"Total {result.total} {result.currency}.{incomplete}"]
    parts += _shown(result.steps, "steps", result.counts["steps"])
    parts += [f"{found['code']}: {found['message']} {found['fix']}".rstrip() for found in result.problems]
    missed = [f"not paid: {miss['sale_id']} ({miss['amount']}): {miss['reason']}" for miss in result.unmatched]
    parts += _shown(missed, "sales not paid", result.counts["unmatched"])
    return "\n".join(parts)


def _shown(lines: Sequence[str], what: str, count: int) -> list[str]:
    more = count - _TEXT_LINES_MAX
    return [*lines[:_TEXT_LINES_MAX], *([f"... and {more} more {what}"] if more > 0 else [])]
