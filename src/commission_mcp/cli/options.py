"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from commission_mcp.settings import Loaded

DataDirectory: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-directory", help="Where the embedded servers keep their data.", show_default=False),
]
EnvFile: TypeAlias = Annotated[
    Path | None, typer.Option("--env-file", help="A file of settings; .env here is read anyway.", show_default=False)
]


def load(data_directory: Path | None, env_file: Path | None, **further: object) -> Loaded:
    """The settings with what the command line says on top.

    Raises:
        Refused: with every setting that cannot be used.
    """
    from commission_mcp.settings import load_settings

    given = {"data_directory": data_directory, **further}
    overrides = {name: value for name, value in given.items() if value is not None}
    return load_settings(env_file=env_file, overrides=overrides)
