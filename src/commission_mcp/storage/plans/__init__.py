"""Plans as the database keeps them: immutable versions, drafts, approvals."""

from commission_mcp.storage.plans.approvals import ApprovalStep, Decision, Verdict, decide, load_steps, waiting_steps
from commission_mcp.storage.plans.drafts import (
    DraftSummary,
    delete_draft,
    insert_draft,
    load_draft,
    open_drafts,
    save_draft,
)
from commission_mcp.storage.plans.masters import load_known
from commission_mcp.storage.plans.review import PlanOverlap, Review, review
from commission_mcp.storage.plans.submission import lock_plan, submit
from commission_mcp.storage.plans.templates import list_templates, load_template
from commission_mcp.storage.plans.versions import (
    PlanVersion,
    list_plans,
    load_live_versions,
    load_version,
    load_versions,
    version_of,
)

__all__ = [
    "ApprovalStep",
    "Decision",
    "DraftSummary",
    "PlanOverlap",
    "PlanVersion",
    "Review",
    "Verdict",
    "decide",
    "delete_draft",
    "insert_draft",
    "list_plans",
    "list_templates",
    "load_draft",
    "load_known",
    "load_live_versions",
    "load_steps",
    "load_template",
    "load_version",
    "load_versions",
    "lock_plan",
    "open_drafts",
    "review",
    "save_draft",
    "submit",
    "version_of",
    "waiting_steps",
]
