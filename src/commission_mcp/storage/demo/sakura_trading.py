"""Sakura Trading: a small company in Japan. Yen have no smaller unit, and one flat rate is paid on every sale."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import MappingProxyType

from commission_mcp.storage.demo.clients import JP
from commission_mcp.storage.demo.company import Company, Product, Territory, customers
from commission_mcp.storage.demo.people import Team, staff
from commission_mcp.storage.demo.plans import Assignment, Plan, Rule, tiers

SAKURA_TRADING = Company(
    client=JP,
    territories=(
        Territory("jp-japan", "Japan"),
        Territory("jp-kanto", "Kanto", "jp-japan"),
        Territory("jp-kansai", "Kansai", "jp-japan"),
    ),
    products=(
        Product("jp-tea", "Tea Service", Decimal(48_000), 55, 60, 3),
        Product("jp-lacquer", "Lacquerware", Decimal(126_500), 60, 40, 2),
    ),
    uom=("Set", "Set"),
    people=staff(
        "jp",
        (
            Team(
                "Japan",
                "Haruka Mori",
                ("Kenji Aoki", "Mei Tanabe", "Ren Fujita", "Yui Okada"),
                ("jp-kanto", "jp-kansai"),
            ),
        ),
    ),
    customers=customers("Asagao Botan Fuji Hagi Kiku", "KK Shoten"),
    currencies=MappingProxyType({}),
    sales_a_month=5,
    plans=(
        Plan(
            "jp-plan-flat",
            "Flat 3 %",
            "3 % of net revenue.",
            "active",
            date(2024, 7, 1),
            date(2026, 12, 31),
            Rule("Revenue Target", "Flat", "Net Revenue", tiers((0, "3"))),
            (Assignment("jp-japan"),),
            "JPY",
            "APAC",
            "standard",
            "Set",
        ),
    ),
    pays_from=date(2025, 1, 1),
    salary_from=4_200_000,
)
