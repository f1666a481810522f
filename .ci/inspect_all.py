"""Each tool, kind of resource and prompt through the official inspector's command line, in one protocol era.

The calls of the tools are those of the README. Usage: inspect_all.py ERA DATA_DIRECTORY
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROLES = "analyst,plan_author,manager,finance,approver,compliance,auditor,admin"
RESOURCES = {
    "schema://tables": "payouts",
    "schema://tables/sales": "sold_on",
    "client://context": "client-abc",
    "plan://wizard/choices": "Tiered",
    "plan://plan-core": "plan-core",
    "plan://plan-core/versions/1": "tiers",
    "document://client/q4-bonuses.pdf": "bonus",
    "document://shared/glossary.md": "quota",
    "session://{session_id}": "North Region",
}
PROMPTS = {
    "create_plan": {"description": "5 % of all sales in the North, monthly"},
    "ask_data": {"question": "Who was paid most in May 2026?"},
    "ask_documents": {"question": "When are bonuses paid?"},
    "monthly_review": {"period": "2026-05"},
    "explain_my_payout": {"period": "2026-05", "payee": "abc-p-001"},
    "compare_plan_versions": {"plan_id": "plan-core"},
    "continue_conversation": {},
}
REFUSED_EXIT = 5  # of the inspector, when a tool answers with an error


class Inspector:
    """Starts the inspector, which starts a server, for each question."""

    def __init__(self, era: str, data_directory: str) -> None:
        serve = [sys.executable, "-m", "commission_mcp", "serve", "--data-directory", data_directory]
        self._command = ["mcp-inspector", "--cli", *serve, "--client", "client-abc", "--protocol-era", era]
        self._command += ["-e", f"COMMISSION_ROLES={ROLES}"]

    def ask(self, method: str, *options: str, expected: int = 0) -> dict[str, Any]:
        """The answer; what ends otherwise than expected is shown, and ends this too."""
        ran = subprocess.run(
            [*self._command, "--method", method, *options], capture_output=True, text=True, check=False
        )
        if ran.returncode != expected:
            sys.exit(f"{method} {options} ended with {ran.returncode}: {ran.stdout[:2000]}\n{ran.stderr[-2000:]}")
        answer: dict[str, Any] = json.loads(ran.stdout) if ran.stdout.strip() else {}
        return answer

    def call(self, tool: str, arguments: dict[str, Any], expected: int = 0) -> dict[str, Any]:
        """Call a tool; its structured content."""
        pairs = [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
        given = [part for pair in pairs for part in ("--tool-arg", pair)]
        answer = self.ask("tools/call", "--tool-name", tool, *given, expected=expected)
        return answer.get("structuredContent", {})


def readme_calls() -> dict[str, dict[str, Any]]:
    """The call of each tool's section."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.findall(r"^#### `(\w+)`\n.*?```json\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    return {tool: json.loads(arguments) for tool, arguments in found}


def main(era: str, data_directory: str) -> None:
    """Ask everything once."""
    inspector, calls = Inspector(era, data_directory), readme_calls()
    tools = [tool["name"] for tool in inspector.ask("tools/list")["tools"]]
    assert set(tools) == set(calls), set(tools) ^ set(calls)
    answers = {tool: inspector.call(tool, arguments) for tool, arguments in calls.items()}
    assert all(answers.values()), [tool for tool, answer in answers.items() if not answer]
    assert inspector.call("query", {"sql": "SELECT count(*) FROM sales"})["rows"][0][0] > 0
    inspector.call("query", {"sql": "DELETE FROM sales"}, expected=REFUSED_EXIT)
    _resources(inspector, answers["chat_history"]["session_id"])
    _prompts(inspector)
    print(f"{era}: {len(tools)} tools, {len(RESOURCES)} resources, {len(PROMPTS)} prompts answer; a write is refused")


def _resources(inspector: Inspector, session_id: str) -> None:
    templates = {each["uriTemplate"] for each in inspector.ask("resources/templates/list")["resourceTemplates"]}
    listed = {each["uri"] for each in inspector.ask("resources/list")["resources"]}
    for uri, word in RESOURCES.items():
        answer = inspector.ask("resources/read", "--uri", uri.format(session_id=session_id))
        assert word.lower() in json.dumps(answer).lower(), (uri, answer)
    kinds = {template.partition("{")[0] for template in templates} | {uri for uri in listed if "document:" not in uri}
    untried = [kind for kind in kinds if not any(uri.startswith(kind) for uri in RESOURCES)]
    assert not untried, untried


def _prompts(inspector: Inspector) -> None:
    listed = {each["name"] for each in inspector.ask("prompts/list")["prompts"]}
    assert listed == set(PROMPTS), listed ^ set(PROMPTS)
    for name, arguments in PROMPTS.items():
        given = [part for key, value in arguments.items() for part in ("--prompt-args", f"{key}={value}")]
        answer = inspector.ask("prompts/get", "--prompt-name", name, *given)
        assert answer["messages"], name


if __name__ == "__main__":
    main(*sys.argv[1:])
