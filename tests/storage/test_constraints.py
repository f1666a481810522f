"""Wrong data cannot be written, whoever writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from commission_mcp.storage import operations

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio

RULE = """INSERT INTO cm.plan_rule (client_id, plan_id, version, rule_no, plan_type, category_type, range_type,
  value_type, base_value, accumulation)
  VALUES ('client-a', 'plan-1', 1, 1, 'Revenue Target', 'Tiered', 'Amount', 'Percentage',
  'Gross Revenue', 'calculation_period');"""
TIER = "INSERT INTO cm.tier (client_id, plan_id, version, rule_no, band, commission) VALUES "


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            "INSERT INTO cm.credit VALUES ('client-a', 'client-b-s1', 'client-a-p1', 'overlay', 1)",
            id="a credit of another client's sale",
        ),
        pytest.param(
            "INSERT INTO cm.credit VALUES ('client-a', 'client-a-s1', 'client-a-p3', 'split', 0.5)",
            id="shares of a sale beyond 1",
        ),
        pytest.param(
            "DELETE FROM cm.credit WHERE client_id = 'client-a' AND sale_id = 'client-a-s1'; "
            "INSERT INTO cm.credit VALUES ('client-a', 'client-a-s1', 'client-a-p3', 'split', 0.333333)",
            id="shares of a sale below 1",
        ),
        pytest.param(
            "INSERT INTO cm.sale SELECT client_id, 'again', source_system, source_key, object_type, NULL, sold_on, "
            "NULL, NULL, NULL, 1, NULL, 1, 1, NULL, 'USD' FROM cm.sale WHERE sale_id = 'client-a-s1'",
            id="a sale imported twice",
        ),
        pytest.param(
            "UPDATE cm.sale SET gross = 0.0000001 WHERE sale_id = 'client-a-s1'", id="an amount with seven decimals"
        ),
        pytest.param(
            "UPDATE cm.sale SET gross = 'NaN' WHERE sale_id = 'client-a-s1'", id="an amount that is no number"
        ),
        pytest.param("UPDATE cm.sale SET currency = 'XXY' WHERE sale_id = 'client-a-s1'", id="an unknown currency"),
        pytest.param(
            "UPDATE cm.plan_version SET description = 'x' WHERE client_id = 'client-a'",
            id="an edit of an active version",
        ),
        pytest.param(
            "INSERT INTO cm.plan (client_id, plan_id, plan_name) VALUES ('client-a', 'p2', 'PLAN OF CLIENT-A')",
            id="a plan name taken, in other letters",
        ),
        pytest.param(
            f"{RULE}{TIER}('client-a', 'plan-1', 1, 1, '(0,100]', 5), ('client-a', 'plan-1', 1, 1, '(150,)', 7)",
            id="a gap between bands",
        ),
        pytest.param(
            f"{RULE}{TIER}('client-a', 'plan-1', 1, 1, '(0,100]', 5), ('client-a', 'plan-1', 1, 1, '(90,)', 7)",
            id="bands that overlap",
        ),
        pytest.param(f"{RULE}{TIER}('client-a', 'plan-1', 1, 1, '(0,100]', 5)", id="a last band that is not open"),
        pytest.param(
            "INSERT INTO cm.reports_to VALUES ('client-a', 'client-a-p1', 'client-a-p2', '[2025-01-01,)'), "
            "('client-a', 'client-a-p1', 'client-a-p3', '[2025-06-01,)')",
            id="two managers at a time",
        ),
        pytest.param(
            "INSERT INTO cm.approval (client_id, subject_kind, subject_ref, subject_sha256, step, requested_by, "
            "decided_by, decision, decided_at) "
            "VALUES ('client-a', 'plan_version', 'plan-1/1', sha256('x'), 'finance_review', "
            "'local', 'local', 'approved', now())",
            id="an approval by the author",
        ),
        pytest.param("TRUNCATE cm.sale CASCADE", id="a truncation"),
    ],
)
async def test_the_database_refuses(installation: Installation, statement: str) -> None:
    async with operations(installation.address) as connection:
        # Several statements in one text are one transaction.
        with pytest.raises((psycopg.IntegrityError, psycopg.errors.InsufficientPrivilege)):
            await connection.execute(statement.encode())


async def test_bands_without_a_gap_are_accepted(installation: Installation) -> None:
    bands = "('client-a', 'plan-1', 1, 1, '(0,100]', 5), ('client-a', 'plan-1', 1, 1, '(100,)', 7)"
    async with operations(installation.address) as connection, connection.transaction(force_rollback=True):
        await connection.execute(RULE.encode())
        await connection.execute(f"{TIER}{bands}".encode())
