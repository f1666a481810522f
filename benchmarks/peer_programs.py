"""The other MCP servers for PostgreSQL that `peers.py` measures: how they are installed, started and asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

NODE = "node@22"
POSTGRES_MCP = "postgres-mcp==0.3.0"
# It pins pglast to 7.2.0. Where the index has no such version, the nearest one that it has is taken, and said.
POSTGRES_MCP_NEEDS = ("mcp[cli]<2", "psycopg[binary]", "psycopg-pool", "humanize", "attrs", "instructor", "pglast<8")
PACKAGES = {"dbhub": "@bytebase/dbhub@1", "server-postgres": "@modelcontextprotocol/server-postgres@0.6"}


@dataclass(frozen=True, slots=True)
class Program:
    """A server that answers SQL over stdio.

    Attributes:
        name: What it is called in tables, with its version.
        command: How it is started.
        tool: Its tool for SQL, whose argument is called `sql`.
        arguments: What is sent with each question besides.
        on_tables: Whether it is asked on the tables with a WHERE, and not on a client's views.
        variables: Its environment, besides the benchmark's own.
    """

    name: str
    command: tuple[str, ...]
    tool: str
    arguments: dict[str, int] = field(default_factory=dict[str, int])
    on_tables: bool = True
    variables: dict[str, str] = field(default_factory=dict[str, str])


def installed_peers(folder: Path, url: str) -> tuple[list[Program], list[str]]:
    """Install what can be installed into a folder, once; what could not, and what differs from its own wishes."""
    programs: list[Program] = []
    notes: list[str] = []
    for install in (_dbhub, _server_postgres, _postgres_mcp):
        try:
            programs.append(install(folder, url, notes))
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or b""
            lines = [line for line in said.decode(errors="replace").splitlines() if "ERR" in line.upper()]
            notes.append(f"{install.__name__.strip('_')} was not measured: {lines[-1] if lines else error}.")
    return programs, notes


def _dbhub(folder: Path, url: str, _notes: list[str]) -> Program:
    package = _from_npm(folder, "dbhub", "@bytebase/dbhub")
    command = (_node(folder), str(package / "dist" / "index.js"), "--transport", "stdio")
    variables = {"DSN": url.replace("postgresql:", "postgres:") + "?sslmode=disable"}
    return Program(f"dbhub {_version(package)}", command, "execute_sql", variables=variables)


def _server_postgres(folder: Path, url: str, _notes: list[str]) -> Program:
    package = _from_npm(folder, "server-postgres", "@modelcontextprotocol/server-postgres")
    command = (_node(folder), str(package / "dist" / "index.js"), url)
    return Program(f"server-postgres {_version(package)}", command, "query")


def _postgres_mcp(folder: Path, url: str, notes: list[str]) -> Program:
    home = folder / "postgres-mcp"
    program, pip = home / "bin" / "postgres-mcp", [str(home / "bin" / "python"), "-m", "pip"]
    if not program.exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([_newer_python(), "-m", "venv", str(home)])
        _run([*pip, "install", "-q", *POSTGRES_MCP_NEEDS])
        _run([*pip, "install", "-q", "--no-deps", POSTGRES_MCP])
    ran = subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True)
    versions = {each["name"]: each["version"] for each in json.loads(ran.stdout)}
    if versions["pglast"] != "7.2.0":
        notes.append(f"postgres-mcp ran with pglast {versions['pglast']}; it asks for 7.2.0, which the index lacks.")
    command = (str(program), url, "--access-mode", "restricted")
    return Program(f"postgres-mcp {versions['postgres-mcp']}", command, "execute_sql")


def _from_npm(folder: Path, name: str, package: str) -> Path:
    installed = folder / name / "node_modules" / package
    if not installed.exists():
        _npm(folder / "node", NODE)
        # By that Node, since npm takes the newest version that runs on the Node it runs on.
        _npm(folder / name, PACKAGES[name], Path(_node(folder)).parent)
    return installed


def _npm(folder: Path, package: str, node: Path | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(node or ""), os.environ["PATH"])))
    _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package], path)


def _node(folder: Path) -> str:
    return str(folder / "node" / "node_modules" / "node" / "bin" / "node")


def _newer_python() -> str:
    """A Python of at least 3.12, which postgres-mcp needs; perhaps the one that runs this."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[2-4]*/bin/python"), reverse=True)
    candidates = [sys.executable, *(shutil.which(f"python3.{minor}") for minor in (14, 13, 12)), *map(str, pyenv)]
    for candidate in filter(None, candidates):
        ran = subprocess.run(
            [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 12))"], check=False, capture_output=True
        )
        if ran.returncode == 0:
            return candidate
    raise FileNotFoundError("it needs Python 3.12, and there is none")


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text("utf-8"))["version"])


def _run(command: list[str], path: str | None = None) -> None:
    environment = dict(os.environ) | ({"PATH": path} if path else {})
    subprocess.run(command, check=True, capture_output=True, env=environment)
