"""Importing a client's own data from files: `import_rows`, and what the files look like."""

from commission_mcp.storage.imports.run import Imported, import_rows
from commission_mcp.storage.imports.spec import COLUMNS, Column, Kind, describe

__all__ = ["COLUMNS", "Column", "Imported", "Kind", "describe", "import_rows"]
