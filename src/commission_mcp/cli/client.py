"""`commission-mcp client add|set|list|disable`: clients and their profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load, os_user
from commission_mcp.cli.output import AsCsv, AsJson, Form, form, print_rows
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from commission_mcp.storage import Administration, Approval, Client, Credentials, LoginLimits, ProfileLists
    from commission_mcp.storage.audit import Act

    Work: TypeAlias = "Callable[[Administration, Credentials, LoginLimits], Awaitable[T]]"

T = TypeVar("T")

commands = typer.Typer(help="Add, change, list and disable clients.", no_args_is_help=True)

ClientId: TypeAlias = Annotated[str, typer.Argument(help="The client's id.", metavar="ID")]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", help="Name.", show_default=False)]
Region: TypeAlias = Annotated[
    str | None, typer.Option("--region", help="Such as 'North America' or EMEA.", show_default=False)
]
Tier: TypeAlias = Annotated[
    str | None, typer.Option("--tier", help="standard, premium or enterprise.", show_default=False)
]
Currency: TypeAlias = Annotated[str | None, typer.Option("--currency", help="ISO 4217 code.", show_default=False)]
TimeZone: TypeAlias = Annotated[str | None, typer.Option("--time-zone", help="IANA name.", show_default=False)]
Model: TypeAlias = Annotated[
    str | None, typer.Option("--commission-model", help="flat, slab or tiered.", show_default=False)
]
Compliance: TypeAlias = Annotated[
    str | None, typer.Option("--compliance-level", help="Decides the approval steps.", show_default=False)
]
HistoryTtl: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--history-ttl-s", min=60, max=2_592_000, help="Seconds that conversations are kept.", show_default=False
    ),
]
AuditRetention: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--audit-retention-days",
        min=1,
        max=36_525,
        help="Days after which `audit prune` removes entries.",
        show_default=False,
    ),
]
OverrideKeys: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--override-key", help="key=priority or key=priority:multiplier; repeatable.", show_default=False),
]
Approvals: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--approval",
        help="step=required:role, step=automatic_below:role:amount or step=not_required:role; repeatable.",
        show_default=False,
    ),
]
Templates: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--template", help="name=FILE with a plan template as JSON; repeatable.", show_default=False),
]


@commands.command("add")
def add(
    client_id: ClientId,
    name: Name = None,
    region: Region = None,
    tier: Tier = None,
    currency: Currency = None,
    time_zone: TimeZone = None,
    commission_model: Model = None,
    compliance_level: Compliance = None,
    history_ttl_s: HistoryTtl = None,
    audit_retention_days: AuditRetention = None,
    override_key: OverrideKeys = None,
    approval: Approvals = None,
    template: Templates = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Add a client, with logins that read as it alone."""
    from commission_mcp.storage import Client, add_client, set_client
    from commission_mcp.storage.audit import on_record

    profile = (name, region, tier, currency, time_zone, commission_model, compliance_level)
    given = _given(*profile, history_ttl_s, audit_retention_days)
    wanted = _changed(
        Client(client_id, name or client_id),
        given,
    )
    lists = _lists(override_key, approval, template)

    async def work(connection: Administration, credentials: Credentials, limits: LoginLimits) -> Client:
        async with on_record(connection, _act("client add", client_id, given, lists)):
            added = await add_client(connection, wanted, credentials, limits)
            await set_client(connection, added, lists)
        return added

    _show([_run(work, data_directory, env_file)])


@commands.command("set")
def set_(
    client_id: ClientId,
    name: Name = None,
    region: Region = None,
    tier: Tier = None,
    currency: Currency = None,
    time_zone: TimeZone = None,
    commission_model: Model = None,
    compliance_level: Compliance = None,
    history_ttl_s: HistoryTtl = None,
    audit_retention_days: AuditRetention = None,
    override_key: OverrideKeys = None,
    approval: Approvals = None,
    template: Templates = None,
    enable: Annotated[bool, typer.Option("--enable", help="Enable a disabled client.")] = False,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Change a client; what is not named stays."""
    profile = (name, region, tier, currency, time_zone, commission_model, compliance_level)
    changes = _given(*profile, history_ttl_s, audit_retention_days)
    lists = _lists(override_key, approval, template)

    async def work(connection: Administration, _credentials: Credentials, _limits: LoginLimits) -> Client:
        from commission_mcp.storage import set_client, write_active
        from commission_mcp.storage.audit import on_record

        client = await _existing(connection, client_id)
        facts = {**changes, "enable": True} if enable else changes
        async with on_record(connection, _act("client set", client_id, facts, lists)):
            await set_client(connection, _changed(client, changes), lists)
            if enable:
                await write_active(connection, client_id, active=True)
        return await _existing(connection, client_id)

    _show([_run(work, data_directory, env_file)])


@commands.command("list")
def list_(
    as_json: AsJson = False, as_csv: AsCsv = False, data_directory: DataDirectory = None, env_file: EnvFile = None
) -> None:
    """List all clients."""

    async def work(connection: Administration, _credentials: Credentials, _limits: LoginLimits) -> list[Client]:
        from commission_mcp.storage import list_clients

        return await list_clients(connection)

    _show(_run(work, data_directory, env_file), form(as_json=as_json, as_csv=as_csv))


@commands.command("disable")
def disable(client_id: ClientId, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Disable a client at once: its queries end, its logins close. Its data stays."""

    async def work(connection: Administration, _credentials: Credentials, _limits: LoginLimits) -> Client:
        from commission_mcp.storage import end_sessions, write_active
        from commission_mcp.storage.audit import on_record

        await _existing(connection, client_id)
        async with on_record(connection, _act("client disable", client_id, {})):
            await write_active(connection, client_id, active=False)
        await end_sessions(connection, client_id)
        return await _existing(connection, client_id)

    _show([_run(work, data_directory, env_file)])


def _run(work: Work[T], data_directory: Path | None, env_file: Path | None) -> T:
    import anyio

    loaded = load(data_directory, env_file)

    async def run() -> T:
        from commission_mcp.app import login_limits, open_administration

        async with open_administration(loaded.settings) as (connection, credentials):
            return await work(connection, credentials, login_limits(loaded.settings))

    return anyio.run(run)


async def _existing(connection: Administration, client_id: str) -> Client:
    from commission_mcp.storage import find_client

    client = await find_client(connection, client_id)
    if client is None:
        raise Refused(
            Problem(
                Code.CLIENT_UNKNOWN,
                f"There is no client {client_id!r}.",
                "`commission-mcp client list` shows the clients.",
                "ID",
            )
        )
    return client


def _act(command: str, client_id: str, given: Mapping[str, object], lists: ProfileLists | None = None) -> Act:
    """The record of it: what was given, and of the lists which entries."""
    from commission_mcp.storage.audit import Act

    named: dict[str, object] = {}
    if lists is not None:
        approvals = sorted(approval.step for approval in lists.approvals)
        listed = {"override_keys": [*lists.override_keys], "approvals": approvals, "templates": [*lists.templates]}
        named = {name: entries for name, entries in listed.items() if entries}
    return Act(os_user(), command, [client_id], {**given, **named})


def _given(*values: str | int | None) -> dict[str, str | int]:
    profile = ("name", "region", "tier", "currency", "time_zone", "commission_model", "compliance_level")
    names = (*profile, "history_ttl_s", "audit_retention_days")
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _changed(client: Client, changes: dict[str, str | int]) -> Client:
    from dataclasses import replace

    return replace(client, **changes)


def _lists(override_keys: list[str] | None, approvals: list[str] | None, templates: list[str] | None) -> ProfileLists:
    from commission_mcp.storage import ProfileLists

    return ProfileLists(
        dict(_override_key(text) for text in override_keys or ()),
        [_approval(text) for text in approvals or ()],
        dict(_template(text) for text in templates or ()),
    )


def _override_key(text: str) -> tuple[str, tuple[int, str]]:
    key, _, value = text.partition("=")
    priority, _, multiplier = value.partition(":")
    if not priority.isdecimal():
        raise _malformed("--override-key", text, "priority_1=10 or priority_1=10:1.2")
    return key, (int(priority), multiplier or "1")


def _approval(text: str) -> Approval:
    from commission_mcp.storage import Approval

    step, _, value = text.partition("=")
    match value.split(":"):
        case [requirement, role]:
            return Approval(step, requirement, role)
        case [requirement, role, amount]:
            return Approval(step, requirement, role, amount)
        case _:
            raise _malformed("--approval", text, "manager_approval=required:approver")


def _template(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    try:
        return name, Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise _malformed("--template", text, "name=FILE, with a file that can be read") from None


def _malformed(option: str, text: str, form: str) -> Refused:
    return Refused(Problem(Code.ARGUMENT, f"{text!r} cannot be read.", f"Write {form}.", option))


def _show(clients: list[Client], wanted: Form | None = None) -> None:
    from dataclasses import asdict, fields

    from commission_mcp.client import Rows
    from commission_mcp.storage import Client

    types = {field.name: "bool" if field.name == "active" else "text" for field in fields(Client)}
    print_rows([Rows.of_records(types, [asdict(client) for client in clients])], wanted or form())
    if not clients:
        typer.echo("No clients yet: `commission-mcp client add ID --name NAME`, or `demo`.", err=True)
