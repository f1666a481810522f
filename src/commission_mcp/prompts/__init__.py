"""The prompts: what a person starts a piece of work with, one file each."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer

from commission_mcp.prompts import ask_documents, continue_conversation


def add_prompts(server: MCPServer[Any]) -> None:
    """Register every prompt."""
    for prompt in (ask_documents, continue_conversation):
        prompt.add_to(server)
