"""The audit trail: written in groups, on disk before the answer leaves, one chain of hashes for each client."""

from commission_mcp.storage.audit.chain import Break, Head, export_entries, heads, verify
from commission_mcp.storage.audit.entry import Entry, Filters, Phase, Recorded
from commission_mcp.storage.audit.log import AuditLog, open_audit

__all__ = [
    "AuditLog",
    "Break",
    "Entry",
    "Filters",
    "Head",
    "Phase",
    "Recorded",
    "export_entries",
    "heads",
    "open_audit",
    "verify",
]
