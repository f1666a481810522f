"""Prepares a database: roles, rights, schema. Run by a superuser under a lock, and a no-op when nothing is to do."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TypeAlias

import psycopg
from psycopg import sql

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.address import Address
from commission_mcp.storage.credentials import AUDIT, GATE, OPERATIONS, WRITER, Credentials
from commission_mcp.storage.isolation import OBJECT_DIGESTS, refuse_changed_definitions
from commission_mcp.storage.migrations import Migration, all_migrations
from commission_mcp.storage.reader_functions import reader_functions

Administration: TypeAlias = psycopg.AsyncConnection

_LOCK = 4_037_220_117  # any number that nothing else in the database locks
# The first releases without CVE-2026-6473, by major version.
_MINIMUM_VERSIONS = {15: 150018, 16: 160014, 17: 170010, 18: 180004}


def prepare_script() -> str:
    """The SQL that a superuser runs once in a dedicated database, and again after an upgrade."""
    text = files("commission_mcp.storage").joinpath("prepare.sql").read_text("utf-8")
    return text.replace("{{reader_functions}}", reader_functions())


@asynccontextmanager
async def administration(address: Address) -> AsyncGenerator[psycopg.AsyncConnection]:
    """A connection as the login of the URL: for setting up, loading and looking after clients, never for serving.

    Raises:
        Refused: with `E_DATABASE_UNREACHABLE`.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(
            address.conninfo("commission-mcp administration"), autocommit=True
        )
    except psycopg.OperationalError:
        raise unreachable(address) from None
    async with connection:
        yield connection


@asynccontextmanager
async def operations(address: Address) -> AsyncGenerator[psycopg.AsyncConnection]:
    """An administration connection that works as `cm_ops`: past row security, without rights over the schema.

    Raises:
        Refused: with `E_DATABASE_UNREACHABLE` or `E_DATABASE_RIGHTS`.
    """
    async with administration(address) as connection:
        try:
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OPERATIONS)))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
            raise Refused(
                Problem(
                    Code.DATABASE_RIGHTS,
                    "The login of the PostgreSQL URL may not act as `cm_ops`, or the database is not prepared.",
                    "Run `commission-mcp setup` with a superuser's URL first, and use that URL for this command.",
                    "COMMISSION_POSTGRES_URL",
                )
            ) from None
        yield connection


def unreachable(address: Address) -> Refused:
    """The refusal for a database that does not answer."""
    return Refused(
        Problem(
            Code.DATABASE_UNREACHABLE,
            f"PostgreSQL at {address.place} does not answer, or refuses the login.",
            "Check that it runs, and host, port, database and password; then run `commission-mcp doctor`.",
            "COMMISSION_POSTGRES_URL",
        )
    )


async def prepare(connection: psycopg.AsyncConnection, credentials: Credentials) -> bool:
    """Bring the database to this program's state; True when something had to be done.

    Args:
        connection: An administration connection of a superuser.
        credentials: What the passwords of the serving logins come from.

    Raises:
        Refused: with `E_DATABASE_VERSION`, `E_DATABASE_RIGHTS`, `E_MIGRATION`, `E_DATA_DIRECTORY_NEWER` or
            `E_ISOLATION`.
    """
    check_version(connection.info.server_version)
    await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        fingerprint = _fingerprint(credentials)
        if await _is_current(connection, fingerprint):
            return False
        await _require_superuser(connection)
        if await _is_recorded(connection):
            # What is found now will be recorded as sound afterwards, so it has to be what was recorded before.
            await refuse_changed_definitions(connection)
        async with connection.transaction():
            await _run(connection, prepare_script())
        await _migrate(connection)
        await _set_passwords(connection, credentials)
        await _record(connection, fingerprint)
        return True
    finally:
        await connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


async def require_prepared(connection: psycopg.AsyncConnection, credentials: Credentials) -> None:
    """Refuse a database that is not in this program's state; any login that may serve can ask.

    Raises:
        Refused: with `E_DATABASE_NOT_PREPARED`.
    """
    if not await _is_current(connection, _fingerprint(credentials)):
        raise Refused(
            Problem(
                Code.DATABASE_NOT_PREPARED,
                "The database is not prepared, or was prepared by another version of this program.",
                "Run `commission-mcp setup` with a superuser's URL and the same COMMISSION_MASTER_SECRET.",
                "COMMISSION_POSTGRES_URL",
            )
        )


def check_version(server_version: int) -> None:
    """Refuse servers with a known way past row security.

    Raises:
        Refused: with `E_DATABASE_VERSION`.
    """
    major = server_version // 10000
    minimum = _MINIMUM_VERSIONS.get(major, 0 if major > max(_MINIMUM_VERSIONS) else None)
    if minimum is None or server_version < minimum:
        least = ", ".join(f"{number // 10000}.{number % 100}" for number in _MINIMUM_VERSIONS.values())
        raise Refused(
            Problem(
                Code.DATABASE_VERSION,
                f"PostgreSQL {major}.{server_version % 100} is older than this server may stand on (CVE-2026-6473).",
                f"Upgrade to one of: {least}, or newer.",
                "COMMISSION_POSTGRES_URL",
            )
        )


def _fingerprint(credentials: Credentials) -> str:
    parts = [prepare_script(), *(step.sha256 for step in all_migrations()), credentials.sealing_key("prepared").hex()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def _is_recorded(connection: psycopg.AsyncConnection) -> bool:
    row = await (await connection.execute("SELECT to_regclass('cm_priv.installation') IS NOT NULL")).fetchone()
    if row is None or not row[0]:
        return False
    return await (await connection.execute("SELECT FROM cm_priv.installation")).fetchone() is not None


async def _is_current(connection: psycopg.AsyncConnection, fingerprint: str) -> bool:
    if not await _is_recorded(connection):
        return False
    row = await (await connection.execute("SELECT fingerprint FROM cm_priv.installation")).fetchone()
    return row is not None and row[0] == fingerprint


async def _require_superuser(connection: psycopg.AsyncConnection) -> None:
    row = await (await connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")).fetchone()
    if row is None or not row[0]:
        raise Refused(
            Problem(
                Code.DATABASE_RIGHTS,
                "Preparing the database takes a superuser: it revokes the system's functions and tables from PUBLIC.",
                "Run `commission-mcp setup` with a superuser's URL, or give its script (`setup --print`) to a DBA. "
                "Serving needs no such rights.",
                "COMMISSION_POSTGRES_URL",
            )
        )


async def _run(connection: psycopg.AsyncConnection, script: str) -> None:
    # Scripts of this package, several statements each: the simple protocol takes them as one text.
    await connection.execute(sql.SQL(script))  # pyright: ignore[reportArgumentType] - a file of this package, no input


async def _migrate(connection: psycopg.AsyncConnection) -> None:
    rows = await (await connection.execute("SELECT number, sha256 FROM cm_priv.migration")).fetchall()
    applied = {int(number): str(sha256) for number, sha256 in rows}
    steps = all_migrations()
    _check_applied(applied, steps)
    for step in steps:
        if step.number not in applied:
            await _apply(connection, step)


def _check_applied(applied: dict[int, str], steps: tuple[Migration, ...]) -> None:
    known = {step.number: step for step in steps}
    newer = sorted(applied.keys() - known.keys())
    if newer:
        raise Refused(
            Problem(
                Code.DATA_DIRECTORY_NEWER,
                f"The database was migrated by a newer program (step {newer[-1]}; this one knows {max(known)}).",
                "Install that version of commission-mcp or a newer one.",
            )
        )
    for number, sha256 in applied.items():
        if known[number].sha256 != sha256:
            raise Refused(
                Problem(
                    Code.MIGRATION,
                    f"Migration {number:04} ({known[number].name}) was applied in another form than this program has.",
                    "Install the release that wrote this database, or restore a backup and upgrade by releases.",
                )
            )


async def _apply(connection: psycopg.AsyncConnection, step: Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE cm_owner")
        await _run(connection, step.sql)
        await connection.execute("RESET ROLE")
        await connection.execute(
            "INSERT INTO cm_priv.migration (number, name, sha256) VALUES (%s, %s, %s)",
            [step.number, step.name, step.sha256],
        )


async def _set_passwords(connection: psycopg.AsyncConnection, credentials: Credentials) -> None:
    for login in (GATE, WRITER, AUDIT):
        verifier = password_verifier(connection, login, credentials.password(login))
        await connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(verifier))
        )


async def _record(connection: psycopg.AsyncConnection, fingerprint: str) -> None:
    await connection.execute(
        f"INSERT INTO cm_priv.installation (fingerprint, objects) "
        f"SELECT %s, jsonb_object_agg(name, digest) FROM ({OBJECT_DIGESTS}) AS objects "
        "ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint, objects = excluded.objects",
        [fingerprint],
    )


def password_verifier(connection: psycopg.AsyncConnection, login: str, password: str) -> str:
    """The SCRAM verifier of a password, so that the password itself never travels."""
    return connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
