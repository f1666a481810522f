"""What keeping answers saves: the same questions kept and read anew, and how long a change of the data makes them wait.

    python benchmarks/cache_hits.py [ROUNDS]

In memory, on the demo client in a data directory of its own; both answers of a question are asked in turns. `anew` is
the same question as another text each time; `after a change` is asked once after each committed change of the sales, so
its answer must be read, and be the changed one.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
from mcp.client import Client

from commission_mcp.app import login_limits, open_administration, open_operations
from commission_mcp.logs import configure_logs
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client as Tenant
from commission_mcp.storage import add_client
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows

DEMO = DEMO_CLIENTS[0]
QUESTIONS = {
    "one row by its key": "SELECT sale_id, net FROM sales WHERE sale_id = '{key}'",
    "sum of all sales": "SELECT sum(net), count(*) FROM sales",
    "sales and credits by payee and month": "SELECT y.name, date_trunc('month', s.sold_on), sum(s.net * c.share) "
    "FROM sales s JOIN credits c USING (sale_id) JOIN payees y USING (payee_id) GROUP BY 1, 2 ORDER BY 1, 2",
}
CHANGE = "UPDATE cm.sale SET net = net + 0.01 WHERE client_id = %s AND sale_id = %s"


async def load(settings: Settings) -> str:
    """Fill the demo client; the key of a sale."""
    async with open_administration(settings) as (connection, credentials):
        async with connection.transaction():
            await add_client(connection, Tenant(DEMO.client_id, DEMO.name), credentials, login_limits(settings))
            await connection.execute("SET LOCAL ROLE cm_ops")
            await load_demo_rows(connection, DEMO)
        await connection.execute("ANALYZE")
        row = await (await connection.execute("SELECT min(sale_id) FROM cm.sale")).fetchone()
        return str((row or ("",))[0])


async def asked(client: Client, sql: str, cache: str) -> tuple[float, list[Any]]:
    """How long an answer took in ms, and its rows; it must have come from where it is said."""
    started_s = perf_counter()
    answer = await client.call_tool("query", {"sql": sql, "max_rows": 1000, "max_chars": 1_000_000})
    taken_ms = (perf_counter() - started_s) * 1000
    found: dict[str, Any] = answer.structured_content or {}
    if answer.is_error or found["cache"] != cache:
        raise SystemExit(f"expected a {cache}: {found or answer.content}")
    return taken_ms, found["rows"]


async def measure(data_directory: Path, rounds: int) -> None:
    """Print the table."""
    configure_logs("error")
    overrides = {"data_directory": data_directory, "client_id": DEMO.client_id, "log_level": "error"}
    settings = load_settings(environment={}, overrides=overrides).settings
    key = await load(settings)
    numbers = count()
    print("| p50 ms, in memory | kept | anew | after a change | anew / kept |\n|---|---:|---:|---:|---:|", flush=True)
    async with Client(build_server(settings)) as client, open_operations(settings) as writer:
        for name, written in QUESTIONS.items():
            sql = written.replace("{key}", key)
            times: dict[str, list[float]] = {"kept": [], "anew": [], "changed": []}
            _, rows = await asked(client, sql, "miss")
            for number in range(-5, rounds):
                hit, _ = await asked(client, sql, "hit")
                miss, _ = await asked(client, f"{sql} -- {next(numbers)}", "miss")
                if number >= 0:
                    times["kept"].append(hit)
                    times["anew"].append(miss)
            for _ in range(max(rounds // 10, 3)):
                await writer.execute(CHANGE, [DEMO.client_id, key])
                taken, after = await asked(client, sql, "miss")
                if after == rows:
                    raise SystemExit(f"{name}: the answer is that of before the change")
                times["changed"].append(taken)
                rows = after
            cells = [statistics.median(taken_ms) for taken_ms in times.values()]
            print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {cells[1] / cells[0]:.1f} |", flush=True)


def main() -> None:
    """Measure in a folder that goes away."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    try:
        anyio.run(measure, folder / "data", rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
