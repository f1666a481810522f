"""commission-mcp: an MCP server for the people who run sales commissions."""

__version__ = "0.1.0"
