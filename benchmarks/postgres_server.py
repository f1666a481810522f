"""A PostgreSQL of the benchmark's own on a port of 127.0.0.1, for programs that know no Unix sockets."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from commission_mcp.embedded.binaries import postgres_programs

AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
SETTINGS = ("shared_buffers=128MB", "max_connections=100", "jit=off", "timezone=UTC", "listen_addresses=127.0.0.1")


@contextmanager
def postgres_on_a_port() -> Generator[str]:
    """A server with an empty database `commission`; the URL of its superuser."""
    # PostgreSQL refuses to run as root.
    run = list(AS_NOBODY) if Path("/proc/self").is_dir() and Path("/proc/self").stat().st_uid == 0 else []
    programs, password = postgres_programs(), secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-pg-"))
    data, port = folder / "data", free_port()
    (folder / "password").write_text(password, "ascii")
    initdb = [programs / "initdb", "-D", data, "-U", "postgres", f"--pwfile={folder / 'password'}", "--no-locale"]
    subprocess.run([*run, *initdb, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"], check=True, capture_output=True)
    options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"port={port}", f"unix_socket_directories={folder}"))
    pg_ctl = [*run, programs / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*pg_ctl, "-l", folder / "log", "-o", options, "start"], check=True, capture_output=True)
    try:
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
