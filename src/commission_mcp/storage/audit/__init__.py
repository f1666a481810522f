"""The audit trail: written in groups, on disk before the answer leaves, one chain of hashes for each client."""

from commission_mcp.storage.audit.archive import Archive, line_of, read_archive
from commission_mcp.storage.audit.chain import Break, Head, Verdict, Walk, export_entries, heads, verify
from commission_mcp.storage.audit.checkpoint import SEALING, Checkpoint, checkpoints
from commission_mcp.storage.audit.commands import Act, acting, append, on_record, record_of_all, record_refusal
from commission_mcp.storage.audit.entry import Entry, Filters, Phase, Recorded
from commission_mcp.storage.audit.log import AuditLog, open_audit
from commission_mcp.storage.audit.pruning import Pruned, Retention, prune, retentions, to_remove

__all__ = [
    "SEALING",
    "Act",
    "Archive",
    "AuditLog",
    "Break",
    "Checkpoint",
    "Entry",
    "Filters",
    "Head",
    "Phase",
    "Pruned",
    "Recorded",
    "Retention",
    "Verdict",
    "Walk",
    "acting",
    "append",
    "checkpoints",
    "export_entries",
    "heads",
    "line_of",
    "on_record",
    "open_audit",
    "prune",
    "read_archive",
    "record_of_all",
    "record_refusal",
    "retentions",
    "to_remove",
    "verify",
]
