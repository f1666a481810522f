"""`create_plan`: a commission plan from a description in words."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from commission_mcp.prompts.arguments import quoted

_TEXT = """\
Let us make a commission plan with `plan_wizard`, step by step.
{described}
How to go about it:
1. Read client://context and plan://wizard/choices: the client's currency, territories, products, keys and choices.
2. Call `plan_wizard` with what is known, one phase at a time; every answer says what is missing, what is wrong, and the
   next call. Use only names that the client has. Send numbers as strings, rates in points ("8" is 8 %).
3. Translate words carefully: "8 % below quota, 12 % above" is Tiered by Percentage of Quota, 0-100 and 100-open; "x %
   of everything once y is reached" is Slab; "x % on what exceeds y" is Tiered with 0 below. Per unit, per deal and per
   period amounts are Fixed Amount with `fixed_basis`.
4. Ask me for what I did not say: dates, whether bands begin anew every month, Tiered or Slab, to whom it applies. Never
   invent it, and never guess whether "by 1 %" means points or per cent of each rate.
5. Call it with action `review`, and show me the worked amounts under both readings, what changes, what overlaps,
   and who approves.
6. Submit only when I say so. Others approve it."""


def add_to(server: MCPServer[Any]) -> None:
    """Register the prompt."""

    @server.prompt(
        name="create_plan",
        title="Create a commission plan",
        description="Make a plan in three guided phases, from a description in words if you have one.",
    )
    def create_plan(
        description: Annotated[str, Field(description="The plan in your own words; may be left out.")] = "",
        plan_id: Annotated[str, Field(description="Make a new version of this plan instead.")] = "",
    ) -> str:
        parts = [f"This is what I have in mind:\n{quoted(description)}"] if description.strip() else []
        if plan_id.strip():
            parts.append(f"It is a new version of a plan: begin with plan_id {quoted(plan_id)}.")
        return _TEXT.format(described="\n".join(parts) or "I have not said yet what it should pay; ask me.")
