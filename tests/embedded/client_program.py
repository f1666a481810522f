"""Hold the servers of a data directory until stdin ends: a client in a process of its own.

The options of `open_servers` are the first line of stdin; its addresses, or a refusal, are the one line of stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from commission_mcp.embedded import open_servers
from commission_mcp.errors import Refused


async def main() -> None:
    options = json.loads(sys.stdin.readline())
    directory = Path(options.pop("directory"))
    try:
        async with open_servers(directory, **options) as servers:
            urls = {name: getattr(servers, f"{name}_url") for name in ("postgres", "history", "cache")}
            print(json.dumps(urls | {"master": servers.master_secret}), flush=True)  # noqa: T201 - for the test
            await asyncio.to_thread(sys.stdin.read)
    except Refused as refused:
        problems = [(problem.code, str(problem)) for problem in refused.problems]
        print(json.dumps({"refused": problems}), flush=True)  # noqa: T201 - for the test


if __name__ == "__main__":
    asyncio.run(main())
