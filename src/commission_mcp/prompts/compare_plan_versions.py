"""`compare_plan_versions`: what a version of a plan changes, and what that means in money."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.prompts.arguments import period_or, quoted

_TEXT = """\
Compare two versions of the plan {plan}{versions}.
1. Read plan://{{plan_id}} for its versions, and plan://{{plan_id}}/versions/{{n}} for each of the two.
2. Say in plain words what differs: dates, bands and rates, what counts, to whom it applies, caps and other limits.
3. Call `compare_plans` over {period}: the total under each, who gains and who loses most, and why.
4. Name what I should check before approving, such as a cliff between bands or payees who lose more than a tenth."""


def add_to(server: MCPServer[Any]) -> None:
    """Register the prompt."""

    @server.prompt(
        name="compare_plan_versions",
        title="Compare versions of a plan",
        description="What a version changes against another, in words and in money.",
    )
    def compare_plan_versions(
        plan_id: Annotated[str, Field(description="The plan; left out, you are asked.")] = "",
        version: Annotated[str, Field(description="One version; left out, the newest.")] = "",
        other_version: Annotated[str, Field(description="The other; left out, the one before.")] = "",
        period: Annotated[str, Field(description="Over the sales of this period; left out, the latest.")] = "",
    ) -> str:
        return _TEXT.format(
            plan=quoted(plan_id) if plan_id.strip() else "(ask me which; `commission_plans` lists them)",
            versions=_versions(version, other_version),
            period=period_or(period, "the sales of the latest whole month"),
        )


def _versions(version: str, other: str) -> str:
    for name, text in (("version", version), ("other_version", other)):
        if text.strip() and not text.strip().isdecimal():
            raise Refused(Problem(Code.ARGUMENT, f"{text[:40]!r} is no version.", "Give a number such as 2.", name))
    first, second = version.strip() or "the newest", other.strip() or "the one before it"
    return f": {first} and {second}"
