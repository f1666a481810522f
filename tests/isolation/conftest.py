"""Attackers, with the guard switched off or with a client's own login, and a witness who sees what they left behind."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.embedded import open_servers
from commission_mcp.errors import Code, Refused
from commission_mcp.sqlguard.statement import SEAL, Select
from commission_mcp.storage import (
    Address,
    Client,
    Credentials,
    Database,
    DatabaseLimits,
    LoginLimits,
    ReplicaAddresses,
    Table,
    Value,
    add_client,
    administration,
    open_database,
    operations,
    prepare,
)
from commission_mcp.storage.reading import Reading

if TYPE_CHECKING:
    from conftest import Installation

OWN, OTHER = "client-a", "client-b"
FOREIGN = re.compile(r"client-b|Beta GmbH", re.IGNORECASE)
DEADLINE_S = 60.0
_CATALOGS = (
    *(
        "pg_authid",
        "pg_auth_members",
        "pg_class",
        "pg_db_role_setting",
        "pg_default_acl",
        "pg_description",
        "pg_namespace",
    ),
    *("pg_largeobject", "pg_largeobject_metadata", "pg_policy", "pg_proc", "pg_shdescription", "pg_trigger", "pg_type"),
)
_POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
_SECRET = "a secret of an installation that is broken on purpose"  # noqa: S105 - guards test data only


def _caller(*roles: Role) -> Caller:
    """The local user of client A; an analyst, who reads masked, unless told otherwise."""
    return Caller(OWN, "local", "local", frozenset(roles or {Role.ANALYST}))


class Witness:
    """A superuser who sees every row, role, right and lock of an installation."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        # Of a catalog, which versions of which rows there are; VACUUM and ANALYZE write to pg_class in place.
        self._state = self._hashes("concat(ctid, xmin, xmax)", _CATALOGS)
        written_in_place = ("relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid")
        plain = "to_jsonb(t)" + "".join(f" - '{column}'" for column in written_in_place)
        self._meaning = self._hashes(f"({plain})::text", [each for each in _CATALOGS if each != "pg_proc"])

    def values(self, query: str, *parameters: object) -> list[object]:
        """The first column of an answer."""
        return [row[0] for row in self.connection.execute(query.encode(), parameters or None).fetchall()]

    def state(self) -> dict[str, str]:
        """A hash of each table of the product, and of what in the catalogs a statement could change."""
        rows = self.connection.execute(self._state.encode()).fetchall()
        return {str(name): str(digest) for name, digest in rows}

    def meaning(self) -> dict[str, str]:
        """The same, but for new versions of rows that say what they said before, as an idle GRANT leaves them."""
        rows = self.connection.execute(self._meaning.encode()).fetchall()
        return {str(name): str(digest) for name, digest in rows}

    def active(self, login: str) -> list[object]:
        """The backends of a login that are at work, or in a transaction."""
        return self.values(
            "SELECT pid FROM pg_stat_activity WHERE usename = %s AND (state <> 'idle' OR xact_start IS NOT NULL)", login
        )

    def locks(self, login: str) -> list[object]:
        """What a login's backends hold."""
        return self.values(
            "SELECT l.locktype || ' ' || l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE a.usename = %s",
            login,
        )

    def _hashes(self, of_catalogs: str, catalogs: Iterable[str]) -> str:
        own = self.values(
            "SELECT oid::regclass::text FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('cm', 'cm_priv')"
        )
        hashed = [(table, "t::text") for table in own] + [(table, of_catalogs) for table in catalogs]
        queries = [
            f"SELECT '{table}', concat(count(*), ' ', sum(hashtextextended({row}, 0))) FROM {table} t"
            for table, row in hashed
        ]
        queries.append("SELECT 'sequences', string_agg(concat(sequencename, last_value), ' ') FROM pg_sequences")
        queries.append("SELECT 'prepared', count(*)::text FROM pg_prepared_xacts")
        return " UNION ALL ".join(queries)


@dataclass(frozen=True)
class Outcome:
    """How an attack ended: a table, or the codes of a refusal."""

    table: Table | None
    codes: frozenset[Code]
    text: str

    @property
    def rows(self) -> list[tuple[object, ...]]:
        """The rows that came back, none after a refusal."""
        return self.table.rows if self.table else []


@dataclass
class Attacker:
    """Client A behind `Reading.fetch` with the guard switched off; every attempt is checked for what it left behind."""

    reading: Reading
    witness: Witness
    before: dict[str, str] = field(default_factory=dict[str, str])
    session: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def login(self) -> str:
        """The database login that the reading uses."""
        return self.reading.admission.login

    @asynccontextmanager
    async def pooled(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        """A connection from the pool that the reading uses."""
        nodes = self.reading._nodes  # pyright: ignore[reportPrivateUsage] - an attack from within
        async with nodes.primary.lend(self.login) as connection:
            yield connection

    async def ask(self, sql: str, *params: Value, rows_max: int = 100_000) -> Outcome:
        """Run a text; nothing is checked."""
        try:
            unchecked = Select(sql, 0, frozenset(), ordered=False, volatile=False, seal=SEAL)
            table = await self.reading.fetch(unchecked, params, rows_max=rows_max)
        except Refused as refused:
            return Outcome(None, frozenset(problem.code for problem in refused.problems), str(refused))
        return Outcome(table, frozenset(), f"{table.columns}{table.rows}")

    async def attempt(self, sql: str, *params: Value) -> Outcome:
        """Run a text and check: nothing foreign came back, nothing was written, changed in the session or locked."""
        outcome = await self.ask(sql, *params)
        assert not FOREIGN.search(outcome.text)
        await self.check_nothing_left()
        return outcome

    async def remember(self) -> None:
        """Take what is there now for the state that no attempt may change."""
        self.before, self.session = self.witness.state(), await self._session()

    async def check_nothing_left(self) -> None:
        """Compare with what was remembered."""
        assert await self._session() == self.session
        assert self.witness.active(self.login) == []
        assert self.witness.locks(self.login) == []
        assert self.witness.state() == self.before

    async def _session(self) -> dict[str, str]:
        async with self.pooled() as connection:
            assert connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
            # Every setting, those that SHOW ALL leaves out, and prepared statements, portals and listening channels.
            shown = await (await connection.execute("SHOW ALL")).fetchall()
            # PL/pgSQL brings its own at the first look at a row.
            settings = {str(row[0]): str(row[1]) for row in shown if not str(row[0]).startswith("plpgsql.")}
            for name in ("role", "session_authorization", "row_security", "app.client_id", "cm.client", "seed"):
                try:
                    row = await (await connection.execute(f"SHOW {name}".encode())).fetchone()
                except psycopg.Error as error:
                    row = (error.sqlstate,)
                settings[name] = str(row)
            return settings


@dataclass(frozen=True)
class Broken:
    """A prepared database with clients A and B, of its own for tests that break it."""

    address: Address
    credentials: Credentials
    superuser_url: str


class Intruder:
    """Someone who has stolen a client's own database login, and speaks to the server without our program."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._notices: list[str] = []
        connection.pgconn.notice_handler = lambda notice: self._notices.append(notice.get_error_message())

    @property
    def pid(self) -> int:
        """The process that serves it."""
        return self.connection.info.backend_pid

    def say(self, text: str) -> str:
        """Send a text by the simple protocol, as many statements as it holds; all that the server says to it."""
        connection, said = self.connection.pgconn, self._notices
        said.clear()
        connection.send_query(text.encode())
        while result := connection.get_result():
            said.append(result.get_error_message())
            if result.status == pq.ExecStatus.COPY_IN:
                connection.put_copy_end(b"no")
            elif result.status == pq.ExecStatus.COPY_OUT:
                said += _copied_out(connection)
            said += [
                bytes(result.get_value(row, column) or b"").decode(errors="replace")
                for row in range(result.ntuples)
                for column in range(result.nfields)
            ]
        return "\n".join(said)


def _copied_out(connection: pq.abc.PGconn) -> Generator[str]:
    while True:
        length, data = connection.get_copy_data(0)
        if length < 0:
            return
        yield bytes(data).decode(errors="replace")


class Prepared(Protocol):
    """Where a prepared database is, and how to get in."""

    @property
    def address(self) -> Address:
        """The database."""
        ...

    @property
    def credentials(self) -> Credentials:
        """What logins and passwords come from."""
        ...

    @property
    def superuser_url(self) -> str:
        """The way in for a superuser."""
        ...


class Steal(Protocol):
    """Logs in with a client's own credential."""

    def __call__(
        self, client_id: str = ..., masking: MaskingClass = ..., **connection: str
    ) -> AbstractContextManager[Intruder]:
        """A connection as that login."""
        ...


class LogIn(Protocol):
    """Logs in to an installation with a client's own credential."""

    def __call__(
        self, installation: Prepared, client_id: str = ..., masking: MaskingClass = ..., **connection: str
    ) -> AbstractContextManager[Intruder]:
        """A connection as that login."""
        ...


class Guarded(Protocol):
    """Opens a database as the server does."""

    def __call__(self, installation: Prepared, limits: DatabaseLimits = ...) -> AbstractAsyncContextManager[Database]:
        """It is checked, and refused when its isolation is broken."""
        ...


class ReadAs(Protocol):
    """Opens an installation and reads as an analyst of client A, guard off."""

    def __call__(self, installation: Prepared, limits: DatabaseLimits) -> AbstractAsyncContextManager[Attacker]:
        """The attacker, with a witness of the installation."""
        ...


@contextmanager
def _log_in(
    installation: Prepared, client_id: str = OWN, masking: MaskingClass = MaskingClass.MASKED, **connection: str
) -> Generator[Intruder]:
    login = connection.setdefault("user", installation.credentials.reader_login(client_id, masking))
    known = conninfo_to_dict(installation.superuser_url)
    known |= {"password": installation.credentials.password(login)} | connection
    opened = psycopg.connect(make_conninfo("", **known), autocommit=True)
    try:
        yield Intruder(opened)
    finally:
        opened.close()


@asynccontextmanager
async def _embedded_installation() -> AsyncGenerator[Broken]:
    with tempfile.TemporaryDirectory(prefix="cm-broken-") as name:
        async with open_servers(Path(name) / "data", grace_s=0.1) as servers:
            url = servers.postgres_url
            yield await _install(Broken(Address.parse(url), Credentials(servers.master_secret), url))


@asynccontextmanager
async def _debian_installation() -> AsyncGenerator[Broken]:
    with _debian_server() as url:
        yield await _install(Broken(Address.parse(url), Credentials(_SECRET), url))


@contextmanager
def _debian_server() -> Generator[str]:
    if not _POSTGRES_15.is_dir():
        pytest.fail("PostgreSQL 15 is not installed: apt-get install postgresql-15")
    with tempfile.TemporaryDirectory(prefix="cm-broken-15-") as name:
        as_nobody = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
        run = as_nobody if Path("/proc/self").stat().st_uid == 0 else []
        data = Path(name) / "data"
        initialise = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        subprocess.run([*run, _POSTGRES_15 / initialise[0], *initialise[1:]], check=True, capture_output=True)
        control = [*run, _POSTGRES_15 / "pg_ctl", "-D", data, "-w"]
        options = f"-k {name} -c listen_addresses= -c fsync=off"
        subprocess.run([*control, "-l", Path(name) / "log", "-o", options, "start"], check=True, capture_output=True)
        try:
            yield f"postgresql://postgres@/postgres?host={name}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)
            shutil.rmtree(data, ignore_errors=True)


async def _install(broken: Broken) -> Broken:
    async with administration(broken.address) as connection:
        await prepare(connection, broken.credentials)
        for client_id, name in ((OWN, "Alpha Ltd"), (OTHER, "Beta GmbH")):
            await add_client(connection, Client(client_id, name), broken.credentials, LoginLimits())
    async with operations(broken.address) as connection:
        for client_id in (OWN, OTHER):
            await connection.execute(
                "INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, quantity, gross, net, "
                "currency, customer) SELECT %(id)s, 's' || i, 'erp', i, '2025-01-01', 1, 1, 1, 'USD', %(id)s "
                "FROM generate_series(1, 400) i",
                {"id": client_id},
            )
    return broken


@pytest.fixture(scope="session")
def witness(installation: Installation) -> Generator[Witness]:
    """A witness of the shared installation."""
    witness = Witness(installation.superuser_url)
    yield witness
    witness.connection.close()


@pytest.fixture(scope="session")
def open_guarded() -> Guarded:
    """The database of an installation, opened as the server opens it."""

    def open_it(installation: Prepared, limits: DatabaseLimits | None = None) -> AbstractAsyncContextManager[Database]:
        replicas = ReplicaAddresses()
        return open_database(installation.address, installation.credentials, limits or DatabaseLimits(), replicas)

    return open_it


@pytest.fixture(scope="session")
async def attacker(installation: Installation, witness: Witness, open_guarded: Guarded) -> AsyncGenerator[Attacker]:
    """An analyst of client A on the shared installation; what changes an installation on purpose uses `broken`."""
    async with open_guarded(installation) as database, database.reading(_caller()) as reading:
        attacker = Attacker(reading, witness)
        await attacker.remember()
        yield attacker


@pytest.fixture(scope="session")
async def attacker_unmasked(
    installation: Installation, witness: Witness, open_guarded: Guarded
) -> AsyncGenerator[Attacker]:
    """The same as finance, who reads unmasked."""
    async with (
        open_guarded(installation) as database,
        database.reading(_caller(Role.ANALYST, Role.FINANCE)) as reading,
    ):
        yield Attacker(reading, witness)


@pytest.fixture
def read_as(open_guarded: Guarded) -> ReadAs:
    """Attackers of any installation."""

    @asynccontextmanager
    async def open_it(installation: Prepared, limits: DatabaseLimits) -> AsyncGenerator[Attacker]:
        witness = Witness(installation.superuser_url)
        try:
            async with open_guarded(installation, limits) as database, database.reading(_caller()) as reading:
                attacker = Attacker(reading, witness)
                await attacker.remember()
                yield attacker
        finally:
            witness.connection.close()

    return open_it


@pytest.fixture
async def attacker_in_a_hurry(installation: Installation, read_as: ReadAs) -> AsyncGenerator[Attacker]:
    """The same one, held to half a second and to 4 MiB."""
    async with read_as(installation, DatabaseLimits(query_timeout_ms=500, result_bytes_max=4 * 2**20)) as attacker:
        yield attacker


@pytest.fixture(scope="session")
def steal(installation: Installation) -> Steal:
    """Log in to the shared installation as one of its clients."""

    def steal(
        client_id: str = OWN, masking: MaskingClass = MaskingClass.MASKED, **connection: str
    ) -> AbstractContextManager[Intruder]:
        return _log_in(installation, client_id, masking, **connection)

    return steal


@pytest.fixture(scope="session")
def log_in() -> LogIn:
    """Log in to any installation as one of its clients."""
    return _log_in


@pytest.fixture(params=["18", "15"])
def broken(request: pytest.FixtureRequest) -> Broken:
    """An installation to be broken; whoever breaks it repairs it."""
    fixture: Broken = request.getfixturevalue(f"broken_{request.param}")
    return fixture


@pytest.fixture(scope="session")
async def broken_18() -> AsyncGenerator[Broken]:
    """An embedded one."""
    async with _embedded_installation() as broken:
        yield broken


@pytest.fixture(scope="session")
async def broken_15() -> AsyncGenerator[Broken]:
    """One on Debian's PostgreSQL."""
    async with _debian_installation() as broken:
        yield broken


@pytest.fixture
def superuser(broken: Broken) -> Generator[Witness]:
    """A superuser of the installation to be broken."""
    witness = Witness(broken.superuser_url)
    yield witness
    witness.connection.close()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait on a condition, with a deadline."""

    def wait(condition: Callable[[], object], *, within_s: float = DEADLINE_S) -> None:
        deadline, pause = time.monotonic() + within_s, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "it never became true"
            pause.wait(0.005)

    return wait
