"""`commission-mcp doctor`: is everything as it should be, and what to do where it is not."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def doctor(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check settings, servers and isolation; one line a check, a fix under each failure, exit code 1 if any failed."""
    import json
    from dataclasses import asdict

    import anyio

    from commission_mcp.diagnosis import diagnose

    findings = anyio.run(diagnose, lambda: load(data_directory, env_file))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{'ok    ' if finding.ok else 'FAILED'}  {finding.check}: {finding.detail}")
            if finding.fix:
                typer.echo(f"        Fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
