"""Demo data: three companies that do not exist, with two years of sales, plans and results."""

from commission_mcp.storage.demo.clients import DEMO_CLIENTS, DemoClient
from commission_mcp.storage.demo.loading import load_demo_rows

__all__ = ["DEMO_CLIENTS", "DemoClient", "load_demo_rows"]
