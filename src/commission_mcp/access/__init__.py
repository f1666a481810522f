"""What every call passes: may the caller, how long, and the record of it."""

from commission_mcp.access.performing import Demand, perform, roles_to_show
from commission_mcp.app import CallReport

__all__ = ["CallReport", "Demand", "perform", "roles_to_show"]
