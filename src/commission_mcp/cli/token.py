"""`commission-mcp token`: a token for a server that verifies with a key of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, Roles, load, roles_of
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.settings import Settings

_HOUR_S = 3_600


def token(
    clients: Annotated[list[str], typer.Option("--client", help="A client that it grants; repeatable.")],
    subject: Annotated[str, typer.Option("--subject", help="The user, as its `sub`.")],
    roles: Roles = "",
    hours: Annotated[int, typer.Option("--hours", help="How long it is good for.", min=1, max=8_784)] = 12,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Print a token signed with COMMISSION_TOKEN_KEY. Whoever has it may act as its subject until it ends.

    The user must exist (`commission-mcp user set`), and its roles there narrow those of the token.
    """
    import time

    from commission_mcp.domain.caller import client_id
    from commission_mcp.identity import SharedKey, mint_token
    from commission_mcp.verification import token_rules

    settings = load(data_directory, env_file).settings
    if settings.token_key is None:
        raise Refused(
            Problem(
                Code.SETTING,
                "There is no key to sign with.",
                "Make one with `openssl rand -hex 32`, set COMMISSION_TOKEN_KEY, and give the server the same. "
                "Tokens of an identity provider come from there.",
                "COMMISSION_TOKEN_KEY",
            )
        )
    minted = mint_token(
        token_rules(settings),
        SharedKey(settings.token_key.get_secret_value().encode()),
        subject=subject,
        clients=[client_id(client) for client in clients],
        roles=roles_of(roles),
        issued_at=int(time.time()),
        lifetime_s=hours * _HOUR_S,
    )
    sys.stdout.write(f"{minted}\n")


def token_issuer(settings: Settings) -> str:
    """The issuer that tokens name."""
    from commission_mcp.verification import token_rules

    return token_rules(settings).issuer
