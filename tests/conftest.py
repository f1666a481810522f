"""The real servers that the suite runs on, each started once per run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeAlias

import anyio
import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from mcp.client import Client as McpClient
from redis.asyncio import Redis
from redis.exceptions import RedisError

from commission_mcp.domain.caller import Role
from commission_mcp.embedded import open_servers
from commission_mcp.embedded.binaries import valkey_server
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.model import fetch_model
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Address,
    Client,
    Credentials,
    LoginLimits,
    add_client,
    administration,
    find_client,
    operations,
    prepare,
)
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows

# How long a drawn example takes says nothing about the product, and a busy machine takes as long as it likes.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

DEBIAN_POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
PROCESSES_MAX = 2
TEST_SECRET = "a secret of the test installation, 32 characters or more"  # noqa: S105 - guards test data only


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite, each with servers of its own; what is named is run in this one."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, PROCESSES_MAX) if whole else 0


@dataclass(frozen=True)
class Installation:
    """A prepared database with two small clients, `client-a` and `client-b`, of the same shape."""

    address: Address
    credentials: Credentials
    superuser_url: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def settings(self, client_id: str | None, **overrides: object) -> Settings:
        """Settings of a server on this installation."""
        # Only tests of the trail want one: it would turn up in the conversations of all others. A busy machine is no
        # reason for a bypass.
        chosen = {"client_id": client_id, "history_trail": False, "query_cache_wait_ms": 5_000, **overrides}
        return load_settings(environment=self.variables, overrides=chosen).settings


def missing(program: str, package: str) -> NoReturn:
    """Pass over what needs a program that is not installed, and say so; where all has to be tested, fail."""
    reason = f"{program} is not installed: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def debian_redis() -> Path:
    """Debian's redis-server, which can TLS."""
    program = Path("/usr/bin/redis-server")
    if not program.exists():
        missing("Debian's Redis", "redis-server")
    return program


class Connect(Protocol):
    """Opens an MCP client to a server of its own, in memory."""

    def __call__(
        self, installation: Installation, client_id: str | None = "client-a", **settings: object
    ) -> AbstractAsyncContextManager[McpClient]:
        """Open it, for one client and with these settings."""
        ...


VALKEY_PASSWORD = "a-password-of-the-test"  # noqa: S105 - of a server that a test starts
Ask: TypeAlias = Callable[..., Awaitable[Any]]


class Valkey:
    """A Valkey that the test may maltreat."""

    password = VALKEY_PASSWORD

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "socket"

    def address(self, password: str = VALKEY_PASSWORD) -> str:
        """Where it is."""
        return f"unix://:{password}@{self.socket}"

    @asynccontextmanager
    async def raw(self) -> AsyncGenerator[Ask]:
        """Sends commands to the server itself."""
        async with Redis.from_url(self.address()) as client:  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
            yield client.execute_command  # pyright: ignore[reportUnknownMemberType] - as above

    async def start(self) -> None:
        """Start it and wait until it answers."""
        options = ("--port", "0", "--unixsocket", str(self.socket), "--requirepass", VALKEY_PASSWORD, "--save", "")
        keeps = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(self._folder), "--loglevel", "warning")
        command = [valkey_server(), *options, *keeps]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - returns at once
        with anyio.fail_after(30):
            while not await self.answers():
                await anyio.sleep(0.01)

    async def answers(self) -> bool:
        """Whether it answers."""
        with suppress(RedisError):
            async with self.raw() as raw:
                await raw("PING")
                return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def stopped_valkey() -> Iterator[Valkey]:
    """One that the test starts."""
    with tempfile.TemporaryDirectory(prefix="cm-vk-") as name:  # short, because names of Unix sockets are
        server = Valkey(Path(name))
        yield server
        server.kill()


@pytest.fixture
async def valkey(stopped_valkey: Valkey) -> Valkey:
    """One that runs."""
    await stopped_valkey.start()
    return stopped_valkey


@pytest.fixture(scope="session")
def connect() -> Connect:
    """Servers on an installation, reached through MCP."""

    @asynccontextmanager
    async def open_client(
        installation: Installation, client_id: str | None = "client-a", **settings: object
    ) -> AsyncGenerator[McpClient]:
        async with McpClient(build_server(installation.settings(client_id, **settings))) as client:
            yield client

    return open_client


@pytest.fixture(scope="session")
def debian_program() -> Callable[[str], list[str]]:
    """How to run a program of Debian's PostgreSQL 15."""
    if not DEBIAN_POSTGRES_15.is_dir():
        missing("PostgreSQL 15", "postgresql-15")
    return lambda name: [*as_nobody(), str(DEBIAN_POSTGRES_15 / name)]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def model_directory() -> Path:
    """The embedding model, fetched once into the user's cache, or where COMMISSION_TEST_MODEL_DIRECTORY says."""
    given = os.environ.get("COMMISSION_TEST_MODEL_DIRECTORY")
    directory = Path(given) if given else Path.home() / ".cache" / "commission-mcp-tests" / "model"
    fetch_model(directory)
    return directory


@pytest.fixture
def documents(tmp_path: Path) -> dict[str, Any]:
    """Settings of a server with documents of two clients and for all, which are searched by their words alone."""
    folder = tmp_path / "documents"
    for name, text in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return {
        "documents_directory": folder,
        "client_documents_directory": folder / "client-specific",
        "index_directory": tmp_path / "index",
        "model_directory": tmp_path / "model",
        "model_fetch": False,
        "documents_watch_s": 0,
    }


@pytest.fixture(scope="session")
def embedder(model_directory: Path) -> Embedder:
    """The default embedder."""
    return open_embedder("sentence-transformers/all-MiniLM-L6-v2", model_directory)


@pytest.fixture(scope="session")
def data_directory() -> Iterator[Path]:
    """A data directory of the run; short, because Unix sockets have short names."""
    with tempfile.TemporaryDirectory(prefix="cm-test-") as name:
        yield Path(name) / "data"


@pytest.fixture(scope="session")
async def postgres_18(data_directory: Path) -> AsyncIterator[Installation]:
    """The embedded PostgreSQL."""
    async with open_servers(data_directory, grace_s=0.1) as servers:
        installation = Installation(
            Address.parse(servers.postgres_url),
            Credentials(servers.master_secret),
            servers.postgres_url,
            {"COMMISSION_DATA_DIRECTORY": str(data_directory)},
        )
        await _install(installation)
        yield installation


@pytest.fixture(scope="session")
async def postgres_15() -> AsyncIterator[Installation]:
    """Debian's PostgreSQL 15, as an external database."""
    if not DEBIAN_POSTGRES_15.is_dir():  # noqa: ASYNC240 - once, at the start
        missing("PostgreSQL 15", "postgresql-15")
    with _debian_server() as url:
        installation = Installation(
            Address.parse(url),
            Credentials(TEST_SECRET),
            url,
            {"COMMISSION_POSTGRES_URL": url, "COMMISSION_MASTER_SECRET": TEST_SECRET},
        )
        await _install(installation)
        yield installation


@pytest.fixture(scope="session", params=["postgres_18", "postgres_15"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """Both databases, one after the other."""
    return request.getfixturevalue(request.param)


async def _install(installation: Installation) -> None:
    async with administration(installation.address) as connection:
        await prepare(connection, installation.credentials)
        await connection.execute("CREATE SEQUENCE cm.a_sequence")  # the schema has none; those who attack one do
        for client_id, name in (("client-a", "Alpha Ltd"), ("client-b", "Beta GmbH")):
            client = Client(client_id, name, region="North America", time_zone="America/New_York")
            await add_client(connection, client, installation.credentials, LoginLimits())
            await _fill(connection, client_id)


async def _fill(connection: psycopg.AsyncConnection, client_id: str) -> None:
    """A few rows in the main tables; every text of a client carries its id, so that a foreign row shows."""
    await connection.execute("SET ROLE cm_ops")
    try:
        for statement in ROWS.split(";\n"):
            if statement.strip():
                await connection.execute(statement.replace("{client}", client_id).encode())
    finally:
        await connection.execute("RESET ROLE")


ROWS = """
INSERT INTO cm.territory (client_id, territory_id, name) VALUES
  ('{client}', 'north', 'North of {client}'), ('{client}', 'south', 'South of {client}');
INSERT INTO cm.product (client_id, product_id, name) VALUES
  ('{client}', 'pa', 'Product A of {client}'), ('{client}', 'pb', 'Product B of {client}');
INSERT INTO cm.uom (client_id, uom, name) VALUES ('{client}', 'EA', 'Each');
INSERT INTO cm.payee (client_id, payee_id, name, email, currency, hired_on, bank_account, salary, tax_id)
  SELECT '{client}', '{client}-p' || i, 'Payee ' || i || ' of {client}', 'p' || i || '@{client}.example.com', 'USD',
    date '2020-01-01' + i * 17, 'BANK-{client}-' || i, 50000 + i * 100, 'TAX-{client}-' || i
  FROM generate_series(1, 6) i;
INSERT INTO cm.period (client_id, period_id, kind, span)
  SELECT '{client}', to_char(m, 'YYYY-MM'), 'month', daterange(m::date, (m + interval '1 month')::date)
  FROM generate_series(timestamp '2025-01-01', '2025-12-01', interval '1 month') m;
INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, territory_id, product_id, customer,
    quantity, uom, gross, net, cost, currency)
  SELECT '{client}', '{client}-s' || i, 'erp', 'k' || i, date '2025-01-01' + i % 365,
    (ARRAY['north', 'south'])[1 + i % 2], (ARRAY['pa', 'pb'])[1 + i % 2],
    'Customer ' || i % 7 || ' of {client}', 1 + i % 5, 'EA',
    100 + i % 900 + 0.50,
    90 + i % 900, 40, 'USD'
  FROM generate_series(1, 400) i;
INSERT INTO cm.credit (client_id, sale_id, payee_id, credit_role, share)
  SELECT '{client}', '{client}-s' || i, '{client}-p' || 1 + i % 6, 'direct', 1 FROM generate_series(1, 400) i;
INSERT INTO cm.plan (client_id, plan_id, plan_name) VALUES ('{client}', 'plan-1', 'Plan of {client}');
INSERT INTO cm.plan_version (client_id, plan_id, version, status, valid, assignee_type, calculation_schedule,
    payment_schedule, currency, definition, definition_sha256, created_by)
  VALUES ('{client}', 'plan-1', 1, 'active', '[2025-01-01,2026-01-01)', 'Territory', 'Monthly', 'Monthly', 'USD', '{}',
    sha256('{}'), 'local');
"""


class Payroll:
    """A client of a test's own, with payees ann, bob and cat (who manages ann and bob), plans and sales as written."""

    def __init__(self, installation: Installation, connect: Connect, client_id: str) -> None:
        self.client_id = client_id
        self.installation = installation
        self._connect = connect

    def caller(self, subject: str = "local", roles: str = "finance") -> AbstractAsyncContextManager[McpClient]:
        """An MCP client of somebody; ann, bob and cat are users too."""
        return self._connect(self.installation, self.client_id, subject=subject, roles=roles)

    async def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement past row security, in which {client} is the client."""
        async with administration(self.installation.address) as connection:
            await connection.execute("SET ROLE cm_ops")
            cursor = await connection.execute(statement.replace("{client}", self.client_id).encode(), params)
            return await cursor.fetchall() if cursor.description else []

    async def plan(
        self,
        rules: list[dict[str, Any]],
        plan_id: str = "plan-1",
        version: int = 1,
        *,
        valid: str = "[2026-01-01,2027-01-01)",
        status: str = "active",
        **fields: object,
    ) -> None:
        """Store a version of a plan."""
        form: dict[str, Any] = {
            "plan_name": plan_id,
            "currency": "USD",
            "calculation_schedule": "Monthly",
            "rules": rules,
            **fields,
        }
        text = json.dumps(form)
        await self.execute("INSERT INTO cm.plan VALUES ('{client}', %s, %s) ON CONFLICT DO NOTHING", plan_id, plan_id)
        await self.execute(
            "INSERT INTO cm.plan_version (client_id, plan_id, version, status, valid, assignee_type,"
            " calculation_schedule, payment_schedule, currency, definition, definition_sha256, created_by)"
            " VALUES ('{client}', %s, %s, %s, %s, 'Payee', %s, %s, 'USD', %s, sha256(convert_to(%s, 'UTF8')), 'local')",
            *(plan_id, version, status, valid, form["calculation_schedule"], fields.get("payment_schedule", "Monthly")),
            *(text, text),
        )

    async def sell(self, sale_id: str, day: str, amount: str, payee: str = "ann", **columns: str) -> None:
        """Store a sale with its credits; `payee` may be `ann:0.5,bob:0.5`."""
        values = {"quantity": "1", "gross": amount, "net": amount, "currency": "USD", **columns}
        names = ", ".join(values)
        await self.execute(
            f"INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, {names})"
            f" VALUES ('{{client}}', %s, 'erp', %s, %s{', %s' * len(values)})",
            *(sale_id, sale_id, day, *values.values()),
        )
        credits_ = [part.partition(":") for part in payee.split(",") if part]
        await self.execute(
            "INSERT INTO cm.credit SELECT '{client}', %s, p, CASE WHEN s = 1 THEN 'direct' ELSE 'split' END, s"
            " FROM unnest(%s::text[], %s::numeric[]) c (p, s)",
            *(sale_id, [name for name, _, _ in credits_], [share or "1" for _, _, share in credits_]),
        )


@pytest.fixture
async def payroll(postgres_18: Installation, connect: Connect) -> Payroll:
    """A client of the test's own."""
    made = Payroll(postgres_18, connect, f"pay-{uuid.uuid4().hex[:12]}")
    async with administration(postgres_18.address) as connection:
        client = Client(made.client_id, "Payroll Inc", region="North America", time_zone="America/New_York")
        await add_client(connection, client, postgres_18.credentials, LoginLimits())
    await made.execute(PEOPLE)
    return made


PEOPLE = """WITH users AS (
  INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles)
  VALUES ('{client}', 'ann', 'local', 'ann', '{payee}'), ('{client}', 'bob', 'local', 'bob', '{payee}'),
    ('{client}', 'cat', 'local', 'cat', '{manager,payee}') RETURNING user_id),
payees AS (
  INSERT INTO cm.payee (client_id, payee_id, user_id, name, currency, hired_on, team, job_role)
  SELECT '{client}', p, CASE WHEN p <> 'dan' THEN p END, initcap(p), 'USD', '2020-01-01', 'East', 'Seller'
  FROM unnest(ARRAY['ann', 'bob', 'cat', 'dan']) p RETURNING payee_id)
INSERT INTO cm.reports_to
VALUES ('{client}', 'ann', 'cat', '[2020-01-01,)'), ('{client}', 'bob', 'cat', '[2020-01-01,)')"""


def as_nobody() -> list[str]:
    """What a command of PostgreSQL begins with, which refuses to run as root."""
    if Path("/proc/self").stat().st_uid != 0:
        return []
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]


@contextmanager
def _debian_server() -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="cm-pg15-") as name:
        data, log = Path(name) / "data", Path(name) / "log"
        run = as_nobody()
        subprocess.run(
            [
                *run,
                DEBIAN_POSTGRES_15 / "initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
        )
        options = f"-k {name} -c listen_addresses= -c fsync=off"
        pg_ctl = [*run, DEBIAN_POSTGRES_15 / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*pg_ctl, "-l", log, "-o", options, "start"], check=True, capture_output=True)
        try:
            yield f"postgresql://postgres@/postgres?host={name}"
        finally:
            subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, capture_output=True)
            shutil.rmtree(data, ignore_errors=True)


DOCUMENTS = {
    "policy.md": "# Policy\n\nClawback applies when a customer cancels within 90 days.\n",
    "client-specific/client-a/q4-bonuses.md": "# Bonuses\n\nThe Q4 performance bonus is 2 % of the yearly salary.\n\n"
    "## Contact\n\nAsk pay@alpha.example about it.\n",
    "client-specific/client-a/rates/north.csv": "Tier,From,Rate\nBase,0,5 %\nPlus,100000,7 %\n",
    "client-specific/client-a/broken.pdf": "This is no PDF.",
    "client-specific/client-b/secret-b.md": "# Beta\n\nThe Q4 performance bonus of Beta is 50 %, says x@b.example.\n",
    "client-specific/client-b/broken-b.pdf": "This is no PDF either.",
}


DEMO_PEOPLE = ("author", "second-author", "analyst", "approver", "finance", "compliance", "everyone")


Demo: TypeAlias = Callable[..., AbstractAsyncContextManager[McpClient]]


@pytest.fixture(scope="session")
async def demo_installation() -> AsyncIterator[Installation]:
    """A server of its own for the demo's data, with `client-a` and `client-b` beside it."""
    with tempfile.TemporaryDirectory(prefix="cm-demo-") as name:
        directory = Path(name) / "data"
        async with open_servers(directory, grace_s=0.1) as servers:
            installation = Installation(
                Address.parse(servers.postgres_url),
                Credentials(servers.master_secret),
                servers.postgres_url,
                {"COMMISSION_DATA_DIRECTORY": str(directory)},
            )
            await _install(installation)
            yield installation


@pytest.fixture(scope="session")
async def demo_client(demo_installation: Installation) -> str:
    """`client-abc` with the demo's rows and local users, each of whom may be given any role by the settings."""
    known = DEMO_CLIENTS[0]
    client = Client(
        known.client_id,
        known.name,
        region=known.region,
        time_zone=known.time_zone,
        tier=known.tier,
        compliance_level=known.compliance_level,
    )
    async with administration(demo_installation.address) as connection:
        if await find_client(connection, known.client_id) is None:
            await add_client(connection, client, demo_installation.credentials, LoginLimits())
    async with operations(demo_installation.address) as connection:
        await load_demo_rows(connection, known)
        for name in DEMO_PEOPLE:
            await connection.execute(
                "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT DO NOTHING",
                [known.client_id, f"local-{name}", LOCAL_ISSUER, name, [str(role) for role in Role]],
            )
        await connection.execute(
            "UPDATE cm.client_profile SET compliance_level = 'enterprise' WHERE client_id = %s", [known.client_id]
        )
    return known.client_id


@pytest.fixture(scope="session")
def demo(connect: Connect, demo_installation: Installation, demo_client: str) -> Demo:
    """Opens a connection as one of the demo's people."""

    @asynccontextmanager
    async def open_as(subject: str, **settings: object) -> AsyncGenerator[McpClient]:
        async with connect(demo_installation, demo_client, subject=subject, **settings) as client:
            yield client

    return open_as
