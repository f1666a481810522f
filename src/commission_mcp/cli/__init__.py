"""The commands. Each module imports what it needs when its command runs, so that `--help` is quick."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, TypeVar

import typer

from commission_mcp import __version__
from commission_mcp.cli import (
    ask,
    audit,
    backup,
    check_sql,
    client,
    demo,
    doctor,
    host_config,
    imports,
    mask,
    model,
    outbox,
    plan,
    serve,
    setup,
    token,
    user,
)
from commission_mcp.cli.index import index
from commission_mcp.cli.payouts import payouts
from commission_mcp.cli.report import report
from commission_mcp.cli.run import run as run_period
from commission_mcp.errors import Refused

E = TypeVar("E", bound=Exception)

_FAILED_EXIT, _REFUSED_EXIT = 1, 2

commands = typer.Typer(
    name="commission-mcp",
    help="An MCP server for the people who run sales commissions.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
commands.command("serve")(serve.serve)
commands.command("demo")(demo.demo)
commands.command("doctor")(doctor.doctor)
commands.command("setup")(setup.setup)
commands.command("import")(imports.import_file)
commands.command("run")(run_period)
commands.command("payouts")(payouts)
commands.command("index")(index)
commands.command("report")(report)
commands.command("query")(ask.query)
commands.command("search")(ask.search)
commands.command("history")(ask.history)
commands.command("calculate")(ask.calculate)
commands.command("health")(ask.health)
commands.command("backup")(backup.backup)
commands.command("restore")(backup.restore)
commands.command("host-config")(host_config.host_config)
commands.command("check-sql")(check_sql.check_sql)
commands.command("token")(token.token)
commands.add_typer(audit.commands, name="audit")
commands.add_typer(client.commands, name="client")
commands.add_typer(mask.commands, name="mask")
commands.add_typer(model.commands, name="model")
commands.add_typer(outbox.commands, name="outbox")
commands.add_typer(plan.commands, name="plan")
commands.add_typer(user.commands, name="user")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        typer.echo(f"commission-mcp {__version__}")
        raise typer.Exit


@commands.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """An MCP server for the people who run sales commissions."""
    del version


def run() -> None:
    """Run a command; a refusal is printed with its fix and ends with exit code 2.

    Where nobody reads its output any more, such as after `| head`, it ends quietly with exit code 1, and says so where
    there is no room for it.
    """
    refusals: list[Refused] = []
    lost: list[OSError] = []
    try:
        try:
            commands()
        finally:
            sys.stdout.flush()  # here, where it can be said what is wrong with it
    except* Refused as group:
        refusals = _leaves(group)
    except* OSError as group:
        lost = _leaves(group)
        if {error.errno for error in lost} - {errno.EPIPE, errno.ENOSPC}:
            raise
    if lost:
        _end_without_output(lost[0])
    if refusals:
        sys.stderr.write("".join(f"{refused}\n" for refused in refusals))
        sys.exit(_REFUSED_EXIT)


def _end_without_output(error: OSError) -> None:
    # What is still to be written would fail again when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.ENOSPC:
        sys.stderr.write(f"The output could not be written: {error.strerror}.\n")
    sys.exit(_FAILED_EXIT)


def _leaves(group: BaseExceptionGroup[E]) -> list[E]:
    """The exceptions of a group; one that went through tasks comes in groups of groups."""
    return [
        leaf
        for found in group.exceptions
        for leaf in (_leaves(found) if isinstance(found, BaseExceptionGroup) else [found])
    ]
