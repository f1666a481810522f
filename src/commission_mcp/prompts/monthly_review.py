"""`monthly_review`: what a period paid, and what needs attention."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from commission_mcp.prompts.arguments import period_or

_TEXT = """\
Review the commissions of {period}.
1. Call `client_overview` for it: totals, attainment, top and bottom, unmatched sales, the trend.
2. With `schema` and `query` look at what stands out: payees whose payout moved by more than a quarter against the
   period before, sales that earned nothing and why, negative lines and clawbacks, caps that were hit, open drafts.
3. Check each striking figure with `explain_payout` before you name a reason; say where the data does not tell.
4. Answer with: the total and its change; the five things I should look at, each with the amount, the payee or plan, and
   what to do; and what is still open in the period. Quote amounts exactly, with their currency."""


def add_to(server: MCPServer[Any]) -> None:
    """Register the prompt."""

    @server.prompt(
        name="monthly_review",
        title="Monthly review",
        description="What a period paid, what moved, and what needs attention.",
    )
    def monthly_review(
        period: Annotated[str, Field(description="Such as 2026-07; left out, the latest that was calculated.")] = "",
    ) -> str:
        return _TEXT.format(period=period_or(period, "the latest period that was calculated (see `calculation_runs`)"))
