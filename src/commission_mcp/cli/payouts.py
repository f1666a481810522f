"""`commission-mcp payouts`: how a period's payouts stand, and what was decided on them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile
from commission_mcp.cli.output import AsCsv, AsJson, form, print_rows
from commission_mcp.cli.reaching import ClientId, TokenFile, Url, asking


class Action(StrEnum):
    """What is done with payouts."""

    SHOW = "show"
    APPROVE = "approve"
    HOLD = "hold"
    RELEASE = "release"
    PAY = "pay"


def payouts(
    period: Annotated[str, typer.Argument(help="Such as 2026-07, 2026-Q3.", metavar="PERIOD")],
    action: Annotated[Action, typer.Argument(help="What was decided.")] = Action.SHOW,
    run_id: Annotated[str | None, typer.Option("--run", help="The run looked at.", show_default=False)] = None,
    payees: Annotated[
        list[str] | None, typer.Option("--payee", help="Only this payee; repeatable.", show_default=False)
    ] = None,
    paid_on: Annotated[str | None, typer.Option("--paid-on", help="pay: the day.", show_default=False)] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="pay: of the payment.", show_default=False)
    ] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Why; hold needs it.", show_default=False)] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Show a period's payouts, or note that they are approved, held, released or paid. Needs the role finance.

    Who ran a period does not approve it, unless the client's policy `payout_approval` says so.
    """
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        found = client.payouts(
            period,
            action.value,
            run_id=run_id,
            payees=payees or None,
            paid_on=paid_on,
            reference=reference,
            comment=comment,
        )
    print_rows([found.payments], form(as_json=as_json, as_csv=as_csv))
    typer.echo(f"{found.period} is {found.period_status}; {found.changed} payouts changed.", err=True)
