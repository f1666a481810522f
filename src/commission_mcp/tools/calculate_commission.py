"""The `calculate_commission` tool: what a plan pays for given sales, with every step. It stores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import anyio.to_thread
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.caller import Role
from commission_mcp.domain.ledger import period_text
from commission_mcp.domain.money import plain, settle
from commission_mcp.domain.outcome import Line, Outcome, Statement
from commission_mcp.domain.parsing import parse_form
from commission_mcp.domain.rules import NegativeBase, Rule
from commission_mcp.domain.sales import Sale
from commission_mcp.errors import Code, Problem, Refused

ANNOTATIONS = ToolAnnotations(
    title="Calculate commission",
    read_only_hint=True,
    destructive_hint=False,
    idempotent_hint=True,
    open_world_hint=False,
)

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
    statements: list[Any] = Field(description="{payee, period, earned, total, payable, carried, draw_balance} each.")
    unmatched: list[Any] = Field(description="Sales that earned nothing: {sale_id, amount, payee, reason} each.")
    problems: list[Any] = Field(description="{code, message, fix, path} each; W_ codes are warnings.")
    counts: dict[str, int] = Field(description="How many there are of each list, shown or not.")
    truncated: bool = Field(description="True when a list is longer than `max_items`.")


async def calculate_commission(
    plan: Annotated[dict[str, Any], Field(description="The plan: rules and what bends them, see above.")],
    sales: Annotated[
        list[dict[str, Any]],
        Field(
            max_length=_SALES_MAX, description="{amount, date, quantity, cost, payee, product, territory, ...} each."
        ),
    ],
    payee: Annotated[
        str | None, Field(description="Show this payee only; also who made sales that name nobody.", max_length=200)
    ] = None,
    context: Annotated[
        dict[str, Any] | None, Field(description="quota, target_incentive, draw_balance, base_before, period, ...")
    ] = None,
    max_items: Annotated[int, Field(ge=1, le=100_000, description="Entries of each list to return.")] = _SHOWN_MAX,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, CalculationResult]:
    """Calculate what a commission plan pays for sales that you send; nothing is read or stored.

    Send numbers as strings ("7.5", points: 5 is 5 %). A rule is Flat (`commission`), Tiered (each rate on its own
    part) or Slab (the rate reached, on everything), with `range_type` Amount, Quantity or Percentage of Quota, and
    `value_type` Percentage or Fixed Amount (with `fixed_basis` per_transaction, per_unit, per_period). A rule may add
    scope, component (rules of one component compete, components add up), accumulation, threshold, accelerators, cap,
    floor, client_tier_overrides, multipliers, gates, pool; the plan draw, total_cap, spiffs, bonuses, overrides,
    base_salary, proration, clawback_schedule. A sale may add credits [{payee, share}], refund_of, currency with
    fx_rate. An unknown field or a wrong value is refused with the allowed ones.

    Example: plan {"currency": "USD", "calculation_schedule": "Monthly", "rules": [{"category_type": "Tiered",
    "range_type": "Amount", "value_type": "Percentage", "base_value": "Gross Revenue", "tiers": [{"from": "0", "to":
    "100000", "commission": "5"}, {"from": "100000", "to": null, "commission": "7.5"}]}]}, sales [{"amount": "180000",
    "date": "2026-07-03", "payee": "p1"}], context {"draw_balance": "0"} pays 11,000.00.
    """
    admission = await (await app.database()).admit(caller)
    admission.caller.require(Role.ANALYST, Role.PLAN_AUTHOR, Role.FINANCE, Role.MANAGER, Role.ADMIN)
    form = {"plan": exact_numbers(plan), "sales": exact_numbers(sales), "context": _context(context, payee)}
    outcome, warnings = await anyio.to_thread.run_sync(_calculate, form)
    result = _result(outcome, warnings, max_items)
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


def exact_numbers(value: object) -> object:
    """JSON arguments with every float as text.

    The SDK reads a JSON number with a point as a binary float. Its shortest text, which `repr` gives, is the number
    that was sent, as long as that had at most 15 significant digits (7.1 -> "7.1"); longer ones are for strings.
    """
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: exact_numbers(item) for name, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [exact_numbers(item) for item in cast("list[object]", value)]
    return value


def _context(context: Mapping[str, Any] | None, payee: str | None) -> object:
    stated = {} if payee is None else {"payee": payee, "only_payee": payee}
    return {**stated, **cast("dict[str, object]", exact_numbers(dict(context or {})))}


def _calculate(form: object) -> tuple[Outcome, tuple[Problem, ...]]:
    inputs = parse_form(form)
    _refuse_carried_refunds(inputs.plan.rules, inputs.sales)
    return calculate(inputs.plan, inputs.sales, inputs.situation), inputs.warnings


def _refuse_carried_refunds(rules: Sequence[Rule], sales: Sequence[Sale]) -> None:
    """Refuse what the engine cannot pay right yet: it does not re-run the windows that an earlier one carried into."""
    carries = any(rule.negative_base is NegativeBase.CARRY for rule in rules)
    if carries and any(sale.refund_of is not None for sale in sales):
        raise Refused(
            Problem(
                Code.REFUND,
                "A refund of a named sale cannot be calculated together with `negative_base` `carry` yet.",
                "Use `first_band` or `zero`, or give the refund as a negative sale of its own period.",
                "sales",
            )
        )


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
