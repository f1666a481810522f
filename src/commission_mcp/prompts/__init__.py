"""The prompts: what a person starts a piece of work with, one file each."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer

from commission_mcp.prompts import (
    ask_data,
    ask_documents,
    compare_plan_versions,
    continue_conversation,
    create_plan,
    explain_my_payout,
    monthly_review,
)


def add_prompts(server: MCPServer[Any]) -> None:
    """Register every prompt."""
    for prompt in (
        continue_conversation,
        create_plan,
        compare_plan_versions,
        monthly_review,
        explain_my_payout,
        ask_data,
        ask_documents,
    ):
        prompt.add_to(server)
