"""`commission-mcp plan draft|drafts|waiting|decide`: plans from files, and decisions on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile
from commission_mcp.cli.output import AsCsv, AsJson, form, print_json, print_rows
from commission_mcp.cli.reaching import ClientId, TokenFile, Url, asking
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.client import PlanDraft

commands = typer.Typer(help="Draft plans from files, submit them, decide on them.", no_args_is_help=True)


@commands.command("draft")
def draft(
    file: Annotated[
        Path,
        typer.Argument(help='JSON: [{"phase": 1, "fields": {...}}, ...] as `plan_wizard` takes them.', metavar="FILE"),
    ],
    new_version_of: Annotated[
        str | None, typer.Option("--plan", help="A new version of this plan.", show_default=False)
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Submit it for approval if nothing is missing.")] = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Draft a plan from a file, phase by phase; print the review as JSON, and what is missing or wrong on stderr.

    Exit code 1 while something is missing or wrong; the draft stays, and the wizard in a host can go on with it.
    """
    envelopes = _envelopes(file)
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        made = client.plan_wizard("start", plan_id=new_version_of)
        for envelope in envelopes:
            made = client.plan_wizard(draft_id=made.draft_id, phase=envelope["phase"], fields=envelope["fields"])
        made = client.plan_wizard("review", draft_id=made.draft_id)
        good = _told(made)
        if submit and good:
            made = client.plan_wizard("submit", draft_id=made.draft_id, revision=made.revision)
    print_json({"draft_id": made.draft_id, "revision": made.revision, "preview": made.preview, "plan": made.plan})
    if not good:
        raise typer.Exit(1)


@commands.command("drafts")
def drafts(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """List your drafts that are not submitted."""
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        _print([dict(each) for each in client.plan_wizard("drafts").drafts], as_json=as_json, as_csv=as_csv)


@commands.command("waiting")
def waiting(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """List the plan versions that wait for a decision."""
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        _print([dict(each) for each in client.decide_plan().waiting], as_json=as_json, as_csv=as_csv)


@commands.command("decide")
def decide(
    plan_id: Annotated[str, typer.Argument(help="The plan.", metavar="PLAN")],
    approve: Annotated[bool, typer.Option("--approve/--reject", help="What was decided.")],
    sha256: Annotated[
        str, typer.Option("--sha256", help="Of the version that was looked at; `plan waiting` shows it.")
    ],
    step: Annotated[str | None, typer.Option("--step", help="The approval step; yours.", show_default=False)] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Why.", show_default=False)] = None,
    client_id: ClientId = None,
    url: Url = None,
    token_file: TokenFile = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Approve or reject a submitted plan version; print how it stands then as JSON."""
    with asking(url, token_file, client_id, data_directory, env_file) as client:
        decided = client.decide_plan(
            plan_id, decision="approve" if approve else "reject", sha256=sha256, step=step, comment=comment
        )
    print_json(decided.plan)


def _told(made: PlanDraft) -> bool:
    """Say what is missing and wrong; whether nothing is."""
    for each in made.missing:
        typer.echo(f"missing: {each.get('path')}: {each.get('message')} {each.get('fix') or ''}".rstrip(), err=True)
    for problem in (*made.problems, *made.warnings):
        typer.echo(str(problem), err=True)
    return not made.missing and not made.problems


def _envelopes(file: Path) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
        read: Any = json.loads(text, parse_float=str)  # a rate of 7.1 stays 7.1
    except OSError as error:
        raise Refused(Problem(Code.ARGUMENT, f"{file} cannot be read: {error.strerror}.", path="FILE")) from None
    except ValueError as error:
        raise Refused(Problem(Code.JSON, f"This is not JSON: {error}.", path="FILE")) from None
    listed = cast("list[Any]", read) if isinstance(read, list) else [read]
    found = [cast("dict[str, Any]", each) for each in listed if isinstance(each, dict)]
    if len(found) != len(listed) or not all({"phase", "fields"} <= set(each) for each in found):
        fix = (
            'Write [{"phase": 1, "fields": {...}}, {"phase": 2, "fields": {...}}, ...]; docs/wizard.md has the fields.'
        )
        raise Refused(Problem(Code.ARGUMENT, "These are no phases with fields.", fix, "FILE"))
    return found


def _print(records: list[dict[str, Any]], *, as_json: bool, as_csv: bool) -> None:
    from commission_mcp.client import Rows

    names = {name: "json" for record in records for name in record}
    print_rows([Rows.of_records(names, records)], form(as_json=as_json, as_csv=as_csv))
