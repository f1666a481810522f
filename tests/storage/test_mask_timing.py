"""What is masked is masked before anything depends on it: no plan and no duration tells two sets of secrets apart."""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.sqlguard.statement import SEAL, Select
from commission_mcp.storage import (
    Client,
    DatabaseLimits,
    LoginLimits,
    ReplicaAddresses,
    add_client,
    administration,
    find_client,
    open_database,
    operations,
)

if TYPE_CHECKING:
    from commission_mcp.storage import Database
    from conftest import Installation

pytestmark = pytest.mark.anyio

FULL = os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full"
PAYEES = 300
CLIENTS = ("timed-1", "timed-2")
PHASES = 20 if FULL else 4
PAIRS_A_PHASE = 50 if FULL else 15
DOUBTFUL_P = 0.01

COLUMNS = ("email", "bank_account", "salary", "tax_id")
# Two sets of the same length: all different and in order, and all the same, which is what is guessed.
SECRETS = {
    "different": "email = to_char(n, 'FM00000') || '@a.example', bank_account = 'B' || to_char(n, 'FM00000'), "
    "salary = 10000 + n, tax_id = 'T' || to_char(n, 'FM00000')",
    "guessed": "email = '00001@a.example', bank_account = 'B00001', salary = 10001, tax_id = 'T00001'",
}
# What could take longer for one of them: comparing, matching, sorting, joining, grouping, aggregating, and a condition
# that works long for each match.
FORMS = (
    "SELECT count(*) FROM payees WHERE email = '00001@a.example'",
    "SELECT count(*) FROM payees WHERE tax_id LIKE 'T0000%' OR bank_account ~ '^B0+1$'",
    "SELECT payee_id FROM payees ORDER BY bank_account, tax_id, salary DESC LIMIT 3",
    "SELECT count(*) FROM payees a JOIN payees b ON a.email = b.email AND a.tax_id = b.tax_id WHERE a.payee_id < 'p2'",
    "SELECT count(*) FROM (SELECT DISTINCT email, salary FROM payees) d",
    "SELECT bank_account, team, count(*) FROM payees GROUP BY 1, 2",
    "SELECT min(tax_id), max(email), sum(salary), count(DISTINCT bank_account) FROM payees",
    "SELECT rank() OVER (PARTITION BY email ORDER BY salary) FROM payees",
    """SELECT count(*) FROM payees p WHERE CASE WHEN tax_id = 'T00001'
    THEN (SELECT count(*) FROM generate_series(1, 20 + length(p.payee_id))) > 0 ELSE true END""",
)
CONTROL = FORMS[-1].replace("1, 20", "1, 1000")


@dataclass(frozen=True)
class Timed:
    """Two clients with the same payees, whose secrets change places."""

    installation: Installation
    database: Database

    async def give(self, first: str, second: str) -> None:
        """Give the clients their secrets, each row written anew, so that the pages are used alike."""
        async with administration(self.installation.address) as connection:
            for client_id, secrets in zip(CLIENTS, (first, second), strict=True):
                await connection.execute(
                    f"UPDATE cm.payee SET {SECRETS[secrets]} FROM (SELECT payee_id AS id, row_number() OVER "
                    "(ORDER BY payee_id) AS n FROM cm.payee WHERE client_id = %(client)s) o "
                    "WHERE client_id = %(client)s AND payee_id = o.id".replace("%(client)s", f"'{client_id}'").encode()
                )
            await connection.execute("VACUUM ANALYZE cm.payee")

    async def plan(self, statement: str, client_id: str = CLIENTS[0]) -> str:
        """How the database runs a statement for a reader who sees masks."""
        login = self.installation.credentials.reader_login(client_id, MaskingClass.MASKED)
        async with administration(self.installation.address) as connection:
            await connection.execute(f"SET SESSION AUTHORIZATION {login}".encode())
            await connection.execute("SET search_path = commission")
            cursor = await connection.execute(f"EXPLAIN (VERBOSE, COSTS OFF) {statement}".encode())
            return "\n".join(str(row[0]) for row in await cursor.fetchall())

    async def took_us(self, client_id: str, statement: str, role: Role) -> float:
        """How long a statement takes, in microseconds, to whoever reads through the server."""
        select = Select(statement, 0, frozenset(), ordered=False, volatile=False, seal=SEAL)
        caller = Caller(client_id, "local", "local", frozenset({Role.ANALYST, role}))
        async with self.database.reading(caller) as reading:
            started_ns = time.perf_counter_ns()
            await reading.fetch(select, (), rows_max=1_000)
            return (time.perf_counter_ns() - started_ns) / 1_000


@pytest.fixture
async def timed(installation: Installation) -> AsyncGenerator[Timed]:
    async with opened(installation) as timed:
        yield timed


@pytest.fixture
async def timed_18(postgres_18: Installation) -> AsyncGenerator[Timed]:
    async with opened(postgres_18) as timed:
        yield timed


@asynccontextmanager
async def opened(installation: Installation) -> AsyncGenerator[Timed]:
    async with administration(installation.address) as connection:
        for client_id in CLIENTS:
            if await find_client(connection, client_id) is None:
                await add_client(connection, Client(client_id, "Timed"), installation.credentials, LoginLimits())
    try:
        async with operations(installation.address) as connection:
            for client_id in CLIENTS:
                await connection.execute(
                    "INSERT INTO cm.payee (client_id, payee_id, name, currency, hired_on, team) SELECT %s, "
                    "'p' || to_char(n, 'FM00000'), 'Payee', 'USD', '2020-01-01', 'T' || n %% 7 "
                    "FROM generate_series(1, %s) n",
                    [client_id, PAYEES],
                )
        limits = DatabaseLimits(query_timeout_ms=60_000)
        async with open_database(
            installation.address, installation.credentials, limits, ReplicaAddresses()
        ) as database:
            yield Timed(installation, database)
    finally:
        async with operations(installation.address) as connection:
            await connection.execute("DELETE FROM cm.payee WHERE client_id = ANY (%s)", [list(CLIENTS)])


MASKED = re.compile(
    r"CASE WHEN \(?(?:InitPlan \d+\)\.col1|\$\d+) THEN (?:\w+\.)?(?P<column>\w+) (?:WHEN \((?:\w+\.)?(?P=column) "
    r"IS NOT NULL\) THEN '\*\*\*'::text ELSE NULL::text END|ELSE NULL::numeric END)"
)
RAW = re.compile(rf"(?:Filter|Cond|Key|Group|Sort|Cache).*\b(?:{'|'.join(COLUMNS)})\b")


async def test_only_the_mask_reaches_conditions_sorting_and_grouping(timed: Timed) -> None:
    """In the plan every use of a masked column stands inside the CASE that masks it."""
    plans = [MASKED.sub("masked", await timed.plan(statement)) for statement in FORMS]

    assert all("masked" in plan for plan in plans)
    assert [line.strip() for plan in plans for line in plan.splitlines() if RAW.search(line)] == []


async def test_no_plan_depends_on_the_values_behind_a_mask(timed: Timed) -> None:
    """Statistics of the values would let the planner choose otherwise, in time and in the order of rows."""
    await timed.give("different", "different")
    before = [await timed.plan(statement) for statement in FORMS]
    await timed.give("guessed", "guessed")
    after = [await timed.plan(statement) for statement in FORMS]

    assert after == before
    async with administration(timed.installation.address) as connection:
        cursor = await connection.execute(
            "SELECT attname FROM pg_stats WHERE schemaname = 'cm' AND tablename = 'payee' AND attname = ANY (%s)",
            [list(COLUMNS)],
        )
        assert await cursor.fetchall() == []


async def test_no_masked_column_has_an_index(installation: Installation) -> None:
    async with administration(installation.address) as connection:
        cursor = await connection.execute(
            "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
            "AND a.attnum = ANY (i.indkey) WHERE i.indrelid = 'cm.payee'::regclass AND a.attname = ANY (%s)",
            [list(COLUMNS)],
        )
        assert await cursor.fetchall() == []


def signed_rank_p(differences: Sequence[float]) -> float:
    """The two-sided p of Wilcoxon's signed-rank test, by its normal approximation (F. Wilcoxon, 1945)."""
    nonzero = sorted((abs(difference), difference > 0) for difference in differences if difference)
    count = len(nonzero)
    ranks = sum(rank for rank, (_, positive) in enumerate(nonzero, 1) if positive)
    mean, deviation = count * (count + 1) / 4, math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    return math.erfc(abs(ranks - mean) / deviation / math.sqrt(2)) if deviation else 1.0


def phases() -> Iterator[tuple[str, str]]:
    """Which client has which secrets in turn: as often each way, on even and on odd turns."""
    for number in range(PHASES):
        turned = number % 4 in {1, 2}
        yield ("guessed", "different") if turned else ("different", "guessed")


async def differences_us(timed: Timed, statements: Sequence[str], role: Role) -> dict[str, list[float]]:
    """How much longer each statement takes over the secrets that are guessed, pair by pair.

    Both clients are asked in each pair, in either order; over the phases each has each set of secrets as often.
    """
    chance = random.Random(6)  # noqa: S311 - the order of measurements
    found: dict[str, list[float]] = {statement: [] for statement in statements}
    for secrets in phases():
        await timed.give(*secrets)
        for statement in statements:  # a first time for plans and pages
            for client_id in CLIENTS:
                await timed.took_us(client_id, statement, role)
        for _ in range(PAIRS_A_PHASE):
            for statement in statements:
                took_us: dict[str, float] = {}
                for client_id, behind in chance.sample(list(zip(CLIENTS, secrets, strict=True)), 2):
                    took_us[behind] = await timed.took_us(client_id, statement, role)
                found[statement].append(took_us["guessed"] - took_us["different"])
    return found


@pytest.mark.campaign
async def test_no_duration_tells_masked_values_apart(timed_18: Timed) -> None:
    """A statement counts as telling only when it does so three times in a row, the same way."""
    suspects: dict[str, int] = dict.fromkeys(FORMS, 0)
    for _ in range(3):
        measured = await differences_us(timed_18, list(suspects), Role.PLAN_AUTHOR)
        told: dict[str, int] = {}
        for statement, differences in measured.items():
            p, median_us = signed_rank_p(differences), sorted(differences)[len(differences) // 2]
            print(f"p = {p:.3f}, median {median_us:+.1f} us of {len(differences)} pairs: {statement[:80]}")  # noqa: T201 - the figures
            way = 1 if median_us > 0 else -1
            if p < DOUBTFUL_P and suspects[statement] in {0, way}:
                told[statement] = way
        suspects = told
        if not suspects:
            break

    assert suspects == {}


async def test_where_values_are_not_masked_the_same_measurement_tells_them_apart(timed_18: Timed) -> None:
    measured = await differences_us(timed_18, [CONTROL], Role.FINANCE)

    assert signed_rank_p(measured[CONTROL]) < DOUBTFUL_P
