"""Adding, changing, listing and disabling clients, with the logins that read as them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from commission_mcp.domain.caller import MaskingClass, Role
from commission_mcp.domain.caller import client_id as checked_client_id
from commission_mcp.domain.retention import least_days
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.credentials import READER, Credentials
from commission_mcp.storage.prepare import password_verifier

LOCAL_ISSUER = "local"
LOCAL_SUBJECT = "local"

_TIERS = ("standard", "premium", "enterprise")
_MODELS = ("flat", "slab", "tiered")


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its profile.

    Attributes:
        client_id: Its key, which never changes.
        name: Its name.
        currency: Base currency, ISO 4217; empty takes the region's default.
        time_zone: IANA name; decides on which date a sale falls.
        region: One of the regions in `cm.region_default`, or None.
        tier: standard, premium or enterprise.
        commission_model: flat, slab or tiered.
        compliance_level: Decides which approval steps a plan needs; empty takes the region's default.
        active: False when disabled.
        history_ttl_s: Conversations are forgotten this long after their last message; None: as the setting says.
        audit_retention_days: Entries of the audit trail may be removed after this; None: as the setting says.
    """

    client_id: str
    name: str
    currency: str = ""
    time_zone: str = "UTC"
    region: str | None = None
    tier: str = "standard"
    commission_model: str = "tiered"
    compliance_level: str = ""
    active: bool = True
    history_ttl_s: int | None = None
    audit_retention_days: int | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A client's policy for one approval step; `automatic_below` is an amount as text."""

    step: str
    requirement: str
    deciding_role: str
    automatic_below: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileLists:
    """What a client defines for its own plans; what is given replaces or adds, the rest stays."""

    override_keys: Mapping[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    approvals: Sequence[Approval] = ()
    templates: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """What the database itself holds a client's login to."""

    connections_max: int = 4
    timeout_ms: int = 15_000
    lock_timeout_ms: int = 2_000
    temp_file_limit_mb: int = 256


async def add_client(
    connection: psycopg.AsyncConnection, client: Client, credentials: Credentials, limits: LoginLimits
) -> Client:
    """Add a client with its logins and the local user who has every role; all or nothing.

    Args:
        connection: An administration connection of a superuser.
        client: The client; empty currency and compliance level take the region's defaults.
        credentials: What the logins' names and passwords come from.
        limits: What each login is held to.

    Raises:
        Refused: with `E_CLIENT_ID`, `E_CLIENT_EXISTS` or `E_ARGUMENT`, for everything that is wrong.
    """
    checked_client_id(client.client_id)
    async with connection.transaction():
        if await find_client(connection, client.client_id) is not None:
            raise Refused(
                Problem(
                    Code.CLIENT_EXISTS,
                    f"The client {client.client_id!r} exists.",
                    "Change it with `commission-mcp client set`.",
                    "client_id",
                )
            )
        complete = await _completed(connection, client)
        await connection.execute(
            "INSERT INTO cm.client (client_id, name, base_currency, time_zone) VALUES (%s, %s, %s, %s)",
            [complete.client_id, complete.name, complete.currency, complete.time_zone],
        )
        await connection.execute(
            "INSERT INTO cm.client_profile (client_id, region, tier, commission_model, compliance_level, "
            "history_ttl_s, audit_retention_days) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [complete.client_id, *_profile(complete)],
        )
        await connection.execute(
            "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles) VALUES (%s, 'local', %s, %s, %s)",
            [complete.client_id, LOCAL_ISSUER, LOCAL_SUBJECT, [str(role) for role in Role]],
        )
        for masking in MaskingClass:
            await _provision(connection, complete.client_id, masking, credentials, limits)
    return complete


async def set_client(connection: psycopg.AsyncConnection, client: Client, lists: ProfileLists) -> None:
    """Write a client's changed name, profile and lists; all or nothing.

    Raises:
        Refused: with `E_ARGUMENT` for every value that is not possible.
    """
    async with connection.transaction():
        complete = await _completed(connection, client)
        await connection.execute(
            "UPDATE cm.client SET name = %s, base_currency = %s, time_zone = %s WHERE client_id = %s",
            [complete.name, complete.currency, complete.time_zone, complete.client_id],
        )
        await connection.execute(
            "UPDATE cm.client_profile SET region = %s, tier = %s, commission_model = %s, compliance_level = %s, "
            "history_ttl_s = %s, audit_retention_days = %s WHERE client_id = %s",
            [*_profile(complete), complete.client_id],
        )
        try:
            await _write_lists(connection, complete.client_id, lists)
        except (psycopg.IntegrityError, psycopg.DataError):
            raise Refused(
                Problem(
                    Code.ARGUMENT,
                    "An override key, approval step or template has a value that is not possible.",
                    "Keys are lower-case words with a priority from 0 and a multiplier above 0 up to 10; the steps are "
                    "manager_approval, finance_review, compliance_check, payee_acknowledgement, and payout_approval, "
                    "which finance decides; a template is a JSON object.",
                )
            ) from None


async def set_active(connection: psycopg.AsyncConnection, client_id: str, *, active: bool) -> None:
    """Disable or enable a client, at once: a disabled one's logins are closed and its running queries ended."""
    await write_active(connection, client_id, active=active)
    if not active:
        await end_sessions(connection, client_id)


async def write_active(connection: psycopg.AsyncConnection, client_id: str, *, active: bool) -> None:
    """As `set_active`, in the caller's transaction: after it, `end_sessions` ends what a disabled client is doing."""
    async with connection.transaction():
        await connection.execute("UPDATE cm.client SET active = %s WHERE client_id = %s", [active, client_id])
        cursor = await connection.execute(
            "UPDATE cm_priv.login SET enabled = %s WHERE client_id = %s RETURNING role_name", [active, client_id]
        )
        logins = [str(row[0]) for row in await cursor.fetchall()]
        for login in logins:
            verb = sql.SQL("LOGIN" if active else "NOLOGIN")
            await connection.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(login), verb))


async def end_sessions(connection: psycopg.AsyncConnection, client_id: str) -> None:
    """End the sessions of a client's logins; only of use when these may not log in again."""
    await connection.execute(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN cm_priv.login l ON l.role_name = a.usename "
        "WHERE l.client_id = %s",
        [client_id],
    )


async def find_client(connection: psycopg.AsyncConnection, client_id: str) -> Client | None:
    """The client with this key."""
    return next((client for client in await list_clients(connection) if client.client_id == client_id), None)


async def list_clients(connection: psycopg.AsyncConnection) -> list[Client]:
    """All clients, by key."""
    cursor = await connection.execute(
        "SELECT c.client_id, c.name, c.base_currency, c.time_zone, p.region, p.tier, p.commission_model, "
        "p.compliance_level, c.active, p.history_ttl_s, p.audit_retention_days "
        "FROM cm.client c JOIN cm.client_profile p USING (client_id) ORDER BY c.client_id"
    )
    return [Client(*row) for row in await cursor.fetchall()]


async def _completed(connection: psycopg.AsyncConnection, client: Client) -> Client:
    regions = {
        str(region): (str(currency), str(level))
        for region, currency, level in await (
            await connection.execute("SELECT region, currency, compliance_level FROM cm.region_default")
        ).fetchall()
    }
    currencies = {str(row[0]) for row in await (await connection.execute("SELECT code FROM cm.currency")).fetchall()}
    zones = {str(row[0]) for row in await (await connection.execute("SELECT name FROM pg_timezone_names")).fetchall()}
    default_currency, default_level = regions.get(client.region or "", ("USD", "standard"))
    complete = replace(
        client,
        currency=client.currency or default_currency,
        compliance_level=client.compliance_level or default_level,
    )
    choices = (
        ("region", complete.region, {*regions, None}),
        ("currency", complete.currency, currencies),
        ("time_zone", complete.time_zone, zones),
        ("tier", complete.tier, set(_TIERS)),
        ("commission_model", complete.commission_model, set(_MODELS)),
    )
    problems = [_not_a_choice(*choice) for choice in choices if choice[1] not in choice[2]]
    problems += _kept_too_short(complete)
    if not complete.name.strip():
        problems.append(Problem(Code.ARGUMENT, "The name is empty.", "Give the client's name.", "name"))
    if problems:
        raise Refused(*problems)
    return complete


def _kept_too_short(client: Client) -> list[Problem]:
    least = least_days(client.compliance_level)
    if client.audit_retention_days is None or client.audit_retention_days >= least:
        return []
    message = f"At compliance level {client.compliance_level!r} the audit trail is kept for {least} days at least."
    return [Problem(Code.AUDIT_RETENTION, message, f"Use {least} or more.", "audit_retention_days")]


def _not_a_choice(path: str, value: str | None, allowed: Collection[str | None]) -> Problem:
    named = sorted(entry for entry in allowed if entry)
    shown = ", ".join(named) if len(named) <= 12 else "an IANA name, such as America/New_York"  # noqa: PLR2004 - a line
    if path == "currency":
        shown = "an ISO 4217 code, such as USD"
    return Problem(Code.ARGUMENT, f"{value!r} is not possible.", f"Use {shown}.", path)


def _profile(client: Client) -> list[object]:
    return [
        client.region,
        client.tier,
        client.commission_model,
        client.compliance_level,
        client.history_ttl_s,
        client.audit_retention_days,
    ]


async def _write_lists(connection: psycopg.AsyncConnection, client_id: str, lists: ProfileLists) -> None:
    for key, (priority, multiplier) in lists.override_keys.items():
        await connection.execute(
            "INSERT INTO cm.override_key VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (client_id, override_key) DO UPDATE SET priority = excluded.priority, "
            "multiplier = excluded.multiplier",
            [client_id, key, priority, multiplier],
        )
    for policy in lists.approvals:
        await connection.execute(
            "INSERT INTO cm.approval_policy (client_id, step, requirement, automatic_below, deciding_role) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (client_id, step) DO UPDATE SET "
            "requirement = excluded.requirement, automatic_below = excluded.automatic_below, "
            "deciding_role = excluded.deciding_role",
            [client_id, policy.step, policy.requirement, policy.automatic_below, policy.deciding_role],
        )
    for template, definition in lists.templates.items():
        await connection.execute(
            "INSERT INTO cm.plan_template (client_id, template, definition) VALUES (%s, %s, %s) "
            "ON CONFLICT (client_id, template) DO UPDATE SET definition = excluded.definition",
            [client_id, template, definition],
        )


async def _provision(
    connection: psycopg.AsyncConnection,
    client_id: str,
    masking: MaskingClass,
    credentials: Credentials,
    limits: LoginLimits,
) -> None:
    login = credentials.reader_login(client_id, masking)
    role = sql.Identifier(login)
    verifier = sql.Literal(password_verifier(connection, login, credentials.password(login)))
    known = await (await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [login])).fetchone()
    if known is None:
        await connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    await connection.execute(
        sql.SQL(
            "ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT LOGIN "
            "CONNECTION LIMIT {} PASSWORD {}"
        ).format(role, sql.Literal(limits.connections_max), verifier)
    )
    await connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(READER), role))
    for name, value in _settings(limits).items():
        await connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(name), sql.Literal(value))
        )
    await connection.execute(
        "INSERT INTO cm_priv.login (role_name, client_id, masking_class) VALUES (%s, %s, %s)",
        [login, client_id, masking],
    )


def _settings(limits: LoginLimits) -> dict[str, str]:
    return {
        "search_path": "commission",
        "default_transaction_read_only": "on",
        "statement_timeout": f"{limits.timeout_ms}ms",
        "lock_timeout": f"{limits.lock_timeout_ms}ms",
        "idle_in_transaction_session_timeout": "30s",
        "temp_file_limit": f"{limits.temp_file_limit_mb}MB",
        "max_parallel_workers_per_gather": "0",
        "synchronize_seqscans": "off",
        "cursor_tuple_fraction": "1",
        "jit": "off",
        "TimeZone": "UTC",
    }
