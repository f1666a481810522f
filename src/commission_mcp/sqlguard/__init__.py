"""The SELECT guard: a text becomes a `Select`, or is `Refused` with every reason.

The database isolates without it; the guard is the second wall, and the one that explains. It allows what it knows and
refuses the rest: kinds of nodes (`grammar`), functions (`functions`), types (`type_names`), and the relations given.
"""

from commission_mcp.sqlguard.functions import ALLOWED_FUNCTIONS, VOLATILE_FUNCTIONS
from commission_mcp.sqlguard.lines import check_statements
from commission_mcp.sqlguard.parse import parse_select
from commission_mcp.sqlguard.relations import Relations
from commission_mcp.sqlguard.statement import Select

__all__ = ["ALLOWED_FUNCTIONS", "VOLATILE_FUNCTIONS", "Relations", "Select", "check_statements", "parse_select"]
