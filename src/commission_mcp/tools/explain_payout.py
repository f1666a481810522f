"""The `explain_payout` tool: why a payee's payout of a period is what it is, from the stored lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.money import HUNDRED, ZERO, plain
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.runs import CalendarPeriod, find_period
from commission_mcp.storage.runs.access import chosen, unknown_payee, visible_payees
from commission_mcp.storage.runs.statements import (
    PayeeStatement,
    StoredLine,
    load_statement,
    payee_name,
    period_before,
)
from commission_mcp.storage.writing import Writing

ANNOTATIONS = ToolAnnotations(
    title="Explain payout", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

_TEXT_LINES_MAX = 40


class Explanation(BaseModel):
    """Why a payout is what it is. Amounts are exact text."""

    payee: str
    name: str
    period: str
    status: str = Field(description="Of the payout: draft, approved, held or paid; none where nothing is paid.")
    complete: bool = Field(description="False when something could not be calculated.")
    totals: list[Any] = Field(description="{currency, earned, before, to_pay, carried} each.")
    payments: list[Any] = Field(description="What was paid: {amount, currency, paid_on, reference} each.")
    runs: list[Any] = Field(description="{run_id, kind, engine_version, started_at} each.")
    lines: list[Any] = Field(
        description="{sale_id, sold_on, customer, gross, credit_percent, plan, rule, kind, base, rate, amount,"
        " currency, parts, text} each, from the sale to the amount."
    )
    steps: list[str] = Field(description="The arithmetic of each rule as a whole.")
    unmatched: list[Any] = Field(description="The payee's sales that earned nothing: {sale_id, amount, reason} each.")
    not_yet_due: list[Any] = Field(description="{plan, amount, currency, reason} each.")
    compared: dict[str, Any] | None = Field(
        description="Against the period before: {period, totals, sales, base, by_plan}, each with before and now."
    )
    counts: dict[str, int]
    truncated: bool


async def explain_payout(
    period: Annotated[str, Field(description="Such as 2026-07.", min_length=1, max_length=40)],
    payee: Annotated[
        str | None, Field(description="payee_id; yourself where you leave it out.", max_length=200)
    ] = None,
    max_items: Annotated[int, Field(ge=1, le=10_000, description="Entries of each list to return.")] = 50,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, Explanation]:
    """Explain what a payee is paid for a period: sale, credit, rule, band, amount to the cent, and what changed.

    Reads the stored results of the last run. A payee may ask about himself, a manager about the own team. Before a
    period is run, `calculate_commission` with `period` shows what it would pay.
    """
    async with (await app.database()).writing(caller, read_only=True) as reading:
        when = await find_period(reading, period)
        visible = await visible_payees(reading, when.span)
        who = payee or await _myself(reading, visible)
        chosen(visible, who)
        name = await payee_name(reading, who)
        if name is None:
            raise unknown_payee(who)
        statement = await load_statement(reading, who, when.period_id)
        _require_run(when, statement)
        earlier = await period_before(reading, when)
        before = None if earlier is None else await load_statement(reading, who, earlier)
    compared = None if earlier is None or before is None or not before.runs else _compared(earlier, before, statement)
    result = _result(who, name, when, statement, compared, max_items)
    return CallToolResult(
        content=[TextContent(type="text", text=_text(result))], structured_content=result.model_dump()
    )


async def _myself(reading: Writing, visible: frozenset[str] | None) -> str:
    row = await reading.row(
        "SELECT payee_id FROM cm.payee WHERE client_id = %s AND user_id = %s",
        [reading.client_id, reading.admission.user_id],
    )
    if row is not None:
        return str(row[0])
    some = ", ".join(sorted(visible or ())[:10])
    raise Refused(
        Problem(
            Code.FIELD_MISSING,
            "You are no payee yourself, so say whose payout is meant.",
            f"Give `payee`{f', one of {some}' if some else ', a payee_id of the view payees'}.",
            "payee",
        )
    )


def _require_run(period: CalendarPeriod, statement: PayeeStatement) -> None:
    if not statement.runs:
        raise Refused(
            Problem(
                Code.NOT_FOUND,
                f"{period.period_id} has not been calculated.",
                "Finance runs it with `run_commissions`; `calculate_commission` with `period` and a stored plan shows"
                " what it would pay.",
                "period",
            )
        )


def _result(
    payee: str,
    name: str,
    period: CalendarPeriod,
    statement: PayeeStatement,
    compared: dict[str, Any] | None,
    max_items: int,
) -> Explanation:
    notes = {kind: [note for note in statement.notes if note.kind == kind] for kind in ("step", "unmatched", "not_due")}
    counts = {"lines": len(statement.lines)} | {kind: len(found) for kind, found in notes.items()}
    return Explanation(
        payee=payee,
        name=name,
        period=period.period_id,
        status=", ".join(sorted(set(statement.statuses))) or "none",
        complete=all(run.complete for run in statement.runs),
        totals=_totals(statement),
        payments=[
            {
                "amount": str(payment.amount),
                "currency": payment.currency,
                "paid_on": payment.paid_on.isoformat(),
                "reference": payment.reference,
            }
            for payment in statement.payments
        ],
        runs=[
            {"run_id": r.run_id, "kind": r.kind, "engine_version": r.engine_version, "started_at": r.started_at}
            for r in statement.runs
        ],
        lines=[_line(line) for line in statement.lines[:max_items]],
        steps=[note.message for note in notes["step"][:max_items]],
        unmatched=[
            {"sale_id": note.sale_id, "amount": _text_of(note.amount), "reason": note.message}
            for note in notes["unmatched"][:max_items]
        ],
        not_yet_due=[
            {"plan": n.plan_id, "amount": _text_of(n.amount), "currency": n.currency, "reason": n.message}
            for n in notes["not_due"][:max_items]
        ],
        compared=compared,
        counts=counts,
        truncated=max(counts.values()) > max_items,
    )


def _totals(statement: PayeeStatement) -> list[dict[str, str]]:
    earned = statement.earned
    return [
        {
            "currency": currency,
            "earned": str(earned.get(currency, ZERO)),
            "before": _before(statement, currency),
            "to_pay": str(statement.paid.get(currency, ZERO)),
            "carried": str(statement.carried.get(currency, ZERO)),
        }
        for currency in sorted({*earned, *statement.paid})
    ]


def _before(statement: PayeeStatement, currency: str) -> str:
    """What the payout holds beside the lines of the period: carried into it, earned before, or not due yet."""
    paid = statement.paid.get(currency, ZERO) + statement.carried.get(currency, ZERO)
    return str(paid - statement.earned.get(currency, ZERO))


def _line(line: StoredLine) -> dict[str, Any]:
    told = line.explanation
    return {
        "sale_id": line.sale_id,
        "sold_on": None if line.sold_on is None else line.sold_on.isoformat(),
        "customer": line.customer,
        "gross": None if line.gross is None else f"{plain(line.gross)} {line.sale_currency}",
        "credit_percent": None if line.share is None else plain(line.share * HUNDRED),
        "plan": f"{line.plan} (version {line.version})",
        "rule": told.get("rule"),
        "kind": line.kind,
        "base": plain(line.base),
        "rate": _text_of(line.rate),
        "amount": str(line.amount),
        "currency": line.currency,
        "parts": told.get("parts", []),
        "text": str(told.get("text", "")),
    }


def _text_of(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _compared(earlier: str, before: PayeeStatement, now: PayeeStatement) -> dict[str, Any]:
    """What changed against the period before: in total, in sales, and plan by plan."""
    return {
        "period": earlier,
        "totals": _changes(before.earned, now.earned),
        "sales": {"before": _sales(before), "now": _sales(now)},
        "base": _changes(_base(before), _base(now)),
        "by_plan": _changes(_by_plan(before), _by_plan(now)),
    }


def _changes(before: Mapping[str, Decimal], now: Mapping[str, Decimal]) -> list[dict[str, str]]:
    return [
        {
            "what": what,
            "before": plain(before.get(what, ZERO)),
            "now": plain(now.get(what, ZERO)),
            "change": plain(now.get(what, ZERO) - before.get(what, ZERO)),
        }
        for what in sorted({*before, *now})
    ]


def _sales(statement: PayeeStatement) -> int:
    return len({line.sale_id for line in statement.lines if line.sale_id is not None})


def _base(statement: PayeeStatement) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in statement.lines:
        if line.kind == "commission":
            sums[line.currency] = sums.get(line.currency, ZERO) + line.base
    return sums


def _by_plan(statement: PayeeStatement) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in statement.lines:
        what = f"{line.plan}: {line.kind}"
        sums[what] = sums.get(what, ZERO) + line.amount
    return sums


def _text(result: Explanation) -> str:
    parts = [f"{result.name} ({result.payee}), {result.period}, payout {result.status}:"]
    for total in result.totals:
        beside = "" if total["before"] in {"0", "0.00"} else f", carried in or not due {total['before']}"
        parts.append(
            f"earned {total['earned']} {total['currency']}{beside}, to pay {total['to_pay']},"
            f" carried {total['carried']}"
        )
    parts += [f"paid {p['amount']} {p['currency']} on {p['paid_on']}, {p['reference']}" for p in result.payments]
    if not result.complete:
        parts.append("INCOMPLETE: something could not be calculated in this run.")
    parts += _shown(result.steps, "steps")
    parts += _shown([_told(line) for line in result.lines], "lines")
    parts += [f"not paid: {miss['sale_id']} ({miss['amount']}): {miss['reason']}" for miss in result.unmatched]
    parts += [f"not yet due: {n['amount']} {n['currency']} ({n['plan']}): {n['reason']}" for n in result.not_yet_due]
    if result.compared is not None:
        changed = [*result.compared["totals"], *result.compared["by_plan"]]
        parts.append(f"Against {result.compared['period']}:")
        parts += [f"{c['what']}: {c['before']} -> {c['now']} ({c['change']})" for c in changed]
        sales = result.compared["sales"]
        parts.append(f"sales with lines: {sales['before']} -> {sales['now']}")
    return "\n".join(parts)


def _told(line: Mapping[str, Any]) -> str:
    sale = "" if line["sale_id"] is None else f"sale {line['sale_id']} of {line['sold_on']}, {line['gross']}: "
    return f"{sale}{line['plan']}: {line['text']}"


def _shown(lines: Sequence[str], what: str) -> list[str]:
    more = len(lines) - _TEXT_LINES_MAX
    return [*lines[:_TEXT_LINES_MAX], *([f"... and {more} more {what}"] if more > 0 else [])]
