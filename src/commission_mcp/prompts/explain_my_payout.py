"""`explain_my_payout`: from a payout back to the sales, to the cent."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from commission_mcp.prompts.arguments import period_or, quoted

_TEXT = """\
Explain {whose} payout for {period}, so that it can be checked with a pocket calculator.
1. Call `explain_payout`: it goes from sale to credit to rule to band to amount, and says what changed against the
   period before.
2. Begin with the amount that is paid and what it consists of: commissions, bonuses, draws, corrections, carried rest.
3. Then the largest sales with their arithmetic in one line each, and which band they reached and why.
4. Say what changed against the period before, and which part of it comes from sales, the plan, and corrections.
5. Name the plan and version, and what would have to be different for the figure to be wrong. Add nothing yourself."""


def add_to(server: MCPServer[Any]) -> None:
    """Register the prompt."""

    @server.prompt(
        name="explain_my_payout",
        title="Explain my payout",
        description="Why a payout is what it is: sales, credits, rules, bands, to the cent.",
    )
    def explain_my_payout(
        period: Annotated[str, Field(description="Such as 2026-07; left out, the latest that was paid.")] = "",
        payee: Annotated[str, Field(description="Whose, if not your own; your role decides whether you may.")] = "",
    ) -> str:
        return _TEXT.format(
            whose=f"the payee {quoted(payee)}'s" if payee.strip() else "my",
            period=period_or(period, "the latest period that has a payout"),
        )
