"""How long importing sales takes, and how much memory the importing process needs, whatever the size of the file.

    python benchmarks/import_million.py [SALES]

It writes a CSV file with splits and refunds, imports it into an embedded server in a directory of its own, imports it a
second time, which must change nothing, and prints a Markdown table.
"""

from __future__ import annotations

import asyncio
import csv
import resource
import sys
import tempfile
from pathlib import Path
from random import Random
from time import perf_counter

from commission_mcp.embedded import open_servers
from commission_mcp.storage import Address, Client, Credentials, LoginLimits, add_client, operations, prepare
from commission_mcp.storage.imports import Kind, import_rows
from commission_mcp.storage.prepare import administration

CLIENT = Client("big", "Big Ltd", currency="USD")
HEADER = (
    "source_key",
    "sold_on",
    "gross",
    "net",
    "cost",
    "currency",
    "quantity",
    "uom",
    "territory",
    "product",
    "customer",
    "payee",
    "credits",
    "reverses",
)
MASTERS = {
    Kind.UOMS: ("uom,name", "Each,Each", 1),
    Kind.PAYEES: ("payee_id,name,hired_on", "p{0},Payee {0},2020-01-01", 200),
    Kind.TERRITORIES: ("territory_id,name", "t{0},Territory {0}", 50),
    Kind.PRODUCTS: ("product_id,name", "a{0},Product {0}", 50),
}


def write_sales(path: Path, count: int) -> None:
    """Write sales: every fifth is shared, every fiftieth takes an earlier one back."""
    random = Random(1)  # noqa: S311 - repeatable on purpose
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(HEADER)
        for number in range(count):
            cents = random.randrange(1_000, 1_000_000) * (-1 if number % 50 == 49 else 1)
            payees = (f"p{number % 200}", f"p{(number + 1) % 200}")
            writer.writerow(
                (
                    f"INV-{number}",
                    f"2025-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}",
                    *(f"{amount / 100:.2f}" for amount in (cents, cents * 9 // 10, cents * 6 // 10)),
                    "USD",
                    random.randrange(1, 9),
                    "Each",
                    f"Territory {random.randrange(50)}",
                    f"a{random.randrange(50)}",
                    f"Customer {random.randrange(5000)}",
                    payees[0] if number % 5 else "",
                    "" if number % 5 else f"{payees[0]}:0.6;{payees[1]}:0.4",
                    f"INV-{number - 7}" if number % 50 == 49 else "",
                )
            )


def write_masters(path: Path, header: str, line: str, count: int) -> None:
    """Write a file of master data."""
    path.write_text("\n".join((header, *(line.format(number) for number in range(count)))), encoding="utf-8")


async def measure(count: int, folder: Path) -> None:
    """Import the file twice and say how long it took."""
    sales = folder / "sales.csv"
    write_sales(sales, count)
    print(f"{count:,} sales, {sales.stat().st_size / 1e6:.0f} MB\n")
    print("| import | inserted | unchanged | s |\n|---|---|---|---|")
    async with open_servers(folder / "data") as servers:
        address, credentials = Address.parse(servers.postgres_url), Credentials(servers.master_secret)
        async with administration(address) as connection:
            await prepare(connection, credentials)
            await add_client(connection, CLIENT, credentials, LoginLimits())
        async with operations(address) as connection:
            for kind, (header, line, rows) in MASTERS.items():
                path = folder / f"{kind}.csv"
                write_masters(path, header, line, rows)
                await import_rows(connection, CLIENT.client_id, kind, path)
            for name in ("first", "again"):
                started = perf_counter()
                done = await import_rows(connection, CLIENT.client_id, Kind.SALES, sales)
                print(f"| {name} | {done.inserted:,} | {done.unchanged:,} | {perf_counter() - started:.1f} |")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\nPeak memory of the importing process: {peak_kib / 1024:.0f} MiB")


def main() -> None:
    """Measure in a directory that is gone afterwards."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="cm-import-") as name:
        asyncio.run(measure(count, Path(name)))


if __name__ == "__main__":
    main()
