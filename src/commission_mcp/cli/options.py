"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.domain.caller import Role
    from commission_mcp.settings import Loaded

DataDirectory: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-directory", help="Where the embedded servers keep their data.", show_default=False),
]
EnvFile: TypeAlias = Annotated[
    Path | None, typer.Option("--env-file", help="A file of settings; .env here is read anyway.", show_default=False)
]
ClientOption: TypeAlias = Annotated[str | None, typer.Option("--client", help="Which client.", show_default=False)]
Roles: TypeAlias = Annotated[
    str, typer.Option("--roles", help="Such as analyst,plan_author; all roles are in the README.", show_default=False)
]


def os_user() -> str:
    """Who runs this, as the operating system has it; a name in the environment decides nothing."""
    import getpass
    import os

    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:
        return getpass.getuser()  # Windows
    except KeyError:
        return str(os.getuid())


def roles_of(text: str) -> frozenset[Role]:
    """The roles in a text with commas.

    Raises:
        Refused: with `E_ARGUMENT`, naming those that are none.
    """
    from commission_mcp.domain.caller import Role

    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in named if name not in set(Role)]
    if unknown or not named:
        message = f"These are no roles: {', '.join(unknown)}." if unknown else "No role is named."
        raise Refused(Problem(Code.ARGUMENT, message, f"Name some of: {', '.join(Role)}.", "--roles"))
    return frozenset(map(Role, named))


def load(data_directory: Path | None, env_file: Path | None, **further: object) -> Loaded:
    """The settings with what the command line says on top.

    Raises:
        Refused: with every setting that cannot be used.
    """
    from commission_mcp.settings import load_settings

    given = {"data_directory": data_directory, **further}
    overrides = {name: value for name, value in given.items() if value is not None}
    return load_settings(env_file=env_file, overrides=overrides)
