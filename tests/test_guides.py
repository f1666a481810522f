"""The guides' calls and snippets, run on the demo data of one company."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from commission_mcp.app import login_limits, open_administration
from commission_mcp.cli import commands
from commission_mcp.client import AsyncCommissionClient, RefusedError
from commission_mcp.domain.caller import Role
from commission_mcp.domain.permissions import TOOL_ROLES
from commission_mcp.errors import Code
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings, names
from commission_mcp.storage import Client, add_client
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
CONVERSATIONS = (ROOT / "docs" / "ask-it-first.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
SCRIPTING = (ROOT / "docs" / "scripting.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cm-guide-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
async def settings(folder: Path) -> AsyncIterator[Settings]:
    """A data directory with the demo's first company, and its documents."""
    demo = DEMO_CLIENTS[0]
    overrides = {
        "data_directory": folder / "data",
        "client_id": demo.client_id,
        "roles": "analyst,plan_author,finance",
        "documents_directory": ROOT / "data",
        "client_documents_directory": ROOT / "data" / "client-specific",
        "model_fetch": False,
    }
    found = load_settings(environment={}, overrides=overrides).settings
    async with open_administration(found) as (connection, credentials):
        async with connection.transaction():
            profile = Client(
                demo.client_id,
                demo.name,
                demo.base_currency,
                demo.time_zone,
                demo.region,
                demo.tier,
                demo.commission_model,
                demo.compliance_level,
            )
            await add_client(connection, profile, credentials, login_limits(found))
            await connection.execute("SET LOCAL ROLE cm_ops")
            await load_demo_rows(connection, demo)
        await connection.execute("ANALYZE")
        yield found


def calls() -> list[tuple[dict[str, Any], list[str]]]:
    """The calls of the page, each with what stands in backticks in the paragraph after it."""
    parts = re.split(r"```json\n(.*?)```\n", CONVERSATIONS, flags=re.DOTALL)
    found: list[tuple[dict[str, Any], list[str]]] = []
    for call, after in zip(parts[1::2], parts[2::2], strict=True):
        told = after.strip().split("\n\n")[0]
        told = told if told.startswith(("Answers", "Refuses")) else ""
        found.append((json.loads(call), re.findall(r"`([^`]+)`", told)))
    return found


async def test_every_conversation_goes_as_it_is_told(settings: Settings) -> None:
    remembered: dict[str, str] = {}
    async with AsyncCommissionClient(server=build_server(settings), environment={}) as client:
        await client.index_documents("start", wait_s=20)
        for call, expected in calls():
            written = json.dumps(call["arguments"])
            for name, value in remembered.items():
                written = written.replace(f"${name}", value)
            try:
                answer = await client.execute_tool(call["tool"], json.loads(written))
            except RefusedError as refused:
                told = str(refused)
            else:
                told = answer.text + json.dumps(answer.data, ensure_ascii=False)
                remembered |= {
                    name: str(answer.data[name]) for name in ("draft_id", "session_id") if answer.data.get(name)
                }
            assert [word for word in expected if word not in told] == [], (call, told[:2000])


async def test_every_call_of_the_readme_is_answered(settings: Settings) -> None:
    every_role = settings.model_copy(update={"roles": frozenset(Role)})
    found = re.findall(r"^#### `(\w+)`\n.*?```json\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    async with AsyncCommissionClient(server=build_server(every_role), environment={}) as client:
        await client.index_documents("start", wait_s=20)
        answers = {tool: await client.execute_tool(tool, json.loads(call)) for tool, call in found}

    assert [tool for tool, _ in found] == list(answers)
    assert answers.keys() == TOOL_ROLES.keys()
    assert answers["calculate_commission"].data["total"] == "11000.00"
    assert "client-abc/q4-bonuses.pdf" in answers["rag_search"].data["sources"]


def test_the_page_has_ten_conversations_and_uses_most_tools() -> None:
    used = {call["tool"] for call, _ in calls()}

    assert len(re.findall(r"^## \d+\. ", CONVERSATIONS, re.MULTILINE)) == 10
    assert len(used) >= 9
    assert sum(bool(expected) for _, expected in calls()) >= 12


def test_every_snippet_of_the_scripting_guide_runs(settings: Settings, folder: Path) -> None:
    """One after the other in one program, as a reader would go on in a notebook."""
    snippets = re.findall(r"```python\n(.*?)```", SCRIPTING, re.DOTALL)
    assert len(snippets) >= 8
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "COMMISSION_DATA_DIRECTORY": str(settings.data_directory),
        "COMMISSION_ROLES": "analyst,plan_author,finance",
        "COMMISSION_DOCUMENTS_DIRECTORY": str(settings.documents_directory),
        "COMMISSION_CLIENT_DOCUMENTS_DIRECTORY": str(settings.client_documents_directory),
        "COMMISSION_MODEL_FETCH": "false",
    }
    program = "\n".join(snippets)
    ran = subprocess.run(
        [sys.executable, "-c", program], env=variables, cwd=folder, capture_output=True, timeout=120, check=False
    )

    assert ran.returncode == 0, ran.stderr.decode()
    printed = re.findall(r"# prints: (.*)", program)
    assert [text for text in printed if text not in ran.stdout.decode()] == [], ran.stdout.decode()


def written_commands(page: Path) -> list[list[str]]:
    """The calls of `commission-mcp` in a page's code, as words."""
    text = page.read_text("utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", prose)
    found = [match for part in code for match in re.findall(r"(?:^|[\s/])commission-mcp +([^\n|#&]*)", part)]
    return [re.sub(r"[\"'][^\"']*[\"']", "TEXT", words).split() for words in found]


def unknown_in(words: list[str]) -> list[str]:
    """What of a call there is not: the command, or an option."""
    command: Any = typer.main.get_command(commands)
    rest = list(words)
    while (inner := getattr(command, "commands", None)) and rest and not rest[0].startswith("-"):
        named = rest.pop(0).split("|")
        if not set(named) <= set(inner):
            return [f"{named} of {words}"]
        command = inner[named[0]]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-"}
    return [f"{word} of {words}" for word in rest if word.startswith("-") and word.split("=")[0] not in options]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_and_options_that_a_page_names_exist(page: Path) -> None:
    assert [unknown for words in written_commands(page) for unknown in unknown_in(words)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_codes_and_settings_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    codes = {code for code in re.findall(r"`([EW]_[A-Z_]+)`", text) if code not in set(Code)}
    keys = {key for key in re.findall(r"\bCOMMISSION_[A-Z_]*[A-Z]\b", text) if names.is_unknown(key)}

    assert codes == set()
    assert keys - {"COMMISSION_X", "COMMISSION_X_FILE", "COMMISSION_TOKEN"} == set()
