"""What the demo's plans pay: for each month, each payee and each plan, the lines that sum to the payout.

A sale belongs to the plan whose assignment says most about it: territory and product before territory before product.
Its credited base, after splits and at the rate of the day, is summed over the month before the bands are applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from commission_mcp.storage.demo.arithmetic import Piece, pieces, rounded
from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.months import Month, month_of
from commission_mcp.storage.demo.plans import Assignment, Plan
from commission_mcp.storage.demo.rates import Exchange
from commission_mcp.storage.demo.selling import Sale

_PRECISION = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a result."""

    month: Month
    payee_id: str
    plan: Plan
    piece: Piece
    amount: Decimal
    sale_number: int | None


@dataclass(frozen=True, slots=True)
class _Credited:
    """What a payee is credited with from one sale."""

    sale_number: int
    base: Decimal


class _Matcher:
    """Finds the plan that a sale belongs to."""

    def __init__(self, company: Company) -> None:
        self._plans = [plan for plan in company.plans if plan.in_force]
        self._parents = {territory.territory_id: territory.parent_id for territory in company.territories}
        self._paid = {product.product_id for product in company.products if product.commissionable}

    def plan(self, sale: Sale) -> Plan | None:
        """The plan with the assignment that says most about a sale."""
        if sale.product_id not in self._paid:
            return None
        matches = (
            (_weight(assignment), plan)
            for plan in self._plans
            if plan.first <= sale.sold_on <= plan.last
            for assignment in plan.assignments
            if self._applies(assignment, sale)
        )
        return max(matches, key=lambda match: match[0], default=(0, None))[1]

    def _applies(self, assignment: Assignment, sale: Sale) -> bool:
        """Whether an assignment covers a sale, in its territory or one above."""
        if assignment.product_id not in {None, sale.product_id}:
            return False
        return assignment.territory_id in {None, sale.territory_id, self._parents[sale.territory_id]}


def _weight(assignment: Assignment) -> int:
    """How much an assignment says."""
    return (2 if assignment.territory_id is not None else 0) + (1 if assignment.product_id is not None else 0)


def lines(company: Company, sold: Iterable[Sale]) -> Iterator[Line]:
    """All lines of all months, in the order of months and payees."""
    grouped = _credited(company, sold)
    for month, payee_id, plan_key in sorted(grouped):
        plan = next(plan for plan in company.plans if (plan.plan_id, plan.version) == plan_key)
        yield from _payee_lines(company, month, payee_id, plan, grouped[month, payee_id, plan_key])


def _payee_lines(
    company: Company, month: Month, payee_id: str, plan: Plan, credited: list[_Credited]
) -> Iterator[Line]:
    """The lines of a payee under a plan: one for each sale under a flat rate, else one for each band."""
    if plan.rule.category_type == "Flat":
        found = [(piece, item.sale_number) for item in credited for piece in pieces(plan.rule, item.base)]
    else:
        with localcontext(prec=_PRECISION):
            base = sum((item.base for item in credited), Decimal(0))
        found = [(piece, None) for piece in pieces(plan.rule, base)]
    amounts = rounded([piece.exact for piece, _ in found], company.minor_units)
    for (piece, number), amount in zip(found, amounts, strict=True):
        yield Line(month, payee_id, plan, piece, amount, number)


def _credited(company: Company, sold: Iterable[Sale]) -> Mapping[tuple[Month, str, tuple[str, int]], list[_Credited]]:
    """What each payee is credited with under each plan in each month."""
    matcher, exchange = _Matcher(company), Exchange(company)
    grouped: dict[tuple[Month, str, tuple[str, int]], list[_Credited]] = defaultdict(list)
    with localcontext(prec=_PRECISION):
        for sale in sold:
            plan = matcher.plan(sale) if sale.sold_on >= company.pays_from else None
            if plan is None:
                continue
            month = month_of(sale.sold_on)
            base = _base(plan, sale)
            if plan.rule.base_value != "Units":
                base *= exchange.rate(sale.currency, month)
            for payee_id, _, share in sale.credits:
                grouped[month, payee_id, (plan.plan_id, plan.version)].append(_Credited(sale.number, base * share))
    return grouped


def _base(plan: Plan, sale: Sale) -> Decimal:
    """What a plan pays on, in the currency of the sale."""
    match plan.rule.base_value:
        case "Gross Revenue":
            return sale.gross
        case "Net Revenue":
            return sale.net
        case "Margin":
            return sale.net - sale.cost
        case _:
            return Decimal(sale.quantity)
