"""The resources: the same facts as the tools', addressable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import MCPServer

from commission_mcp.app import App
from commission_mcp.resources import schema_tables


def add_resources(server: MCPServer[Any], running: Callable[[], App]) -> None:
    """Register every family of resources, and the completion of their arguments."""
    schema_tables.add_to(server, running)
