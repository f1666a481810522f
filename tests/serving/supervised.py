"""A supervisor with workers that answer little, for its tests: `python -m serving.supervised FOLDER SILENT_S`."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from commission_mcp.serving.connections import Connection
from commission_mcp.serving.draining import DrainingServer
from commission_mcp.serving.supervisor import Line, Supervisor


@dataclass(frozen=True)
class Worker:
    """Answers with its number; hangs when asked for `/hang`; does not start where there is a file `broken`."""

    folder: Path

    def __call__(self, listening: socket.socket, line: Line) -> None:
        """Serve until told to end."""
        if (self.folder / "broken").exists():
            sys.exit(3)
        (self.folder / f"started-{os.getpid()}").touch()
        config = uvicorn.Config(
            answer, http=Connection, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=5
        )
        DrainingServer(config, told_to_retire=line.told_to_retire).run(sockets=[listening])


async def answer(
    scope: dict[str, Any], _: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """The number of this process."""
    if scope["path"] == "/hang":
        threading.Event().wait()
    body = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve with two workers, and say where."""
    folder, silent_s = Path(sys.argv[1]), float(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (folder / "port.new").write_text(str(listening.getsockname()[1]), "ascii")
        (folder / "port.new").rename(folder / "port")
        supervisor = Supervisor(Worker(folder), listening, 2, silent_s=silent_s, ends_within_s=60)
        sys.exit(0 if supervisor.run() else 3)


if __name__ == "__main__":
    main()
