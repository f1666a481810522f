"""Delivers messages, for tests that run several of it and kill them: `delivering_program.py DATA_DIRECTORY`."""

from __future__ import annotations

import sys

import anyio

from commission_mcp.app import open_storage
from commission_mcp.settings import load_settings
from commission_mcp.storage.outbox import Deliverer, Fallback


async def deliver(data_directory: str) -> None:
    """Deliver until killed, saying when it begins."""
    overrides = {"data_directory": data_directory, "client_id": "client-a"}
    async with open_storage(load_settings(environment={}, overrides=overrides).settings) as storage:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await Deliverer(lambda: storage.database, Fallback(), 0.02).run()


if __name__ == "__main__":
    anyio.run(deliver, sys.argv[1])
