"""Meridian Europe: EMEA, EUR with sales in GBP and CHF, a slab plan on margin and a plan per unit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from types import MappingProxyType

from commission_mcp.storage.demo.clients import EMEA
from commission_mcp.storage.demo.company import Company, Product, Territory, customers
from commission_mcp.storage.demo.people import Team, staff
from commission_mcp.storage.demo.plans import Assignment, Plan, Rule, tiers

_plan = partial(Plan, currency="EUR", region="EMEA", compliance_level="standard", uom="Stück")
_regions = ("emea-dach", "emea-nordics", "emea-uki")

_PLANS = (
    _plan(
        "emea-plan-margin",
        "Margin Partnership",
        "One rate on the whole margin of a month; the rate rises with it.",
        "active",
        date(2025, 7, 1),
        date(2026, 12, 31),
        Rule("Margin Target", "Slab", "Margin", tiers((0, "6"), (15_000, "8"), (40_000, "11")), "Amount"),
        tuple(Assignment(region) for region in _regions),
    ),
    _plan(
        "emea-plan-units",
        "Sensor Kit Units",
        "2.00 EUR a kit up to 100 in a month, 2.25 EUR for each above.",
        "active",
        date(2025, 7, 1),
        date(2026, 12, 31),
        Rule(
            "Units Target", "Tiered", "Units", tiers((0, "2.00"), (100, "2.25")), "Quantity", "Fixed Amount", "per_unit"
        ),
        tuple(Assignment(region, "emea-sensor-kit") for region in _regions),
    ),
)

MERIDIAN_EUROPE = Company(
    client=EMEA,
    territories=(
        Territory("emea-dach", "DACH"),
        Territory("emea-nordics", "Nordics"),
        Territory("emea-uki", "UK and Ireland"),
        Territory("emea-de", "Deutschland", "emea-dach"),
        Territory("emea-at", "Österreich", "emea-dach"),
        Territory("emea-ch", "Schweiz", "emea-dach"),
        Territory("emea-se", "Sverige", "emea-nordics"),
        Territory("emea-fi", "Suomi", "emea-nordics"),
        Territory("emea-gb", "Great Britain", "emea-uki"),
        Territory("emea-ie", "Ireland", "emea-uki"),
    ),
    products=(
        Product("emea-platform", "Meridian Platform", Decimal("2140.00"), 52, 40, 2),
        Product("emea-gateway", "Gateway", Decimal("760.00"), 61, 30, 4),
        Product("emea-sensor-kit", "Sensor Kit", Decimal("38.90"), 70, 30, 24),
    ),
    uom=("Stück", "Stück"),
    people=staff(
        "emea",
        (
            Team(
                "DACH",
                "Annika Brandt",
                ("Benedikt Huber", "Clara Winkler", "Dominik Frei", "Eva Lindner"),
                ("emea-de", "emea-at", "emea-ch"),
                "Felix Sommer",
            ),
            Team(
                "Nordics",
                "Gustav Ekström",
                ("Helmi Laine", "Ingrid Solberg", "Jari Korhonen", "Karin Åkesson"),
                ("emea-se", "emea-fi"),
            ),
            Team(
                "UK and Ireland",
                "Liam Doherty",
                ("Megan Pryce", "Niall Byrne", "Olivia Thorne", "Peter Hale"),
                ("emea-gb", "emea-ie"),
            ),
        ),
    ),
    customers=customers("Adler Birke Fjord Granit Heide Insel Kiefer Loch", "GmbH AB Oy Ltd"),
    currencies=MappingProxyType({"emea-gb": "GBP", "emea-ch": "CHF"}),
    sales_a_month=42,
    plans=_PLANS,
    pays_from=date(2025, 7, 1),
    salary_from=42_000,
)
