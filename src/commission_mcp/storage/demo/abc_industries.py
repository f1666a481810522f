"""ABC Industries: North America, USD, tiered plans. The company of the examples in the documentation."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from types import MappingProxyType

from commission_mcp.storage.demo.clients import ABC
from commission_mcp.storage.demo.company import Company, Product, Territory, customers
from commission_mcp.storage.demo.people import Team, staff
from commission_mcp.storage.demo.plans import Assignment, Plan, Rule, tiers

_plan = partial(Plan, currency="USD", region="North America", compliance_level="enterprise", uom="Each")
_everywhere = (Assignment("abc-north"), Assignment("abc-south"))
_revenue = partial(Rule, "Revenue Target", "Tiered", "Gross Revenue", range_type="Amount")

_PLANS = (
    _plan(
        "plan-core",
        "North America Core",
        "Marginal rates on the gross revenue of a month.",
        "superseded",
        date(2024, 7, 1),
        date(2024, 12, 31),
        _revenue(tiers((0, "4"), (100_000, "6"), (250_000, "9"))),
        _everywhere,
    ),
    _plan(
        "plan-core",
        "North America Core",
        "5 % of the gross revenue of a month up to 100,000, 7 % above it up to 250,000, 10 % above that.",
        "active",
        date(2025, 1, 1),
        date(2026, 12, 31),
        _revenue(tiers((0, "5"), (100_000, "7"), (250_000, "10"))),
        _everywhere,
        version=2,
    ),
    _plan(
        "plan-123",
        "Q3 Sales Incentives",
        "More for Product A in the North and Product B in the South.",
        "active",
        date(2025, 7, 1),
        date(2025, 9, 30),
        _revenue(tiers((0, "6"), (20_000, "8"), (60_000, "12"))),
        (
            Assignment("abc-north", "abc-product-a", "priority_1", 1),
            Assignment("abc-south", "abc-product-b", "standard", 100),
        ),
    ),
    _plan(
        "plan-growth-2026",
        "H2 2026 Growth Accelerator",
        "Higher top rate for the second half of 2026.",
        "submitted",
        date(2026, 7, 1),
        date(2026, 12, 31),
        _revenue(tiers((0, "5"), (100_000, "7.5"), (250_000, "10"), (500_000, "12"))),
        _everywhere,
    ),
    _plan(
        "plan-legacy-volume",
        "Legacy Volume Bonus",
        "Per unit; withdrawn before it took effect.",
        "withdrawn",
        date(2025, 1, 1),
        date(2025, 12, 31),
        Rule("Units Target", "Tiered", "Units", tiers((0, "2"), (100, "2.25")), "Quantity", "Fixed Amount", "per_unit"),
        (Assignment(product_id="abc-product-c"),),
        assignee_type="Product",
    ),
)

ABC_INDUSTRIES = Company(
    client=ABC,
    territories=(
        Territory("abc-north", "North"),
        Territory("abc-south", "South"),
        Territory("abc-ny", "New York", "abc-north"),
        Territory("abc-il", "Illinois", "abc-north"),
        Territory("abc-ma", "Massachusetts", "abc-north"),
        Territory("abc-wa", "Washington", "abc-north"),
        Territory("abc-tx", "Texas", "abc-south"),
        Territory("abc-fl", "Florida", "abc-south"),
        Territory("abc-ga", "Georgia", "abc-south"),
    ),
    products=(
        Product("abc-equipment", "Equipment"),
        Product("abc-services", "Services"),
        Product("abc-product-a", "Product A", Decimal("1180.00"), 58, 34, 3, "abc-equipment"),
        Product("abc-product-b", "Product B", Decimal("2450.00"), 62, 26, 2, "abc-equipment"),
        Product("abc-product-c", "Product C", Decimal("145.50"), 55, 20, 12, "abc-equipment"),
        Product("abc-support", "Support Plan", Decimal("890.00"), 30, 14, 2, "abc-services"),
        Product("abc-shipping", "Shipping", Decimal("85.00"), 100, 6, 1, "abc-services", commissionable=False),
    ),
    uom=("Each", "Each"),
    people=staff(
        "abc",
        (
            Team(
                "North 1",
                "Grace Holloway",
                ("Aaron Whitfield", "Bianca Torres", "Caleb Nakamura", "Dana Okafor", "Elliot Marsh"),
                ("abc-ny", "abc-ma"),
                "Priya Raman",
            ),
            Team(
                "North 2",
                "Marcus Bell",
                ("Fiona Gallagher", "Gavin Stone", "Hana Kovacs", "Isaac Romero", "Jade Whitaker"),
                ("abc-il", "abc-wa"),
            ),
            Team(
                "South 1",
                "Lorena Vasquez",
                ("Kyle Brennan", "Lila Haddad", "Mateo Cruz", "Nina Petrov", "Owen Fairchild"),
                ("abc-tx",),
                "Theo Lindqvist",
            ),
            Team(
                "South 2",
                "Dwight Carver",
                ("Paige Sutton", "Quentin Moore", "Rosa Delgado", "Simon Achebe"),
                ("abc-fl", "abc-ga"),
            ),
        ),
    ),
    customers=customers("Alder Birch Cedar Dogwood Elm Fir Hickory Juniper Laurel Maple", "Works Supply Group Labs"),
    currencies=MappingProxyType({}),
    sales_a_month=81,
    plans=_PLANS,
    pays_from=date(2024, 7, 1),
    salary_from=48_000,
)
