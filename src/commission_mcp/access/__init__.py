"""What every call passes: may the caller, how long, and the record of it."""

from commission_mcp.access.performing import Demand, perform, roles_to_show

__all__ = ["Demand", "perform", "roles_to_show"]
