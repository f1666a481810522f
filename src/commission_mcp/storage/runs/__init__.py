"""Paying real sales: what a period's calculation needs, read in one snapshot, and what it gives, written for good."""

from commission_mcp.storage.runs.calendar import CalendarPeriod, find_period
from commission_mcp.storage.runs.inputs import RunInputs, load_inputs
from commission_mcp.storage.runs.versions import StoredPlan, find_version

__all__ = ["CalendarPeriod", "RunInputs", "StoredPlan", "find_period", "find_version", "load_inputs"]
