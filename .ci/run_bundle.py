"""Run a bundle as a host does: unpack it, put the form's answers into its command, start that, list and call tools."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from time import perf_counter

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


def filled(text: str, folder: Path, answers: dict[str, str]) -> str:
    """The text with `${__dirname}` and `${user_config.NAME}` in place."""
    text = text.replace("${__dirname}", str(folder)).replace("${HOME}", str(Path.home()))
    return re.sub(r"\$\{user_config\.(\w+)\}", lambda match: answers[match[1]], text)


async def main(mcpb: str, bundle: str, data_directory: str, unpacked: str) -> None:
    """Unpack, start, ask; a different answer than expected is an error."""
    await anyio.run_process([mcpb, "unpack", bundle, unpacked])
    folder = Path(str(await anyio.Path(unpacked).resolve()))
    manifest = json.loads(await anyio.Path(folder / "manifest.json").read_text("utf-8"))
    form = manifest["user_config"]
    answers = {name: str(field.get("default", "")) for name, field in form.items()} | {"data_directory": data_directory}
    config = manifest["server"]["mcp_config"]
    command = StdioServerParameters(
        command=config["command"],
        args=[filled(argument, folder, answers) for argument in config["args"]],
        env={**os.environ, **{name: filled(value, folder, answers) for name, value in config["env"].items()}},
        cwd="/",
    )
    for start in ("first", "second"):
        started_s = perf_counter()
        async with Client(stdio_client(command), read_timeout_seconds=600) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            listed_s = perf_counter() - started_s
            answer = await client.call_tool("query", {"sql": "SELECT client_id FROM clients"})
            rows = (answer.structured_content or {}).get("rows")
            assert rows == [[answers["client_id"]]], answer
            assert {"query", "schema", "rag_search", "plan_wizard"} <= set(tools), tools
        print(
            f"the bundle's {start} start: {len(tools)} tools after {listed_s:.1f} s; `query` answered for {rows[0][0]}"
        )


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
