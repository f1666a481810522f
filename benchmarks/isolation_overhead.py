"""What isolation costs: the same questions through a client's views and, with an explicit WHERE, on the base tables.

One embedded server with 1,000 clients and 1,000,000 sales; both sides are measured in turn, on one connection each.
Run as `python benchmarks/isolation_overhead.py [CLIENTS SALES]`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.embedded import open_servers
from commission_mcp.storage import Address, Client, Credentials, LoginLimits, add_client, administration, prepare

MEASURED = "client-0500"
WARM_UP, ROUNDS = 50, 400

LOAD = """
-- The rows below are right: no trigger and no key needs to be checked.
SET session_replication_role = replica;
INSERT INTO cm.client (client_id, name, base_currency)
  SELECT 'client-' || to_char(i, 'FM0000'), 'Client ' || i, 'USD' FROM generate_series(1, {clients}) i
  ON CONFLICT DO NOTHING;
INSERT INTO cm.territory (client_id, territory_id, name)
  SELECT c.client_id, 't' || i, 'Territory ' || i FROM cm.client c, generate_series(1, 10) i;
INSERT INTO cm.payee (client_id, payee_id, name, currency, hired_on)
  SELECT c.client_id, 'p' || i, 'Payee ' || i, 'USD', '2020-01-01' FROM cm.client c, generate_series(1, 20) i;
-- Round robin over the clients, as sales of many clients arrive: the rows of one lie scattered over the table.
INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, territory_id, customer, quantity, gross,
    net, cost, currency)
  SELECT 'client-' || to_char(1 + i % {clients}, 'FM0000'), 's' || i / {clients}, 'erp', 'k' || i / {clients},
    date '2025-01-01' + (i / {clients} % 730)::int, 't' || 1 + i / {clients} % 10, 'Customer ' || i % 97, 1 + i % 5,
    100 + i % 900, 90 + i % 900, 40, 'USD'
  FROM generate_series(0, {sales} - 1) i;
INSERT INTO cm.credit (client_id, sale_id, payee_id, credit_role, share)
  SELECT client_id, sale_id, 'p' || 1 + (hashtext(sale_id) & 15), 'direct', 1 FROM cm.sale;
SET session_replication_role = origin;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT
"""


@dataclass(frozen=True)
class Question:
    """The same question, to the views as the client and to the base tables as a superuser."""

    name: str
    through_views: str
    on_tables: str


QUESTIONS = (
    Question(
        "point query by key",
        "SELECT * FROM sales WHERE sale_id = %s",
        "SELECT * FROM cm.sale WHERE client_id = 'client-0500' AND sale_id = %s",
    ),
    Question(
        "range, ORDER BY, LIMIT 10",
        "SELECT sale_id, sold_on, net FROM sales WHERE sold_on >= '2025-06-01' AND sale_id <> %s "
        "ORDER BY sold_on LIMIT 10",
        "SELECT sale_id, sold_on, net FROM cm.sale WHERE client_id = 'client-0500' AND sold_on >= '2025-06-01' "
        "AND sale_id <> %s ORDER BY sold_on LIMIT 10",
    ),
    Question(
        "aggregate by month",
        "SELECT date_trunc('month', sold_on), sum(net), count(*) FROM sales WHERE sale_id <> %s GROUP BY 1",
        "SELECT date_trunc('month', sold_on), sum(net), count(*) FROM cm.sale WHERE client_id = 'client-0500' "
        "AND sale_id <> %s GROUP BY 1",
    ),
    Question(
        "join of three with aggregate",
        "SELECT t.name, p.name, sum(s.net * c.share) FROM sales s JOIN credits c USING (client_id, sale_id) "
        "JOIN payees p USING (client_id, payee_id) JOIN territories t USING (client_id, territory_id) "
        "WHERE s.sale_id <> %s GROUP BY 1, 2",
        "SELECT t.name, p.name, sum(s.net * c.share) FROM cm.sale s JOIN cm.credit c USING (client_id, sale_id) "
        "JOIN cm.payee p USING (client_id, payee_id) JOIN cm.territory t USING (client_id, territory_id) "
        "WHERE s.client_id = 'client-0500' AND s.sale_id <> %s GROUP BY 1, 2",
    ),
)


async def main(clients: int, sales: int) -> None:
    """Load, measure, print."""
    with tempfile.TemporaryDirectory(prefix="cm-overhead-") as name:
        async with open_servers(Path(name) / "data", grace_s=0.1) as servers:
            credentials = Credentials(servers.master_secret)
            started = time.perf_counter()
            await load(Address.parse(servers.postgres_url), credentials, clients, sales)
            print(f"{clients:,} clients, {sales:,} sales loaded in {time.perf_counter() - started:.0f} s\n")
            login = credentials.reader_login(MEASURED, MaskingClass.MASKED)
            as_client = conninfo_to_dict(servers.postgres_url) | {
                "user": login,
                "password": credentials.password(login),
            }
            with (
                psycopg.connect(make_conninfo("", **as_client), autocommit=True) as client,
                psycopg.connect(servers.postgres_url, autocommit=True) as superuser,
            ):
                superuser.execute("SET max_parallel_workers_per_gather = 0; SET jit = off")
                report(client, superuser)


async def load(address: Address, credentials: Credentials, clients: int, sales: int) -> None:
    """Prepare the database and fill it; only the measured client gets logins."""
    async with administration(address) as connection:
        await prepare(connection, credentials)
        await add_client(connection, Client(MEASURED, "Measured", currency="USD"), credentials, LoginLimits())
        for statement in LOAD.format(clients=clients, sales=sales).split(";\n"):
            await connection.execute(statement.encode())


def report(client: psycopg.Connection, superuser: psycopg.Connection) -> None:
    """Ask every question on both sides in turn, and print the medians."""
    print(f"| p50 of {ROUNDS} | views, us | explicit WHERE, us | ratio | added us |\n|---|---:|---:|---:|---:|")
    for question in QUESTIONS:
        views, tables = measure(client, superuser, question)
        print(
            f"| {question.name} | {views * 1e6:.0f} | {tables * 1e6:.0f} | {views / tables:.2f} "
            f"| {(views - tables) * 1e6:.0f} |"
        )


def measure(client: psycopg.Connection, superuser: psycopg.Connection, question: Question) -> tuple[float, float]:
    """Medians of one question in seconds: through the views, and on the base tables; the answers must be the same."""
    taken: tuple[list[float], list[float]] = ([], [])
    sides = ((client, question.through_views), (superuser, question.on_tables))
    for number in range(WARM_UP + ROUNDS):
        answers: list[int] = []
        for times, (connection, sql) in zip(taken, sides, strict=True):
            started = time.perf_counter()
            # Not prepared: a caller's statement is parsed and planned each time.
            rows = connection.execute(sql.encode(), [f"s{number % 1_000}"], prepare=False).fetchall()
            times.append(time.perf_counter() - started)
            answers.append(len(rows))
        if len(set(answers)) != 1 or not answers[0]:
            raise SystemExit(f"{question.name}: the two sides differ: {answers} rows")
    return statistics.median(taken[0][WARM_UP:]), statistics.median(taken[1][WARM_UP:])


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in (sys.argv[1:] or ["1000", "1000000"]))))
