"""Which server the asking commands ask, and what their exit codes mean."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from commission_mcp.cli.options import load

if TYPE_CHECKING:
    from commission_mcp.client import CommissionClient, CommissionError

Url: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Ask this server instead of this machine's own data.", show_default=False),
]
TokenFile: TypeAlias = Annotated[
    Path | None, typer.Option("--token-file", help="A file with the token for --url.", show_default=False)
]
ClientId: TypeAlias = Annotated[
    str | None, typer.Option("--client", help="The client to ask about.", show_default=False)
]

FAILED, REFUSED, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE = 1, 2, 3, 4, 5


@contextmanager
def asking(
    url: str | None, token_file: Path | None, client_id: str | None, data_directory: Path | None, env_file: Path | None
) -> Generator[CommissionClient]:
    """A client of the server that is meant: the one of a URL, or one in this process on this machine's data.

    Raises:
        typer.Exit: with the code of the failure, after printing it.
    """
    from commission_mcp.client import CommissionClient, CommissionError

    try:
        if url is not None:
            token = token_file.read_text("utf-8").strip() if token_file is not None else None
            client = CommissionClient(url, token=token, client_id=client_id)
        else:
            client = CommissionClient(server=_server(client_id, data_directory, env_file), environment={})
        with client:
            yield client
    except CommissionError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: CommissionError) -> int:
    """What a command ends with that met this error."""
    from commission_mcp.client import (
        AuthError,
        CallTimeoutError,
        NotFoundError,
        RefusedError,
        SettingsError,
        UnavailableError,
    )

    codes = (
        (NotFoundError, NOT_FOUND),
        ((RefusedError, SettingsError), REFUSED),
        (AuthError, NOT_ALLOWED),
        ((UnavailableError, CallTimeoutError), UNAVAILABLE),
    )
    return next((code for kinds, code in codes if isinstance(error, kinds)), FAILED)


def _server(client_id: str | None, data_directory: Path | None, env_file: Path | None) -> object:
    from commission_mcp.logs import configure_logs
    from commission_mcp.server import build_server

    loaded = load(data_directory, env_file, client_id=client_id)
    configure_logs("error")  # a person at a terminal reads the answer; what went wrong is told with it
    return build_server(loaded.settings)
