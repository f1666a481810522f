"""How long a run takes, what memory it needs, and whether every payee gets what SQL says.

    python benchmarks/run_million.py [SALES ...]

For each number of sales it fills a client in an embedded server with one month of sales, a fifth of them split between
two payees and a tenth between three, under one tiered monthly plan; runs the month; and compares every payee's total
with a query over numeric that knows nothing of the engine. A child process runs each size, so that its peak memory is
its own.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.embedded import open_servers
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Address,
    Client,
    Credentials,
    DatabaseLimits,
    LoginLimits,
    ReplicaAddresses,
    add_client,
    open_database,
    operations,
    prepare,
)
from commission_mcp.storage.prepare import administration
from commission_mcp.storage.runs.running import run_period

CLIENT = Client("big", "Big Ltd", currency="USD")
DEFINITION = """{"plan_name": "Core", "currency": "USD", "calculation_schedule": "Monthly", "rules": [{
  "category_type": "Tiered", "range_type": "Amount", "tiers": [{"from": 0, "to": 100000, "commission": "5"},
  {"from": 100000, "to": 250000, "commission": "7.25"}, {"from": 250000, "to": null, "commission": "10.5"}]}]}"""
# Amounts and shares come from a hash of the number: the same in every database, and nothing to do with the engine.
FILL = """
INSERT INTO cm.payee (client_id, payee_id, name, currency, hired_on)
  SELECT 'big', 'p' || i, 'Payee ' || i, 'USD', '2020-01-01' FROM generate_series(0, {payees} - 1) i;
INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, quantity, gross, net, currency)
  SELECT 'big', 's' || i, 'erp', 's' || i, date '2026-07-01' + i % 31, 1, g, g, 'USD'
  FROM (SELECT i, (1000 + (hashint4(i)::bigint + 2147483648) % 199000)::numeric * 0.01 AS g
        FROM generate_series(1, {sales}) i) x;
INSERT INTO cm.credit (client_id, sale_id, payee_id, credit_role, share)
  SELECT 'big', 's' || i, 'p' || (i + k * 7) % {payees}, CASE WHEN n = 1 THEN 'direct' ELSE 'split' END,
    CASE WHEN n = 1 THEN 1 WHEN n = 2 THEN CASE k WHEN 0 THEN 0.6 ELSE 0.4 END
         WHEN k = 2 THEN 0.333333333334 ELSE 0.333333333333 END
  FROM (SELECT i, CASE WHEN i % 10 < 2 THEN 2 WHEN i % 10 = 2 THEN 3 ELSE 1 END AS n
        FROM generate_series(1, {sales}) i) x,
    LATERAL generate_series(0, n - 1) k;
INSERT INTO cm.plan VALUES ('big', 'core', 'Core');
INSERT INTO cm.plan_version (client_id, plan_id, version, status, valid, assignee_type, calculation_schedule,
    payment_schedule, currency, definition, definition_sha256, created_by)
  VALUES ('big', 'core', 1, 'active', '[2026-01-01,2027-01-01)', 'Payee', 'Monthly', 'Monthly', 'USD', '{definition}',
    sha256('core'), 'local')
"""
ORACLE = """
WITH base AS (
  SELECT c.payee_id, sum(s.gross * c.share) AS x FROM cm.sale s JOIN cm.credit c USING (client_id, sale_id)
  WHERE s.client_id = 'big' GROUP BY 1),
owed AS (
  SELECT payee_id, round((5 * least(x, 100000) + 7.25 * greatest(0, least(x, 250000) - 100000)
    + 10.5 * greatest(0, x - 250000)) / 100, 2) AS amount FROM base)
SELECT count(*), count(*) FILTER (WHERE owed.amount IS DISTINCT FROM paid.amount), sum(owed.amount)
FROM owed FULL JOIN (
  SELECT payee_id, sum(amount) AS amount FROM cm.result_line WHERE client_id = 'big' GROUP BY 1) paid USING (payee_id)
"""
HEADER = (
    "| sales | lines | read s | calculated s | written s | in all s | CPU s | peak MiB | payees | differ from SQL |"
)


async def measure(count: int, folder: Path) -> None:
    """Fill, run, compare, and print a row."""
    payees = max(20, count // 500)
    async with open_servers(folder / "data", redis=False) as servers:
        address, credentials = Address.parse(servers.postgres_url), Credentials(servers.master_secret)
        async with administration(address) as connection:
            await prepare(connection, credentials)
            await add_client(connection, CLIENT, credentials, LoginLimits())
        async with operations(address) as connection:
            for statement in FILL.split(";\n"):
                filled = statement.replace("{sales}", str(count)).replace("{payees}", str(payees))
                await connection.execute(filled.replace("{definition}", DEFINITION).encode())
            await connection.execute(b"ANALYZE cm.sale, cm.credit")
        marks: list[float] = []

        async def told(_done: float, _doing: str) -> None:
            marks.append(perf_counter())

        caller = Caller("big", LOCAL_ISSUER, "local", frozenset({Role.FINANCE}))
        async with open_database(address, credentials, DatabaseLimits(), ReplicaAddresses()) as database:
            before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            started, cpu = perf_counter(), process_time()
            ran = await run_period(database, caller, "2026-07", progress=told)
            cpu = process_time() - cpu
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        async with operations(address) as connection:
            row = await (await connection.execute(ORACLE)).fetchone()
    known, wrong, _ = row or (0, -1, 0)
    times = [later - earlier for earlier, later in zip((started, *marks), marks, strict=False)]
    spent = " | ".join(f"{time:.1f}" for time in (*times, marks[-1] - started, cpu))
    print(f"| {count:,} | {ran.lines:,} | {spent} | {peak_mib:.0f} ({before_mib:.0f} before) | {known:,} | {wrong} |")


def main() -> None:
    """Measure each size in a child and a directory of its own."""
    if sys.argv[1:2] == ["--child"]:
        with tempfile.TemporaryDirectory(prefix="cm-run-") as name:
            asyncio.run(measure(int(sys.argv[2]), Path(name)))
        return
    print(f"{HEADER}\n|{'---|' * (HEADER.count('|') - 1)}", flush=True)
    for count in sys.argv[1:] or ("10000", "100000", "1000000"):
        subprocess.run([sys.executable, __file__, "--child", count], check=True)


if __name__ == "__main__":
    main()
