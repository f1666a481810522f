"""Who may use what: the one table that lists are filtered by, calls are refused by, and docs/security.md shows.

What a role may do *within* a tool (whose figures a payee sees, who clears every cache) is the tool's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from commission_mcp.domain.caller import Role

EVERYONE = frozenset(Role)
_READS_VIEWS = frozenset({Role.ANALYST, Role.FINANCE, Role.ADMIN, Role.PLAN_AUTHOR, Role.MANAGER})
_SEES_FIGURES = frozenset({Role.ANALYST, Role.FINANCE, Role.ADMIN, Role.MANAGER, Role.PAYEE})
_WORKS_WITH_PLANS = _READS_VIEWS | {Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR}

TOOL_ROLES: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "schema": _READS_VIEWS,
        "query": frozenset({Role.ANALYST, Role.FINANCE, Role.ADMIN}),
        "rag_search": EVERYONE,
        "read_document": EVERYONE,
        "index_documents": frozenset({Role.PLAN_AUTHOR, Role.ADMIN}),
        "chat_history": EVERYONE,
        "plan_wizard": frozenset({Role.PLAN_AUTHOR}),
        "decide_plan": frozenset({Role.APPROVER, Role.FINANCE, Role.COMPLIANCE, Role.MANAGER, Role.PAYEE, Role.ADMIN}),
        "calculate_commission": _SEES_FIGURES | {Role.PLAN_AUTHOR, Role.APPROVER},
        "compare_plans": (_SEES_FIGURES | {Role.PLAN_AUTHOR, Role.APPROVER}) - {Role.PAYEE},
        "run_commissions": frozenset({Role.FINANCE}),
        "explain_payout": _SEES_FIGURES,
        "client_overview": EVERYONE,
        "cache_clear": EVERYONE,
        "audit_log": frozenset({Role.AUDITOR, Role.ADMIN}),
        "health": EVERYONE,
    }
)
"""The roles that may call a tool, one of which is enough. A tool without an entry may be called by nobody."""

ANSWERS_ALWAYS = frozenset({"health"})
"""Tools that answer whoever is connected, even when the database cannot say what the caller may do."""

RESOURCE_ROLES: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "schema": _READS_VIEWS,
        "session": EVERYONE,
        "document": EVERYONE,
        "plan": _WORKS_WITH_PLANS,
        "client": EVERYONE,
    }
)
"""The same for resources, by the scheme of their URIs, and for completing what their URIs hold."""

PROMPT_ROLES: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "continue_conversation": EVERYONE,
        "ask_documents": EVERYONE,
        "create_plan": frozenset({Role.PLAN_AUTHOR}),
        "compare_plan_versions": _WORKS_WITH_PLANS,
        "monthly_review": _SEES_FIGURES - {Role.PAYEE},
        "explain_my_payout": _SEES_FIGURES,
        "ask_data": frozenset({Role.ANALYST, Role.FINANCE, Role.ADMIN}),
    }
)
"""The same for prompts."""

_NOBODY: frozenset[Role] = frozenset()


def tool_roles(name: str) -> frozenset[Role]:
    """The roles that may call the tool."""
    return TOOL_ROLES.get(name, _NOBODY)


def resource_roles(uri: str) -> frozenset[Role]:
    """The roles that may read the resource, by its URI or URI template."""
    return RESOURCE_ROLES.get(uri.partition("://")[0].lower(), _NOBODY)


def prompt_roles(name: str) -> frozenset[Role]:
    """The roles that may use the prompt."""
    return PROMPT_ROLES.get(name, _NOBODY)


def known_names() -> frozenset[str]:
    """All tools, prompts and schemes of resources."""
    return frozenset(TOOL_ROLES) | frozenset(RESOURCE_ROLES) | frozenset(PROMPT_ROLES)


def permissions_table() -> str:
    """The table of docs/security.md, in Markdown."""
    rows = [
        *((f"`{name}`", roles) for name, roles in TOOL_ROLES.items()),
        *((f"`{scheme}://...`", roles) for scheme, roles in RESOURCE_ROLES.items()),
        *((f"prompt `{name}`", roles) for name, roles in PROMPT_ROLES.items()),
    ]
    lines = [f"| | {' | '.join(Role)} |", f"|---{'|:-:' * len(Role)}|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(_marks(roles))} |" for name, roles in rows)])


def _marks(roles: frozenset[Role]) -> list[str]:
    return ["x" if role in roles else "" for role in Role]
