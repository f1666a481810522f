"""The inline form of a plan, sales and their context: JSON in, the domain's values out, or every problem at once."""

from commission_mcp.domain.parsing.form import Inputs, parse_form
from commission_mcp.domain.parsing.plan_form import parse_plan

__all__ = ["Inputs", "parse_form", "parse_plan"]
