"""What can be imported: the columns of each kind of file, and what each of them means.

The same specification reads the files, builds the staging tables and writes the help, so the three cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import LiteralString, TypeAlias

from commission_mcp.storage.imports import cells
from commission_mcp.storage.imports.cells import Fault, Parser, Value


class Kind(StrEnum):
    """The kinds of rows that a file may hold."""

    SALES = "sales"
    PAYEES = "payees"
    TERRITORIES = "territories"
    PRODUCTS = "products"
    QUOTAS = "quotas"
    UOMS = "uoms"
    REPORTING_LINES = "reporting-lines"


class Refers(StrEnum):
    """What a cell names."""

    CURRENCY = "currency"
    TERRITORY = "territory"
    PRODUCT = "product"
    UOM = "uom"
    PAYEE = "payee"
    USER = "user"
    SALE = "sale"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file: its name, how its cells are read, and what it means."""

    name: LiteralString
    help: str
    parse: Parser = cells.text
    required: bool = False
    refers: Refers | None = None
    example: str = ""
    sql_type: LiteralString = "text"


Row: TypeAlias = Mapping[str, Value | None]
RowRule: TypeAlias = Callable[[Row], tuple[str, Fault] | None]


@dataclass(frozen=True, slots=True)
class Spec:
    """A kind of file.

    Attributes:
        key: The column that tells its rows apart.
        columns: What it may hold.
        rules: Over whole rows.
        default_key: The key of a row that states none, as an SQL expression over its columns.
    """

    kind: Kind
    key: LiteralString
    columns: tuple[Column, ...]
    rules: tuple[RowRule, ...] = ()
    default_key: LiteralString | None = None

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)


_number = partial(Column, parse=cells.number, sql_type="numeric")
_day = partial(Column, parse=cells.day, sql_type="date", example="2026-01-31")


def _ordered(first: str, last: str) -> RowRule:
    """The rule that one day is not before another."""

    def rule(row: Row) -> tuple[str, Fault] | None:
        start, end = row.get(first), row.get(last)
        if isinstance(start, str) and isinstance(end, str) and end < start:
            return last, Fault(f"{end} is before {first} {start}", f"write {first} or a later day")
        return None

    return rule


def _one_way_to_credit(row: Row) -> tuple[str, Fault] | None:
    if row.get("payee") and row.get("credits"):
        return "credits", Fault("payee and credits are both given", "give one of them and leave the other empty")
    return None


def _another_manager(row: Row) -> tuple[str, Fault] | None:
    if row.get("payee") and row.get("payee") == row.get("manager"):
        return "manager", Fault(f"{row['payee']} reports to himself", "name another payee")
    return None


def _reversal_is_negative(row: Row) -> tuple[str, Fault] | None:
    gross = row.get("gross")
    if row.get("reverses") and isinstance(gross, str) and not gross.startswith("-") and gross.strip("0."):
        return "gross", Fault(f"{gross} is above 0 in a row that reverses a sale", f"write -{gross}")
    return None


def _reverses_another(row: Row) -> tuple[str, Fault] | None:
    if row.get("reverses") and row["reverses"] == row.get("source_key"):
        return "reverses", Fault("the row reverses itself", "write the source_key of the sale that it takes back")
    return None


_SALES = Spec(
    Kind.SALES,
    key="source_key",
    rules=(_one_way_to_credit, _reversal_is_negative, _reverses_another),
    columns=(
        Column(
            "source_key",
            "Key of the line in the system that it comes from; it is imported once.",
            required=True,
            example="INV-1001-1",
        ),
        _day("sold_on", "Day of the sale in the client's time zone.", required=True),
        _number("gross", "Gross amount; negative for a refund.", required=True, example="1250.00"),
        Column(
            "currency",
            "Currency of the amounts, ISO 4217; the client's base currency by default.",
            refers=Refers.CURRENCY,
            example="USD",
        ),
        _number("net", "Net amount; the gross amount by default.", example="1000.00"),
        _number("cost", "Cost; empty when unknown. The margin is net less cost.", example="640.00"),
        _number("quantity", "Quantity; by default 1, or -1 where the gross amount is negative.", example="2"),
        _number("collected", "Cash collected for it; empty while unknown, and may follow later.", example="1000.00"),
        Column("uom", "Unit of measure: its code.", refers=Refers.UOM, example="Each"),
        Column("territory", "Territory: its key or its name.", refers=Refers.TERRITORY, example="North"),
        Column("product", "Product: its key or its name.", refers=Refers.PRODUCT, example="Product A"),
        Column("customer", "Customer.", example="Northwind Test Ltd"),
        Column(
            "object_type",
            "Invoices (by default), Contracts or Sales Orders.",
            parse=cells.choice("Invoices", "Contracts", "Sales Orders"),
            example="Invoices",
        ),
        Column(
            "payee",
            "Who is credited with all of the sale; nobody when both this and credits are empty.",
            refers=Refers.PAYEE,
            example="p1",
        ),
        Column(
            "credits",
            "Who shares the sale, as payee:fraction;payee:fraction; the fractions sum to exactly 1.",
            parse=cells.shares,
            refers=Refers.PAYEE,
            example="p1:0.5;p2:0.5",
        ),
        Column(
            "reverses",
            "source_key of the sale that this row takes back, in this file or imported before.",
            refers=Refers.SALE,
            example="INV-1000-1",
        ),
        Column("sale_id", "Key of the sale here; the source system and the source_key by default."),
    ),
)
_PAYEES = Spec(
    Kind.PAYEES,
    key="payee_id",
    rules=(_ordered("hired_on", "left_on"),),
    columns=(
        Column("payee_id", "Key of the payee.", required=True, example="p1"),
        Column("name", "Name.", required=True, example="Ada Example"),
        Column("email", "E-mail address.", example="ada@example.com"),
        Column("team", "Sales team.", example="North 1"),
        Column("job_role", "Job role.", example="Account Executive"),
        Column(
            "currency",
            "Currency the payee is paid in; the client's base currency by default.",
            refers=Refers.CURRENCY,
            example="USD",
        ),
        _day("hired_on", "First day of employment.", required=True),
        _day("left_on", "Last day of employment; empty while employed."),
        Column("bank_account", "Bank account."),
        Column("salary", "Yearly base salary.", parse=cells.not_negative, sql_type="numeric", example="60000"),
        Column("tax_id", "Tax number."),
        Column("user_id", "The user who is this payee, if any.", refers=Refers.USER),
    ),
)
_TERRITORIES = Spec(
    Kind.TERRITORIES,
    key="territory_id",
    columns=(
        Column("territory_id", "Key of the territory.", required=True, example="north"),
        Column("name", "Name, once per client.", required=True, example="North"),
        Column(
            "parent",
            "The territory above: its key or its name, in this file or imported before.",
            refers=Refers.TERRITORY,
        ),
    ),
)
_PRODUCTS = Spec(
    Kind.PRODUCTS,
    key="product_id",
    columns=(
        Column("product_id", "Key of the product.", required=True, example="product-a"),
        Column("name", "Name, once per client.", required=True, example="Product A"),
        Column(
            "parent",
            "The product group above: its key or its name, in this file or imported before.",
            refers=Refers.PRODUCT,
        ),
        Column(
            "commissionable",
            "Whether its sales pay commission; true by default.",
            parse=cells.flag,
            sql_type="boolean",
            example="true",
        ),
    ),
)
_QUOTAS = Spec(
    Kind.QUOTAS,
    key="source_key",
    rules=(_ordered("starts_on", "ends_on"),),
    columns=(
        Column("source_key", "Key of the quota in the system that it comes from.", required=True, example="Q-2026-1"),
        Column("payee", "The payee.", required=True, refers=Refers.PAYEE, example="p1"),
        Column("measure", "What is counted, such as Gross Revenue or Units.", required=True, example="Gross Revenue"),
        _day("starts_on", "First day.", required=True),
        _day("ends_on", "Last day.", required=True),
        Column(
            "amount", "The quota, above 0.", parse=cells.positive, required=True, sql_type="numeric", example="300000"
        ),
        Column(
            "currency", "Currency of a money quota; empty for a quota of units.", refers=Refers.CURRENCY, example="USD"
        ),
    ),
)
_UOMS = Spec(
    Kind.UOMS,
    key="uom",
    columns=(
        Column("uom", "Code of the unit of measure.", required=True, example="Each"),
        Column("name", "Name.", required=True, example="Each"),
    ),
)

_REPORTING_LINES = Spec(
    Kind.REPORTING_LINES,
    key="source_key",
    rules=(_ordered("valid_from", "valid_to"), _another_manager),
    columns=(
        Column("payee", "The payee who reports: the key.", required=True, refers=Refers.PAYEE, example="p1"),
        Column("manager", "The payee reported to: the key.", required=True, refers=Refers.PAYEE, example="p9"),
        _day("valid_from", "First day.", required=True),
        _day("valid_to", "Last day; empty when open."),
        Column("source_key", "Key of the line in the system that it comes from; payee@valid_from by default."),
    ),
    default_key="payee || '@' || to_char(valid_from, 'YYYY-MM-DD')",
)

SPECS: Mapping[Kind, Spec] = MappingProxyType(
    {spec.kind: spec for spec in (_SALES, _PAYEES, _TERRITORIES, _PRODUCTS, _QUOTAS, _UOMS, _REPORTING_LINES)}
)
COLUMNS: Mapping[Kind, tuple[Column, ...]] = MappingProxyType({kind: spec.columns for kind, spec in SPECS.items()})


def describe(kind: Kind) -> str:
    """The columns of a kind of file as a Markdown table, for help and documentation."""
    lines = ["| column | required | meaning | example |", "|---|---|---|---|"]
    for column in COLUMNS[kind]:
        required = "yes" if column.required else ""
        lines.append(f"| {column.name} | {required} | {column.help} | {column.example} |")
    return "\n".join(lines)
