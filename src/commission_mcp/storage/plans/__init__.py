"""Plans as the database keeps them: immutable versions, drafts, approvals."""

from commission_mcp.storage.plans.versions import (
    IN_FORCE,
    PlanVersion,
    load_version,
    load_versions,
    version_of,
    versions_in_force,
)

__all__ = ["IN_FORCE", "PlanVersion", "load_version", "load_versions", "version_of", "versions_in_force"]
