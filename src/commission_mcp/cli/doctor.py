"""`commission-mcp doctor`: is everything as it should be, and what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.diagnosis import Finding
    from commission_mcp.settings import Loaded


def doctor(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="This check only: postgresql, redis, index, ...; repeatable.", show_default=False),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Do what is safe to do: fetch the model, index documents; then look again.")
    ] = False,
) -> None:
    """Check everything; one line a check, a fix under each failure, exit code 1 if any failed.

    Settings and where each came from, servers, versions, isolation (proven by denied reads), model, index, OCR, a
    server over stdio, and the entry in Claude Desktop.
    """
    import json
    from dataclasses import asdict

    import anyio

    from commission_mcp.diagnosis import diagnose

    def settings() -> Loaded:
        return load(data_directory, env_file)

    findings = anyio.run(diagnose, settings, _chosen(only))
    wanted = [finding.mend for finding in findings if finding.mend]
    if fix and wanted:
        from commission_mcp.diagnosis.mending import mend

        for done in anyio.run(mend, settings().settings, wanted):
            typer.echo(f"fixed: {done}", err=True)
        findings = anyio.run(diagnose, settings, _chosen(only))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            _print(finding)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _chosen(only: list[str] | None) -> list[str]:
    from commission_mcp.diagnosis import LOCAL_CHECKS, SERVER_CHECKS

    known = [*SERVER_CHECKS, *LOCAL_CHECKS]
    unknown = [name for name in only or () if name not in known]
    if unknown:
        message = f"These are no checks: {', '.join(unknown)}."
        raise Refused(Problem(Code.ARGUMENT, message, f"The checks are: {', '.join(known)}.", "--only"))
    return only or []


def _print(finding: Finding) -> None:
    typer.echo(f"{'ok    ' if finding.ok else 'FAILED'}  {finding.check}: {finding.detail}")
    if finding.fix:
        typer.echo(f"        {'Note' if finding.ok else 'Fix'}: {finding.fix}")
    if finding.mend:
        typer.echo("        `commission-mcp doctor --fix` does that.")
