from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from commission_mcp.storage.imports import Kind, describe

if TYPE_CHECKING:
    from conftest import Installation

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("kind", Kind)
def test_the_columns_of_a_kind_of_file_are_documented_as_they_are(kind: Kind) -> None:
    assert describe(kind) in (ROOT / "docs" / "importing.md").read_text("utf-8")


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_the_example_configuration_names_only_known_settings_and_commands() -> None:
    entry = json.loads((ROOT / "claude_desktop_config.example.json").read_text("utf-8"))["mcpServers"]["commission"]
    configuration = (ROOT / "docs" / "configuration.md").read_text("utf-8")

    assert entry["args"] == ["serve"]
    assert [name for name in entry["env"] if f"`{name}`" not in configuration] == []


def test_the_readme_says_of_each_package_why_it_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    required = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = [re.split(r"[\[<>=; ]", line)[0] for line in required]
    table = README.partition("| package | why it is here |")[2].partition("\n\n")[0]
    explained = {
        name for row in table.splitlines() for name in re.findall(r"[\w.-]+", row.split("|")[1:2][0] if row else "")
    }

    assert sorted({name for name in names if name != "commission-mcp"} - explained) == []
    assert len(project["dependencies"]) == len({re.split(r"[\[<>=; ]", line)[0] for line in project["dependencies"]})


@pytest.mark.anyio
async def test_the_readmes_python_snippet_runs(postgres_18: Installation) -> None:
    snippet = next(iter(re.findall(r"```python\n(.*?)```", README, re.DOTALL)))
    assert "client-abc" in snippet
    here = snippet.replace("client-abc", "client-a")
    variables = {**postgres_18.variables, "PATH": "/usr/bin:/bin"}
    ran = await anyio.run_process([sys.executable, "-c", here], env=variables, check=False)

    assert ran.stdout == b"None\n", ran.stderr
