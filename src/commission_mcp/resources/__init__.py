"""The resources: the same facts as the tools', addressable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from commission_mcp.app import App
from commission_mcp.resources import documents, periods, plans, schema_tables, session_messages


def add_resources(server: MCPServer[Any], running: Callable[[], App]) -> None:
    """Register every family of resources, and the completion of their arguments."""
    schema_tables.add_to(server, running)
    session_messages.add_to(server)
    documents.add_to(server)
    plans.add_to(server, running)

    @server.completion()  # there is one handler for all of them
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        for family in (schema_tables, session_messages, documents, plans, periods):
            found = await family.complete(running(), ref, argument, context)
            if found is not None:
                return found
        return None
