"""The rows of a demo company, table by table, in an order in which every row finds what it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import LiteralString, TypeAlias

from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.months import CALENDAR_TO, SALES_FROM, half_open, months, status
from commission_mcp.storage.demo.plans import canonical
from commission_mcp.storage.demo.rates import rates
from commission_mcp.storage.demo.selling import Sale

Cell: TypeAlias = str | int | Decimal | bytes | bool | list[str] | None

SOURCE_SYSTEM = "erp"
_UNPAID_ONE_IN = 25  # sales


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table, without the client, which is the same in all of them.

    Attributes:
        table: The table.
        columns: The columns that are written, but for client_id.
        rows: The values.
        may_exist: Whether some of the rows may be there already, which then stay as they are.
    """

    table: LiteralString
    columns: tuple[LiteralString, ...]
    rows: Iterable[tuple[Cell, ...]]
    may_exist: bool = False


def masters(company: Company) -> Iterator[Rows]:
    """What does not depend on sales."""
    yield _users(company)
    yield from _settings(company)
    yield Rows("uom", ("uom", "name"), (company.uom,))
    yield _territories(company)
    yield _products(company)
    yield _payees(company)
    yield _reporting(company)
    yield _periods()
    yield _quotas(company)
    yield _rates(company)


def sold(company: Company, made: tuple[Sale, ...]) -> Iterator[Rows]:
    """The sales and their credits."""
    prefix = company.client.prefix
    columns: tuple[LiteralString, ...] = (
        "sale_id",
        "source_system",
        "source_key",
        "object_type",
        "reverses_sale_id",
        "sold_on",
        "territory_id",
        "product_id",
        "customer",
        "quantity",
        "uom",
        "gross",
        "net",
        "cost",
        "collected",
        "currency",
    )
    yield Rows("sale", columns, (_sale(company, sale) for sale in made))
    yield Rows(
        "credit",
        ("sale_id", "payee_id", "credit_role", "share"),
        ((sale_id(prefix, sale.number), *credit) for sale in made for credit in sale.credits),
    )


def sale_id(prefix: str, number: int) -> str:
    """The key of a sale."""
    return f"{prefix}-s-{number:06}"


def _sale(company: Company, sale: Sale) -> tuple[Cell, ...]:
    prefix = company.client.prefix
    reverses = None if sale.reverses is None else sale_id(prefix, sale.reverses)
    return (
        sale_id(prefix, sale.number),
        SOURCE_SYSTEM,
        f"{prefix.upper()}-{sale.number:06}",
        "Invoices",
        reverses,
        sale.sold_on.isoformat(),
        sale.territory_id,
        sale.product_id,
        sale.customer,
        sale.quantity,
        company.uom[0],
        sale.gross,
        sale.net,
        sale.cost,
        _collected(sale),
        sale.currency,
    )


def _collected(sale: Sale) -> Cell:
    """What the customer has paid: the net amount, but for a few who owe it still; a refund takes back what was paid."""
    owed = (sale.reverses or sale.number) % _UNPAID_ONE_IN == 0
    return Decimal(0) if owed else sale.net


def _users(company: Company) -> Rows:
    rows = ((user_id, "demo", user_id, list(roles)) for user_id, roles in company.client.users)
    return Rows("app_user", ("user_id", "issuer", "subject", "roles"), rows, may_exist=True)


def _settings(company: Company) -> Iterator[Rows]:
    """The client's own keys, policy and template."""
    yield Rows("override_key", ("override_key", "priority"), (("priority_1", 1), ("standard", 100)), may_exist=True)
    policy: list[tuple[Cell, ...]] = [
        ("manager_approval", "required", None, "approver"),
        ("finance_review", "automatic_below", Decimal(50_000), "finance"),
    ]
    if company.client.compliance_level == "enterprise":
        policy.append(("compliance_check", "required", None, "compliance"))
    columns: tuple[LiteralString, ...] = ("step", "requirement", "automatic_below", "deciding_role")
    yield Rows("approval_policy", columns, policy, may_exist=True)
    template = canonical({"currency": company.client.base_currency, "calculation_schedule": "Monthly"})
    description = f"Monthly, in {company.client.base_currency}."
    columns = ("template", "description", "definition")
    yield Rows("plan_template", columns, (("monthly", description, template),), may_exist=True)


def _territories(company: Company) -> Rows:
    rows = ((place.territory_id, place.parent_id, place.name) for place in company.territories)
    return Rows("territory", ("territory_id", "parent_id", "name"), rows)


def _products(company: Company) -> Rows:
    rows = ((one.product_id, one.parent_id, one.name, one.commissionable) for one in company.products)
    return Rows("product", ("product_id", "parent_id", "name", "commissionable"), rows)


def _payees(company: Company) -> Rows:
    """The payees; what is private in real life is visibly made up."""
    columns: tuple[LiteralString, ...] = (
        "payee_id",
        "user_id",
        "name",
        "email",
        "team",
        "job_role",
        "currency",
        "hired_on",
        "left_on",
        "bank_account",
        "salary",
        "tax_id",
    )
    rows: list[tuple[Cell, ...]] = []
    for number, person in enumerate(company.people, start=1):
        digits = int.from_bytes(hashlib.sha256(person.payee_id.encode()).digest()[:5]) % 10**10
        left = None if person.left_on is None else person.left_on.isoformat()
        email = f"{person.payee_id}@{company.client.client_id}.example.com"
        salary = company.salary_from + company.salary_from // 100 * (number * 7 % 60)
        rows.append(
            (
                person.payee_id,
                person.user_id,
                person.name,
                email,
                person.team,
                person.job_role,
                company.client.base_currency,
                person.hired_on.isoformat(),
                left,
                f"XX00 TEST {digits:010}",
                salary,
                f"TEST-{digits % 10**6:06}",
            )
        )
    return Rows("payee", columns, rows)


def _reporting(company: Company) -> Rows:
    rows = (
        (
            person.payee_id,
            person.manager_id,
            half_open(person.hired_on, person.left_on),
            f"{person.payee_id}@{person.hired_on.isoformat()}",
        )
        for person in company.people
        if person.manager_id is not None
    )
    return Rows("reports_to", ("payee_id", "manager_id", "valid", "source_key"), rows)


def _periods() -> Rows:
    """Months as far as they are; a quarter is closed when all of its months are paid."""
    calendar = list(months(SALES_FROM, CALENDAR_TO))
    rows: list[tuple[Cell, ...]] = [
        (month.period_id, "month", half_open(month.first, month.last), status(month)) for month in calendar
    ]
    for place in range(0, len(calendar), 3):
        quarter = calendar[place : place + 3]
        closed = all(status(month) == "paid" for month in quarter)
        name = f"{quarter[0].year}-Q{(quarter[0].number + 2) // 3}"
        span = half_open(quarter[0].first, quarter[-1].last)
        rows.append((name, "quarter", span, "closed" if closed else "open"))
    return Rows("period", ("period_id", "kind", "span", "status"), rows)


def _quotas(company: Company) -> Rows:
    """A quota of gross revenue for each seller and quarter, in proportion to what they usually sell."""
    usual = _usual_month(company)
    calendar = list(months(SALES_FROM, CALENDAR_TO))
    quarters = [(calendar[place], calendar[place + 2]) for place in range(0, len(calendar), 3)]
    rows = (
        (
            person.payee_id,
            "Gross Revenue",
            half_open(first.first, last.last),
            (usual * 3 * person.strength / 100).quantize(Decimal("1E3")),
            company.client.base_currency,
            f"{person.payee_id}/{first.period_id}",
        )
        for first, last in quarters
        for person in company.people
        if person.sells and person.employed(last.last)
    )
    return Rows("quota", ("payee_id", "measure", "span", "amount", "currency", "source_key"), rows)


def _usual_month(company: Company) -> Decimal:
    """What a seller of usual strength sells in a usual month."""
    weight = sum(product.weight for product in company.products)
    each = (product.price * product.weight * (1 + product.quantity_max) / 2 for product in company.products)
    return sum(each, Decimal(0)) / weight * company.sales_a_month


def _rates(company: Company) -> Rows:
    rows = (
        (rate.currency, company.client.base_currency, half_open(rate.month.first, rate.month.last), rate.rate)
        for rate in rates(company)
    )
    return Rows("fx_rate", ("from_currency", "to_currency", "span", "rate"), rows)
