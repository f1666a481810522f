"""An independent oracle: SQL over numeric, which knows nothing of the engine, pays the same to the cent.

The query states the table of what plans pay directly: sums of a window, bands cut by `least` and `greatest`, the rate
of the band reached, the column and the multiplier that the window's margin chooses, cumulative quantities by a window
function, and one `round(numeric, 2)` for each payee and period.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain.calculation import calculate
from commission_mcp.domain.parsing import parse_form
from commission_mcp.storage import administration

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from conftest import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.campaign]

FULL = os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full"
CASES = 100_000 if FULL else 1_500
BATCH = 5_000
SEED = 20261123

TABLES = """
CREATE TEMP TABLE o_case (id int PRIMARY KEY, category text, range_type text, pays text, boundary text,
  window_months int, quota numeric, threshold numeric, premium numeric, multiplier numeric, floor numeric, cap numeric);
CREATE TEMP TABLE o_band (id int, col int, band int, lo numeric, hi numeric, rate numeric);
CREATE TEMP TABLE o_column (id int, col int, lo numeric);
CREATE TEMP TABLE o_modifier (id int, place int, lo numeric, factor numeric);
CREATE TEMP TABLE o_sale (id int, seq int, month int, amount numeric, quantity numeric, share numeric, cost numeric)
"""
ORACLE = """
WITH month AS (SELECT DISTINCT id, month FROM o_sale),
known AS (  -- the sales of each window, as known at the end of each month
  SELECT m.id, m.month, s.seq, s.amount * s.share AS x, s.quantity * s.share AS q,
    CASE WHEN s.amount < 0 THEN -1 ELSE 1 END AS n, (s.amount - s.cost) * s.share AS g,
    sum(s.quantity * s.share) OVER (PARTITION BY m.id, m.month ORDER BY s.seq) AS upto
  FROM month m JOIN o_case c USING (id) JOIN o_sale s ON s.id = m.id AND s.month <= m.month
    AND (s.month - 1) / c.window_months = (m.month - 1) / c.window_months),
state AS (SELECT id, month, sum(x) AS x, sum(q) AS q, sum(n) AS n, sum(g) AS g FROM known GROUP BY 1, 2),
placed AS (
  SELECT c.*, s.month, s.x, s.q, s.n,
    -- The margin of the window chooses column and modifier: g * 100 / x >= lo, without a division.
    (SELECT max(k.col) FROM o_column k WHERE k.id = c.id
      AND (k.col = 0 OR (s.x <> 0 AND (s.g * 100 - k.lo * s.x) * sign(s.x) >= 0))) AS col,
    coalesce((SELECT k.factor FROM o_modifier k WHERE k.id = c.id
      AND (k.place = 0 OR (s.x <> 0 AND (s.g * 100 - k.lo * s.x) * sign(s.x) >= 0)) ORDER BY k.place DESC LIMIT 1), 1)
      AS modifier,
    CASE range_type WHEN 'Quantity' THEN s.q WHEN 'Percentage of Quota' THEN s.x * 100 / c.quota ELSE s.x END AS r,
    CASE pays WHEN 'per_unit' THEN s.q WHEN 'per_transaction' THEN s.n WHEN 'per_period' THEN 1 ELSE s.x END AS base
  FROM state s JOIN o_case c USING (id)),
earned AS (
  SELECT p.*, CASE
    WHEN category = 'Flat' THEN base * (SELECT rate FROM o_band b WHERE b.id = p.id AND b.col = p.col)
    WHEN category = 'Slab' THEN base * (SELECT rate FROM o_band b WHERE b.id = p.id AND b.col = p.col AND (b.band = 0
      OR CASE WHEN p.boundary = 'upper_inclusive' THEN b.lo < p.r ELSE b.lo <= p.r END) ORDER BY b.band DESC LIMIT 1)
    WHEN pays = 'per_period' THEN (SELECT sum(rate) FROM o_band b WHERE b.id = p.id AND b.col = p.col AND (b.band = 0
      OR CASE WHEN p.boundary = 'upper_inclusive' THEN b.lo < p.r ELSE b.lo <= p.r END))
    WHEN pays = 'per_transaction' THEN (SELECT sum((SELECT rate FROM o_band b
      WHERE b.id = p.id AND b.col = p.col AND (b.band = 0
        OR CASE WHEN p.boundary = 'upper_inclusive' THEN b.lo < k.upto ELSE b.lo <= k.upto END)
      ORDER BY b.band DESC LIMIT 1)) FROM known k WHERE k.id = p.id AND k.month = p.month)
    WHEN range_type = 'Quantity' AND pays = 'percentage' THEN (
      SELECT sum(k.x * b.rate * greatest(0, least(k.upto, b.hi) - greatest(k.upto - k.q, b.lo)) / k.q)
      FROM known k JOIN o_band b USING (id) WHERE k.id = p.id AND b.col = p.col AND k.month = p.month)
    ELSE (SELECT sum(b.rate * CASE WHEN b.band = 0 THEN least(base, b.hi * scale)
      ELSE greatest(0, least(base, b.hi * scale) - b.lo * scale) END) FROM o_band b WHERE b.id = p.id AND b.col = p.col)
    END * CASE WHEN pays = 'percentage' THEN 0.01 ELSE 1 END
    * modifier * CASE WHEN premium IS NOT NULL AND x > premium THEN multiplier ELSE 1 END AS amount
  FROM (SELECT *, CASE WHEN range_type = 'Percentage of Quota' THEN quota / 100 ELSE 1 END AS scale FROM placed) p),
limited AS (
  SELECT id, month, window_months, CASE WHEN threshold IS NOT NULL AND x < threshold THEN 0
    ELSE least(greatest(amount, coalesce(floor, amount)), coalesce(cap, greatest(amount, coalesce(floor, amount)))) END
    AS amount FROM earned),
rounded AS (SELECT id, month, window_months, round(amount, 2) AS amount FROM limited)
SELECT id, month, amount - coalesce(lag(amount) OVER (
  PARTITION BY id, (month - 1) / window_months ORDER BY month), 0) FROM rounded ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A random plan with sales, as a form and as rows of the oracle's tables."""

    form: dict[str, Any]
    case: tuple[Any, ...]
    bands: list[tuple[Any, ...]]
    columns: list[tuple[Any, ...]]
    modifiers: list[tuple[Any, ...]]
    sales: list[tuple[Any, ...]]


def amount(chance: random.Random, most: int) -> Decimal:
    return Decimal(chance.randrange(1, most * 100)) / 100


def tiers(chance: random.Random, range_type: str) -> list[tuple[Decimal, Decimal | None, Decimal]]:
    most = {"Amount": 6_000, "Quantity": 30, "Percentage of Quota": 200}[range_type]
    cuts = sorted(chance.sample(range(1, most), chance.randrange(0, 5)))
    edges = [Decimal(0), *map(Decimal, cuts)]
    return [
        (low, high, Decimal(chance.randrange(0, 2000)) / 100)
        for low, high in zip(edges, [*edges[1:], None], strict=True)
    ]


def made(number: int, chance: random.Random) -> Case:
    category = chance.choice(["Flat", "Slab", "Tiered", "Tiered"])
    range_type = "Amount" if category == "Flat" else chance.choice(["Amount", "Quantity", "Percentage of Quota"])
    pays = chance.choice(["percentage", "percentage", "per_unit", "per_transaction", "per_period"])
    if category == "Tiered" and pays in {"per_unit", "per_transaction"}:
        range_type = "Quantity"
    months = chance.choice([1, 1, 3])
    boundary = chance.choice(["upper_inclusive", "lower_inclusive"])
    bands = tiers(chance, range_type)[:1] if category == "Flat" else tiers(chance, range_type)
    if category == "Flat":
        bands = [(Decimal(0), None, bands[0][2])]
    quota = amount(chance, 5_000) + 1 if range_type == "Percentage of Quota" else None
    positive = range_type == "Quantity" or pays in {"per_unit", "per_transaction"}
    rule: dict[str, Any] = {"category_type": category, "base_value": "Gross Revenue", "boundary": boundary}
    rule["accumulation"] = {1: "calculation_period", 3: "quarter"}[months]
    rule |= (
        {"value_type": "Percentage"} if pays == "percentage" else {"value_type": "Fixed Amount", "fixed_basis": pays}
    )
    if category != "Flat":
        rule["range_type"] = range_type
    columns, rates = tabled(chance, rule, bands)
    modifiers = modified(chance, rule)
    threshold, premium, multiplier, floor, cap = limits(chance, rule, category, months)
    sales = sold(chance, positive=positive)
    form = {
        "plan": {
            "currency": "USD",
            "calculation_schedule": "Monthly",
            "rules": [rule],
            "measures": [{"name": "margin", "range_type": "Margin Percent"}],
        },
        "sales": [
            {
                "sale_id": f"s{seq:03}",
                "date": f"2026-{month:02}-{1 + seq % 28:02}",
                "amount": str(gross),
                "quantity": str(quantity),
                "cost": str(cost),
                "credits": [{"payee": "p", "share": str(share * 100)}],
            }
            for seq, month, gross, quantity, share, cost in sales
        ],
        "context": {} if quota is None else {"quota": str(quota)},
    }
    case = (number, category, range_type, pays, boundary, months, quota, threshold, premium, multiplier, floor, cap)
    return Case(
        form,
        case,
        [
            (number, col, place, low, high, rates[place][col])
            for place, (low, high, _) in enumerate(bands)
            for col in range(len(columns))
        ],
        [(number, col, lo) for col, lo in enumerate(columns)],
        [(number, *modifier) for modifier in modifiers],
        [(number, *sale) for sale in sales],
    )


def tabled(
    chance: random.Random, rule: dict[str, Any], bands: Sequence[tuple[Decimal, Decimal | None, Decimal]]
) -> tuple[list[int | None], list[list[Decimal]]]:
    """The columns of a rule, now and then more than one, and the rates of each band, one for each column."""
    columns: list[int | None] = [None, *sorted(chance.sample(range(1, 100), chance.randrange(1, 4)))]
    columns = columns if chance.random() < 0.3 else [None]
    # The first column has the table's own rates.
    rates = [[rate, *(Decimal(chance.randrange(0, 2000)) / 100 for _ in columns[1:])] for _, _, rate in bands]
    told = [[str(rate) for rate in row] if len(columns) > 1 else str(row[0]) for row in rates]
    if len(columns) > 1:
        rule["columns"] = {"measure": "margin", "from": [str(lo or 0) for lo in columns]}
    if rule["category_type"] == "Flat":
        rule["commission"] = told[0]
        del rule["boundary"]
    else:
        rule["tiers"] = [
            {"from": str(low), "to": None if high is None else str(high), "commission": value}
            for (low, high, _), value in zip(bands, told, strict=True)
        ]
    return columns, rates


def modified(chance: random.Random, rule: dict[str, Any]) -> list[tuple[int, int, Decimal]]:
    """Multipliers by margin, now and then: place, from where, and the multiplier."""
    if chance.random() > 0.2:
        return []
    cuts = [0, *sorted(chance.sample(range(1, 100), chance.randrange(0, 3)))]
    found = [(place, cut, Decimal(chance.randrange(0, 200)) / 100) for place, cut in enumerate(cuts)]
    ends = [*cuts[1:], None]
    tiers = [
        {"from": cut, "to": end, "multiplier": str(factor)} for (_, cut, factor), end in zip(found, ends, strict=True)
    ]
    rule["modifiers"] = [{"measure": "margin", "tiers": tiers}]
    return found


def limits(chance: random.Random, rule: dict[str, Any], category: str, months: int) -> tuple[Decimal | None, ...]:
    """A threshold, an uplift, a floor and a cap, now and then."""
    threshold = amount(chance, 3_000) if chance.random() < 0.2 else None
    if threshold is not None:
        rule["threshold"] = str(threshold)
    premium = multiplier = floor = cap = None
    if category != "Tiered" and chance.random() < 0.2:
        premium, multiplier = amount(chance, 4_000), Decimal(chance.randrange(50, 300)) / 100
        rule["client_tier_overrides"] = {"premium_threshold": str(premium), "enterprise_multiplier": str(multiplier)}
    if months == 1 and chance.random() < 0.2:
        floor, cap = amount(chance, 50), amount(chance, 300) + 50
        rule |= {"floor": str(floor), "cap": str(cap)}
    return threshold, premium, multiplier, floor, cap


def sold(chance: random.Random, *, positive: bool) -> list[tuple[int, int, Decimal, Decimal, Decimal, Decimal]]:
    """Sequence, month, gross, quantity, share and cost of each sale, in the order of their dates."""
    months = sorted(chance.choices(range(1, 7), k=chance.randrange(1, 8)))
    sales: list[tuple[int, int, Decimal, Decimal, Decimal, Decimal]] = []
    for seq, month in enumerate(months):
        sign = 1 if positive or chance.random() < 0.8 else -1
        share = chance.choice([Decimal(1), Decimal(1), Decimal("0.5"), Decimal("0.333333"), Decimal("0.25")])
        gross, quantity = sign * amount(chance, 3_000), sign * Decimal(chance.randrange(1, 15))
        sales.append((seq, month, gross, quantity, share, sign * amount(chance, 3_000)))
    return sales


def batches() -> Iterator[list[Case]]:
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    for start in range(0, CASES, BATCH):
        yield [made(number, chance) for number in range(start, min(start + BATCH, CASES))]


async def asked(connection: AsyncConnection, cases: list[Case]) -> dict[tuple[int, int], Decimal]:
    """What SQL pays for each case and month."""
    rows = {
        "o_case": [case.case for case in cases],
        "o_band": [band for case in cases for band in case.bands],
        "o_column": [column for case in cases for column in case.columns],
        "o_modifier": [modifier for case in cases for modifier in case.modifiers],
        "o_sale": [sale for case in cases for sale in case.sales],
    }
    async with connection.cursor() as cursor:
        await cursor.execute(b"TRUNCATE o_case, o_band, o_column, o_modifier, o_sale")
        for table, values in rows.items():
            async with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in values:
                    await copy.write_row(row)
        await cursor.execute(b"CREATE INDEX IF NOT EXISTS o_band_id ON o_band (id)")
        await cursor.execute(b"CREATE INDEX IF NOT EXISTS o_sale_id ON o_sale (id)")
        await cursor.execute(b"CREATE INDEX IF NOT EXISTS o_column_id ON o_column (id)")
        await cursor.execute(b"CREATE INDEX IF NOT EXISTS o_modifier_id ON o_modifier (id)")
        await cursor.execute(b"ANALYZE o_case, o_band, o_column, o_modifier, o_sale")
        await cursor.execute(ORACLE.encode())
        return {(number, month): paid for number, month, paid in await cursor.fetchall()}


def paid(case: Case) -> dict[tuple[int, int], Decimal]:
    """What the engine pays for each month."""
    inputs = parse_form(case.form)
    outcome = calculate(inputs.plan, inputs.sales, inputs.situation)
    assert outcome.complete, outcome.problems
    sums: dict[tuple[int, int], Decimal] = {}
    for line in outcome.lines:
        key = (case.case[0], line.period.start.month)
        sums[key] = sums.get(key, Decimal(0)) + line.amount
    return sums


async def test_sql_over_numeric_pays_the_same(postgres_18: Installation) -> None:
    compared = 0
    async with administration(postgres_18.address) as connection:
        for statement in TABLES.split(";\n"):
            await connection.execute(statement.encode())
        for cases in batches():
            oracle = await asked(connection, cases)
            for case in cases:
                engine = paid(case)
                assert engine == {key: oracle.pop(key) for key in sorted(engine)}, case.form
                compared += len(engine)
            assert oracle == {}
    assert compared > CASES
