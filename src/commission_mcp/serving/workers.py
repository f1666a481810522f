"""The processes that serve HTTP: this one, or several that share a listening socket."""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from commission_mcp.app import prepare_embedded, reach
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.serving.application import PATH, HttpApplication
from commission_mcp.serving.connections import Connection
from commission_mcp.serving.draining import LINGER_S, DrainingServer
from commission_mcp.serving.identity import refuse_unsafe
from commission_mcp.serving.supervisor import Line, Supervisor
from commission_mcp.settings import Settings

_BACKLOG = 2_048
_KEEP_ALIVE_S = 75  # longer than load balancers keep a connection, so that they never reuse one that is closing
_WORKER_SILENT_S = 30.0
_FILES_MAX, _FILES_OF_OUR_OWN = 65_536, 256
_WORKER_CLOSES_S = 15.0

_log = logging.getLogger("commission_mcp.http")


def serve_http(settings: Settings) -> None:
    """Serve until told to stop; then let running calls finish.

    A SIGHUP replaces the workers one by one, each only after its successor answers.

    Raises:
        Refused: when the settings leave open who calls, an embedded server does not start, or the address is taken.
    """
    refuse_unsafe(settings)
    state_key = anyio.run(_state_key, settings)
    with _listening(settings) as listening:
        port: int = listening.getsockname()[1]
        _log.info("serving", extra={"url": _url(settings, port), "workers": settings.http_workers})
        if settings.http_workers == 1:
            http_server(HttpApplication(settings, state_key), settings).run(sockets=[listening])
        else:
            _serve_in_workers(settings, state_key, listening)
    sys.stderr.flush()


def _serve_in_workers(settings: Settings, state_key: bytes, listening: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="commission-mcp-metrics-") as folder:
        supervisor = Supervisor(
            _Worker(HttpApplication(settings, state_key, Path(folder)), settings),
            listening,
            settings.http_workers,
            silent_s=_WORKER_SILENT_S,
            ends_within_s=LINGER_S + settings.http_drain_timeout_s + _WORKER_CLOSES_S,
        )
        if not supervisor.run():
            sys.exit(STARTUP_FAILURE)


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a worker does."""

    application: HttpApplication
    settings: Settings

    def __call__(self, listening: socket.socket, line: Line) -> None:
        """Serve until told to end."""
        server = http_server(self.application, self.settings, told_to_retire=line.told_to_retire)
        server.run(sockets=[listening])


def http_server(
    application: HttpApplication,
    settings: Settings,
    linger_s: float = LINGER_S,
    told_to_retire: Callable[[], bool] | None = None,
) -> DrainingServer:
    """What serves it in this process."""
    linger_s = min(linger_s, settings.http_drain_timeout_s)
    return DrainingServer(http_config(application, settings), linger_s, told_to_retire)


def http_config(application: HttpApplication, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves it."""
    return uvicorn.Config(
        application,
        factory=True,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=_connections_max(),
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.http_drain_timeout_s,
    )


def _connections_max() -> int | None:
    """How many connections a process can hold and still open files and connections of its own."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = soft if hard == resource.RLIM_INFINITY else hard
    wanted = min(max(files, soft), _FILES_MAX)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - _FILES_OF_OUR_OWN, _FILES_OF_OUR_OWN)


async def _state_key(settings: Settings) -> bytes:
    """Start and prepare what is embedded, once for all workers; the key that they share derives from its secret."""
    async with reach(settings) as reached:
        await prepare_embedded(settings, reached)
        return reached.credentials.sealing_key("request state")


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    # With the protocol by name: asyncio switches Nagle's algorithm off only where it knows that this is TCP. With it
    # on, an answer of two packets waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.http_host, settings.http_port))
        listening.set_inheritable(True)
    except OSError as error:
        listening.close()
        raise Refused(
            Problem(
                Code.SETTING,
                f"The server cannot listen on {settings.http_host} port {settings.http_port}: {error.strerror}.",
                "Set COMMISSION_HTTP_HOST and COMMISSION_HTTP_PORT to an address of this machine that is free.",
                "COMMISSION_HTTP_PORT",
            )
        ) from None
    return listening


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"http://{host}:{port}{PATH}"
