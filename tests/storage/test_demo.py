from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, LiteralString, Protocol

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.storage import Address, operations
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows
from commission_mcp.storage.demo.abc_industries import ABC_INDUSTRIES
from commission_mcp.storage.demo.arithmetic import pieces, rounded
from commission_mcp.storage.demo.plans import Rule, tiers
from commission_mcp.storage.demo.sakura_trading import SAKURA_TRADING
from commission_mcp.storage.demo.selling import sales

SEED_TIERS = tiers((0, "5"), (100_000, "7"), (250_000, "10"))


class Installed(Protocol):
    """What the suite's fixtures hand over; only the address is used here."""

    address: Address


class Demo:
    """The loaded demo, and how many rows each client got."""

    def __init__(self, connection: psycopg.AsyncConnection, loaded: dict[str, dict[str, int]]) -> None:
        self.connection = connection
        self.loaded = loaded

    async def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return await (await self.connection.execute(query)).fetchall()


@pytest.fixture(scope="module")
async def demo(postgres_18: Installed) -> AsyncIterator[Demo]:
    """The demo in a transaction that is taken back."""
    async with operations(postgres_18.address) as connection, connection.transaction(force_rollback=True):
        loaded: dict[str, dict[str, int]] = {}
        for client in DEMO_CLIENTS:
            await connection.execute(
                "INSERT INTO cm.client (client_id, name, base_currency, time_zone) VALUES (%s, %s, %s, %s)",
                [client.client_id, client.name, client.base_currency, client.time_zone],
            )
            loaded[client.client_id] = await load_demo_rows(connection, client)
        yield Demo(connection, loaded)


def test_the_same_seed_makes_the_same_sales() -> None:
    assert sales(SAKURA_TRADING) == sales(SAKURA_TRADING)


@pytest.mark.parametrize(
    ("base", "tiered", "slab"),
    [
        ("0", "0.00", "0.00"),
        ("100000", "5000.00", "5000.00"),
        ("100000.50", "5000.04", "7000.04"),
        ("250000", "15500.00", "17500.00"),
        ("250000.01", "15500.00", "25000.00"),
        ("600000", "50500.00", "60000.00"),
        ("-1000", "-50.00", "-50.00"),
    ],
)
def test_bands_pay_what_the_edge_table_says(base: str, tiered: str, slab: str) -> None:
    for category, expected in (("Tiered", tiered), ("Slab", slab)):
        rule = Rule("Revenue Target", category, "Gross Revenue", SEED_TIERS, "Amount")
        exact = [piece.exact for piece in pieces(rule, Decimal(base))]
        assert sum(rounded(exact, 2)) == Decimal(expected)


def test_fixed_amounts_are_paid_per_unit_in_each_band() -> None:
    rule = Rule(
        "Units Target", "Tiered", "Units", tiers((0, "2.00"), (100, "2.25")), "Quantity", "Fixed Amount", "per_unit"
    )

    assert sum(piece.exact for piece in pieces(rule, Decimal(101))) == Decimal("202.25")


@given(
    st.lists(st.decimals(-(10**6), 10**6, places=8, allow_nan=False, allow_infinity=False), min_size=1),
    st.sampled_from([0, 2, 3]),
)
def test_rounded_lines_sum_to_the_rounded_sum_and_none_moves_by_a_unit(exact: list[Decimal], minor_units: int) -> None:
    amounts = rounded(exact, minor_units)
    unit = Decimal(1).scaleb(-minor_units)

    assert abs(sum(amounts) - sum(exact)) * 2 <= unit
    assert all(abs(amount - piece) < unit for amount, piece in zip(amounts, exact, strict=True))


def test_five_in_three_parts_is_never_five_and_a_cent() -> None:
    third = Decimal(5) / 3

    assert rounded([third, third, third], 2) == [Decimal("1.67"), Decimal("1.67"), Decimal("1.66")]


@pytest.mark.anyio
async def test_the_demo_has_two_years_of_sales_and_everything_around_them(demo: Demo) -> None:
    counted = {client: rows["sale"] for client, rows in demo.loaded.items()}

    assert 45_000 <= sum(counted.values()) <= 55_000
    assert await demo.rows("SELECT min(sold_on)::text, max(sold_on)::text FROM cm.sale WHERE client_id = 'client-abc'")
    for table in ("payout", "result_line", "approval", "quota", "reports_to", "credit", "plan_template", "dispute"):
        assert all(rows[table] > 0 for rows in demo.loaded.values())


@pytest.mark.anyio
async def test_loading_again_leaves_a_client_as_it_is(demo: Demo) -> None:
    assert await load_demo_rows(demo.connection, DEMO_CLIENTS[0]) == {}


@pytest.mark.anyio
async def test_the_plan_of_the_documentation_is_listed(demo: Demo) -> None:
    assert await demo.rows(
        "SELECT plan_name, status, valid::text FROM cm.plan JOIN cm.plan_version USING (client_id, plan_id) "
        "WHERE client_id = 'client-abc' AND plan_id = 'plan-123'"
    ) == [("Q3 Sales Incentives", "active", "[2025-07-01,2025-10-01)")]


@pytest.mark.anyio
async def test_sales_have_refunds_splits_overlays_and_overrides(demo: Demo) -> None:
    assert await demo.rows(
        "SELECT bool_or(reverses_sale_id IS NOT NULL), bool_and(reverses_sale_id IS NULL OR gross < 0) FROM cm.sale"
    ) == [(True, True)]
    assert {role for (role,) in await demo.rows("SELECT DISTINCT credit_role FROM cm.credit")} == {
        "direct",
        "split",
        "overlay",
        "override",
    }


@pytest.mark.anyio
async def test_nobody_is_credited_before_they_came_or_after_they_left(demo: Demo) -> None:
    assert await demo.rows(
        "SELECT count(*) FROM cm.credit c JOIN cm.sale s USING (client_id, sale_id) "
        "JOIN cm.payee p USING (client_id, payee_id) WHERE client_id IN ('client-abc', 'client-emea', 'client-jp') "
        "AND (s.sold_on < p.hired_on OR s.sold_on > p.left_on)"
    ) == [(0,)]


@pytest.mark.anyio
async def test_no_key_is_that_of_two_clients(demo: Demo) -> None:
    for query in (
        "SELECT payee_id FROM cm.payee WHERE client_id = ANY (%s) GROUP BY 1 HAVING count(*) > 1",
        "SELECT sale_id FROM cm.sale WHERE client_id = ANY (%s) GROUP BY 1 HAVING count(*) > 1",
        "SELECT plan_id FROM cm.plan WHERE client_id = ANY (%s) GROUP BY 1 HAVING count(DISTINCT client_id) > 1",
        "SELECT name FROM cm.payee WHERE client_id = ANY (%s) GROUP BY 1 HAVING count(*) > 1",
        "SELECT territory_id FROM cm.territory WHERE client_id = ANY (%s) GROUP BY 1 HAVING count(*) > 1",
    ):
        cursor = await demo.connection.execute(query, [[client.client_id for client in DEMO_CLIENTS]])
        assert await cursor.fetchall() == []


@pytest.mark.anyio
async def test_a_definition_has_its_hash_and_says_what_the_rows_say(demo: Demo) -> None:
    for plan in ABC_INDUSTRIES.plans:
        assert plan.definition_sha256 == hashlib.sha256(plan.definition.encode()).digest()
    assert (
        await demo.rows("""
        SELECT v.plan_id, v.version FROM cm.plan_version v
        JOIN cm.plan_rule r USING (client_id, plan_id, version)
        WHERE v.client_id IN ('client-abc', 'client-emea', 'client-jp') AND (
          v.definition #>> '{rules,0,category_type}' <> r.category_type
          OR v.definition #>> '{rules,0,base_value}' <> r.base_value
          OR v.definition #>> '{rules,0,range_type}' IS DISTINCT FROM r.range_type
          OR (SELECT array_agg(numrange((t ->> 'from')::numeric, (t ->> 'to')::numeric)
                               ORDER BY (t ->> 'from')::numeric)
              FROM jsonb_array_elements(v.definition #> '{rules,0,tiers}') t)
             <> (SELECT array_agg(t.band ORDER BY t.band) FROM cm.tier t
                 WHERE (t.client_id, t.plan_id, t.version) = (v.client_id, v.plan_id, v.version)))
    """)
        == []
    )


@pytest.mark.anyio
async def test_what_is_in_force_was_approved_by_others_than_its_author(demo: Demo) -> None:
    assert await demo.rows("""
        SELECT v.status, array_agg(DISTINCT a.decision) FROM cm.plan_version v
        JOIN cm.approval a ON a.client_id = v.client_id AND a.subject_ref = v.plan_id || '/' || v.version
          AND a.subject_sha256 = v.definition_sha256 AND a.decided_by IS DISTINCT FROM v.created_by
        WHERE v.client_id = 'client-abc' GROUP BY 1 ORDER BY 1
    """) == [("active", ["approved"]), ("submitted", ["pending"]), ("superseded", ["approved"])]


@pytest.mark.anyio
async def test_lines_sum_to_the_payout_and_payouts_are_of_months_that_are_done(demo: Demo) -> None:
    assert (
        await demo.rows("""
        SELECT o.client_id, o.payee_id, o.period_id FROM cm.payout o
        JOIN cm.period p USING (client_id, period_id)
        LEFT JOIN cm.result_line l USING (client_id, run_id, payee_id)
        WHERE client_id IN ('client-abc', 'client-emea', 'client-jp')
        GROUP BY o.client_id, o.payee_id, o.period_id, o.amount, o.carried_balance, p.status
        HAVING sum(l.amount) IS DISTINCT FROM o.amount + o.carried_balance OR o.carried_balance <> 0
          OR p.status = 'open'
    """)
        == []
    )


# Which plan a sale belongs to and what it pays, once more and only in SQL: territory and product, then territory.
PAYOUTS: LiteralString = """
WITH RECURSIVE tree AS (
  SELECT client_id, territory_id, territory_id AS above FROM cm.territory
  UNION
  SELECT t.client_id, t.territory_id, p.parent_id FROM tree t
  JOIN cm.territory p ON p.client_id = t.client_id AND p.territory_id = t.above WHERE p.parent_id IS NOT NULL
),
matched AS (
  SELECT DISTINCT ON (s.client_id, s.sale_id) s.client_id, s.sale_id, s.sold_on, v.plan_id, v.version,
         CASE r.base_value WHEN 'Gross Revenue' THEN s.gross WHEN 'Net Revenue' THEN s.net
              WHEN 'Margin' THEN s.net - s.cost ELSE s.quantity END
         * CASE WHEN r.base_value = 'Units' THEN 1 ELSE coalesce(x.rate, 1) END AS base
  FROM cm.sale s
  JOIN cm.product d ON d.client_id = s.client_id AND d.product_id = s.product_id AND d.commissionable
  JOIN tree ON tree.client_id = s.client_id AND tree.territory_id = s.territory_id
  JOIN cm.assignment a ON a.client_id = s.client_id AND a.territory_id = tree.above AND a.valid @> s.sold_on
    AND coalesce(a.product_id, s.product_id) = s.product_id
  JOIN cm.plan_version v ON v.client_id = a.client_id AND v.plan_id = a.plan_id AND v.version = a.version
    AND v.status IN ('active', 'superseded')
  JOIN cm.plan_rule r ON r.client_id = v.client_id AND r.plan_id = v.plan_id AND r.version = v.version
  LEFT JOIN cm.fx_rate x ON x.client_id = s.client_id AND x.from_currency = s.currency AND x.span @> s.sold_on
  ORDER BY s.client_id, s.sale_id, a.product_id NULLS LAST
),
based AS (
  SELECT m.client_id, c.payee_id, to_char(m.sold_on, 'YYYY-MM') AS period_id, m.plan_id, m.version,
         sum(m.base * c.share) AS x
  FROM matched m JOIN cm.credit c USING (client_id, sale_id)
  GROUP BY 1, 2, 3, 4, 5
),
earned AS (
  SELECT b.client_id, b.payee_id, b.period_id, b.plan_id, round(CASE
      WHEN r.category_type = 'Flat' THEN b.x * (
        SELECT t.commission FROM cm.tier t
        WHERE (t.client_id, t.plan_id, t.version) = (b.client_id, b.plan_id, b.version)
      ) / 100
      WHEN r.category_type = 'Slab' THEN b.x * (
        SELECT t.commission FROM cm.tier t
        WHERE (t.client_id, t.plan_id, t.version) = (b.client_id, b.plan_id, b.version)
          AND (b.x > lower(t.band) OR lower(t.band) = 0) ORDER BY lower(t.band) DESC LIMIT 1
      ) / 100
      ELSE (
        SELECT sum(t.commission * greatest(0, least(b.x, coalesce(upper(t.band), b.x)) - lower(t.band)))
        FROM cm.tier t WHERE (t.client_id, t.plan_id, t.version) = (b.client_id, b.plan_id, b.version)
      ) / CASE WHEN r.value_type = 'Percentage' THEN 100 ELSE 1 END
    END, y.minor_units) AS amount
  FROM based b
  JOIN cm.plan_rule r ON r.client_id = b.client_id AND r.plan_id = b.plan_id AND r.version = b.version
  JOIN cm.client c ON c.client_id = b.client_id
  JOIN cm.currency y ON y.code = c.base_currency
),
expected AS (
  SELECT e.client_id, e.payee_id, e.period_id, sum(e.amount) AS amount FROM earned e GROUP BY 1, 2, 3
)
"""


@pytest.mark.anyio
async def test_every_payout_is_what_sql_computes_from_the_sales(demo: Demo) -> None:
    different = await demo.rows(
        PAYOUTS
        + """
        SELECT coalesce(e.client_id, o.client_id), e.payee_id, e.period_id, e.amount, o.amount
        FROM (SELECT * FROM expected e WHERE EXISTS (
          SELECT FROM cm.calc_run r WHERE r.client_id = e.client_id AND r.period_id = e.period_id)) e
        FULL JOIN (SELECT * FROM cm.payout WHERE client_id IN ('client-abc', 'client-emea', 'client-jp')) o
          ON o.client_id = e.client_id AND o.payee_id = e.payee_id AND o.period_id = e.period_id
        WHERE e.amount IS DISTINCT FROM o.amount
        """
    )

    assert different == []
