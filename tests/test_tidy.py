"""Rules about the tree that a linter does not know."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from mcp.server.mcpserver.tools import Tool

from commission_mcp.tools import TOOLS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "commission_mcp"
SNAPSHOTS = Path(__file__).parent / "tools" / "snapshots"


def test_the_domain_has_no_float() -> None:
    """It may ask whether something is a float, to refuse it."""
    floats = [
        f"{path.name}:{node.lineno}"
        for path in (SOURCE / "domain").rglob("*.py")
        for node in ast.walk(_without_type_questions(ast.parse(path.read_text("utf-8"))))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]

    assert floats == []


def _without_type_questions(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            del node.args[1]
    return tree


def test_every_tool_has_a_file_and_a_test_file_of_its_name() -> None:
    names = {tool.function.__name__ for tool in TOOLS}

    assert {path.stem for path in (SOURCE / "tools").glob("*.py")} - {"__init__"} == names
    assert {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "tools").glob("test_*.py")} >= names


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.function.__name__)
def test_the_published_schema_of_a_tool_is_the_accepted_one(tool: object) -> None:
    """The tool list is a public interface: a change of it is seen and accepted, by deleting and rewriting the file."""
    function = getattr(tool, "function")  # noqa: B009 - a parametrised object
    made = Tool.from_function(function)
    schema = {"input": made.parameters, "output": made.output_schema}
    snapshot = SNAPSHOTS / f"{function.__name__}.json"
    if not snapshot.exists():
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n", "utf-8")
        pytest.fail(f"there was no accepted schema; review and commit {snapshot.name}")

    assert schema == json.loads(snapshot.read_text("utf-8"))


def test_tracked_files_name_no_machine_and_no_registry() -> None:
    pattern = re.compile(r"(?:--(?:extra-)?index-url|/(?:root|home)/[a-z]+/|files\.pythonhosted|pypi\.org/simple)")
    named = [
        str(path.relative_to(ROOT))
        for folder in ("src", "docs", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".md", ".json", ".toml"} and pattern.search(path.read_text("utf-8"))
    ]

    assert named == []


def test_every_suppression_says_why() -> None:
    """A directive to a tool is followed by a reason; "as above" is one, where the line above has it."""
    directive = re.compile(r"#\s*(?:noqa|pyright: ignore|type: ignore|fmt: (?:skip|off))\b")
    parts = re.compile(r"#|noqa(?:: [A-Z0-9, ]+)?|(?:pyright|type): ignore(?:\[[^\]]*\])?|fmt: (?:skip|off)|[ -]")
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("src", "tests", "benchmarks", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := directive.search(line)) and not parts.sub("", line[found.start() :])
    ]

    assert silent == []


def test_every_patch_and_skip_says_why() -> None:
    """A test that replaces something, or is passed over, has the reason beside it."""
    act = re.compile(
        r"monkeypatch\.(?:setattr|setitem|delattr)\(|mock\.patch|importorskip\(|mark\.(?:skip|xfail)|pytest\.skip\("
    )
    reason = re.compile(r"# \w|reason|pytest\.skip\(f?\"")
    silent: list[str] = []
    for path in (ROOT / "tests").rglob("*.py"):
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            around = "\n".join(lines[max(0, number - 1) : number + 5])
            if act.search(line) and not reason.search(around):
                silent.append(f"{path.relative_to(ROOT)}:{number + 1}")

    assert silent == []
