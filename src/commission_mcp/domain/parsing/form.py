"""The whole form: `{"plan": {...}, "sales": [...], "context": {...}}`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from commission_mcp.domain.money import HUNDRED, ONE, ZERO, exact
from commission_mcp.domain.parsing.parts import (
    read_facts,
    read_figures,
    read_labels,
    read_period,
    read_share,
    read_span,
)
from commission_mcp.domain.parsing.payout_form import payouts_of_sale, read_events
from commission_mcp.domain.parsing.plan_form import read_plan
from commission_mcp.domain.parsing.reader import Collected, Reader
from commission_mcp.domain.periods import period_of
from commission_mcp.domain.plan import Plan
from commission_mcp.domain.rules import Accumulation
from commission_mcp.domain.sales import Adjustment, Clawback, Credit, Sale, Situation
from commission_mcp.errors import Code, Problem, Refused

SALES_MAX = 100_000
_CREDIT_SLACK = Decimal("0.0002")  # three times 33.33 % is a whole sale to everybody but a computer


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a form holds.

    Attributes:
        warnings: What was accepted, and how it was understood.
    """

    plan: Plan
    sales: tuple[Sale, ...]
    situation: Situation
    warnings: tuple[Problem, ...]


def parse_form(form: object) -> Inputs:
    """Everything of a form, for `calculate`.

    Args:
        form: JSON whose numbers are integers or texts; see `money.loads`.

    Raises:
        Refused: with every problem, each with its path.
    """
    with exact():
        collected = Collected()
        reader = Reader(form, "", collected)
        currency = _common_currency(reader.raw("sales"))
        plan_reader = reader.one("plan")
        if plan_reader is None:
            reader.missing("plan", 'Send {"plan": {...}, "sales": [...], "context": {...}}.')
        plan = None if plan_reader is None else read_plan(plan_reader, currency)
        sales = tuple(_read_sales(reader, plan))
        context = reader.one("context")
        situation = Situation() if context is None else _read_context(context)
        reader.finish()
        _check_sales(reader, sales)
        _check_dates(reader, sales, situation)
        if plan is not None and plan_reader is not None and not plan_reader.has("calculation_schedule"):
            _warn_periods(plan_reader, plan, sales)
        if collected.problems or plan is None:
            raise Refused(*collected.problems)
        return Inputs(plan, sales, situation, tuple(collected.warnings))


def _common_currency(sales: object) -> str | None:
    """The currency of all sales that name one, where there is only one."""
    if not isinstance(sales, list):
        return None
    rows = [cast("dict[str, object]", row) for row in cast("list[object]", sales) if isinstance(row, dict)]
    named = {row.get("currency") for row in rows if isinstance(row.get("currency"), str)}
    only = named.pop() if len(named) == 1 else None
    return only if isinstance(only, str) else None


def _read_sales(reader: Reader, plan: Plan | None) -> Iterator[Sale]:
    rows = reader.many("sales", SALES_MAX)
    width = len(str(len(rows)))
    for index, row in enumerate(rows):
        yield _read_sale(row, index, f"#{index + 1:0{width}d}", plan)


def _read_sale(row: Reader, index: int, default_id: str, plan: Plan | None) -> Sale:
    sale = Sale(
        sale_id=row.text("sale_id") or default_id,
        date=row.day("date"),
        amount=row.amount("amount", negative=True),
        gross=row.amount("gross", negative=True),
        net=row.amount("net", negative=True),
        cost=row.amount("cost", negative=True),
        margin=row.amount("margin", negative=True),
        bookings=row.amount("bookings", negative=True),
        cash=row.amount("cash", negative=True),
        quantity=row.amount("quantity", negative=True),
        discount_percent=row.factor("discount_percent"),
        fx_rate=_read_fx(row, plan),
        labels=read_labels(row),
        credits=_read_credits(row),
        refund_of=row.text("refund_of"),
        events=read_events(row),
        payouts=payouts_of_sale(row),
        position=index,
    )
    row.ignore("uom", "description")
    row.finish()
    if not any(row.has(name) for name in ("amount", "gross", "net", "margin", "bookings", "cash", "quantity")):
        row.missing("amount", "Give the sale's amount, or its gross, net, bookings, cash, margin or quantity.")
    return sale


def _read_fx(row: Reader, plan: Plan | None) -> Decimal:
    rate, currency = row.factor("fx_rate"), row.text("currency")
    if rate == ZERO:
        row.refuse(Code.FX, "fx_rate", "The rate is 0.", "Give the plan's currency for one unit of the sale's.")
    foreign = plan is not None and currency is not None and currency != plan.currency
    if plan is not None and foreign and not row.has("fx_rate"):
        row.refuse(
            Code.FX,
            "fx_rate",
            f"The sale is in {str(currency)[:20]}, the plan in {plan.currency}, and there is no rate.",
            f"Give `fx_rate`: {plan.currency} for one unit of the sale's currency on its date.",
        )
    if plan is not None and not foreign and rate not in {None, ONE} and currency is not None:
        row.refuse(Code.FX, "fx_rate", "The sale is in the plan's own currency.", "Leave `fx_rate` out.")
    return rate or ONE


def _read_credits(row: Reader) -> tuple[Credit, ...]:
    """`payee` for a full credit, or `credits`: [{payee, share}] in points or fractions, or [{payee, weight}]."""
    single = row.text("payee")
    rows = row.many("credits")
    if not rows:
        return () if single is None else (Credit(single),)
    row.forbid("payee", "`credits` say who is credited.")
    stated = [(item.text("payee"), read_share(item, "share"), item.factor("weight")) for item in rows]
    for item, (payee, _, _) in zip(rows, stated, strict=True):
        if payee is None and not item.has("payee"):
            item.missing("payee", "Name who is credited.")
        if item.has("share") == item.has("weight"):
            item.missing("share", 'Give `share` in points ("50") or as a fraction ("1/3"), or `weight` for all.')
        item.finish()
    weights = sum((weight for _, _, weight in stated if weight is not None), ZERO)
    found = [
        Credit(payee, weight / weights if weight is not None and weights else share or ZERO)
        for payee, share, weight in stated
        if payee is not None
    ]
    _check_credits(row, rows, found)
    return tuple(found)


def _check_credits(row: Reader, rows: Sequence[Reader], found: Sequence[Credit]) -> None:
    if len({credit.payee for credit in found}) < len(found):
        row.refuse(Code.DUPLICATE, "credits", "A payee is credited twice.", "Add the shares up.")
    if len({item.has("weight") for item in rows}) > 1:
        row.refuse(Code.FIELD_FORBIDDEN, "credits", "Some have a share, others a weight.", "Use one of them for all.")
    total = sum((credit.share for credit in found), ZERO)
    if total == ONE / HUNDRED and all(credit.share < total for credit in found):
        row.refuse(
            Code.NUMBER,
            "credits",
            "The shares add up to 1 %, so they seem to be parts of 1.",
            'Write points ("60" and "40") or fractions ("3/5" and "2/5").',
        )
    elif any(credit.share > ONE for credit in found):
        row.refuse(Code.NUMBER, "credits", "A share is above 100 %.", "Shares are points of the sale, 0 to 100.")
    elif abs(total - ONE) > _CREDIT_SLACK:
        row.warn(
            Code.CREDIT_TOTAL,
            "credits",
            f"The credits add up to {total * 100:.4f} %.",
            "Fine for full credits beside each other; correct it when the sale is to be split.",
        )


def _read_context(reader: Reader) -> Situation:
    situation = Situation(
        payee=reader.text("payee") or "payee",
        only_payee=reader.text("only_payee"),
        period=read_period(reader, "period"),
        quotas=read_facts(reader, "quota"),
        targets=read_facts(reader, "target_incentive"),
        bases_before=read_facts(reader, "base_before"),
        attainments=read_facts(reader, "attainment"),
        draw_balances=read_facts(reader, "draw_balance"),
        parents=_read_parents(reader),
        clawbacks=tuple(_read_clawback(row) for row in reader.many("clawbacks")),
        adjustments=tuple(_read_adjustment(row) for row in reader.many("adjustments")),
        figures=read_figures(reader, "measures"),
        managers=_read_managers(reader),
    )
    situation = _read_activity(reader, situation)
    reader.finish()
    return situation


def _read_activity(reader: Reader, situation: Situation) -> Situation:
    """`active`: {from, to}, either may be absent; or `proration`: {active_days, period_days}."""
    inner = reader.one("active")
    if inner is not None:
        if inner.has("from") and inner.has("to"):
            span = read_span(inner)
            situation = situation if span is None else replace(situation, active_from=span.start, active_to=span.end)
        else:
            situation = replace(situation, active_from=inner.day("from"), active_to=inner.day("to"))
            inner.finish()
    inner = reader.one("proration")
    if inner is None:
        return situation
    active, whole = inner.amount("active_days"), inner.amount("period_days")
    inner.finish()
    if active is None or whole is None or whole == ZERO or active > whole:
        inner.missing("active_days", "Give `active_days` and `period_days`, the former not above the latter.")
        return situation
    return replace(situation, active_share=active / whole)


def _read_managers(reader: Reader) -> dict[str, str]:
    """`reports_to`: {"rep": "manager", "manager": "director"}."""
    stated = reader.mapping("reports_to")
    managers = {payee: manager for payee, manager in stated.items() if isinstance(manager, str)}
    if len(managers) < len(stated):
        reader.refuse(Code.FIELD_TYPE, "reports_to", "Not all managers are texts.", 'Send {"rep": "manager"}.')
    return managers


def _read_parents(reader: Reader) -> dict[str, dict[str, str]]:
    """`parents`: {"territory": {"North-East": "North"}}."""
    parents: dict[str, dict[str, str]] = {}
    inner = reader.one("parents")
    for name in [] if inner is None else inner.names():
        pairs = {} if inner is None else inner.mapping(name)
        parents[name] = {child: parent for child, parent in pairs.items() if isinstance(parent, str)}
        if len(parents[name]) < len(pairs):
            reader.refuse(Code.FIELD_TYPE, f"parents.{name}"[:80], "Not all parents are texts.", "Send child: parent.")
    return parents


def _read_clawback(row: Reader) -> Clawback:
    earned = row.amount("earned")
    clawback = Clawback(
        earned or ZERO,
        row.text("payee"),
        row.factor("percentage"),
        row.amount("elapsed"),
        row.amount("term"),
        row.text("reason") or "clawback",
        row.day("date"),
    )
    row.finish()
    if not row.has("earned"):
        row.missing("earned", "Give the commission that was paid for the lost sale.")
    if clawback.term == ZERO:
        row.refuse(Code.NUMBER, "term", "The term is 0.", "Give the term over which the commission is earned.")
    return clawback


def _read_adjustment(row: Reader) -> Adjustment:
    amount = row.amount("amount", negative=True)
    adjustment = Adjustment(amount or ZERO, row.text("payee"), row.text("reason") or "adjustment", row.day("date"))
    row.finish()
    if not row.has("amount"):
        row.missing("amount", "Give the amount; negative takes back.")
    return adjustment


def _check_sales(reader: Reader, sales: Sequence[Sale]) -> None:
    """Keys are unique, and a refund names a sale of the list."""
    by_id: dict[str, Sale] = {}
    for sale in sales:
        if sale.sale_id in by_id:
            reader.refuse(
                Code.DUPLICATE,
                f"sales[{sale.position}].sale_id",
                f"{sale.sale_id!r} is there twice.",
                "Send each sale once.",
            )
        by_id.setdefault(sale.sale_id, sale)
    for sale in sales:
        if sale.refund_of is not None:
            _check_refund(reader, sale, by_id.get(sale.refund_of))


def _check_refund(reader: Reader, refund: Sale, original: Sale | None) -> None:
    path = f"sales[{refund.position}]"
    if original is None or original.refund_of is not None:
        reader.refuse(
            Code.REFUND,
            f"{path}.refund_of",
            f"{refund.refund_of!r} is no sale of this list, and a refund pays what a world without it would have paid.",
            "Send the original sale too, or leave `refund_of` out to count a negative sale on its own date.",
        )
    stated = (refund.amount, refund.gross, refund.net, refund.bookings, refund.cash, refund.margin, refund.quantity)
    if any(figure is not None and figure > ZERO for figure in stated):
        reader.refuse(Code.REFUND, path, "A refund's figures are negative.", "Send what is taken back as negative.")


def _warn_periods(reader: Reader, plan: Plan, sales: Sequence[Sale]) -> None:
    """Say that the bands begin anew every month, where nobody asked for it."""
    resets = [rule.name for rule in plan.rules if rule.accumulation is Accumulation.PERIOD]
    periods = {period_of(sale.date, plan.schedule).start for sale in sales if sale.date is not None}
    if resets and len(periods) > 1:
        reader.warn(
            Code.SEVERAL_PERIODS,
            "calculation_schedule",
            f"The sales lie in {len(periods)} months, and each month is calculated by itself.",
            "State `calculation_schedule`, or `accumulation` in the rules when sales are to be summed for longer.",
        )


def _check_dates(reader: Reader, sales: Sequence[Sale], situation: Situation) -> None:
    undated = [sale for sale in sales if sale.date is None]
    if undated and len(undated) < len(sales):
        reader.refuse(
            Code.DATE,
            f"sales[{undated[0].position}].date",
            "Some sales have a date and this one has none.",
            "Date all of them, or none when all belong to one period.",
        )
    if (situation.active_from or situation.active_to) and situation.period is None and (undated or not sales):
        reader.refuse(
            Code.FIELD_MISSING,
            "context.period",
            "To prorate, the period must be known, and the sales have no dates.",
            "Give `context.period`, such as 2026-07.",
        )
