"""The tools, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from mcp.types import ToolAnnotations

from commission_mcp.tools import (
    audit_log,
    cache_clear,
    calculate_commission,
    chat_history,
    client_overview,
    compare_plans,
    decide_plan,
    explain_payout,
    health,
    index_documents,
    plan_wizard,
    query,
    rag_search,
    read_document,
    run_commissions,
    schema,
)


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool: its function, whose signature is the schema and whose docstring the model reads, and its annotations."""

    function: Callable[..., Any]
    annotations: ToolAnnotations


TOOLS: tuple[ToolEntry, ...] = (
    ToolEntry(schema.schema, schema.ANNOTATIONS),
    ToolEntry(query.query, query.ANNOTATIONS),
    ToolEntry(rag_search.rag_search, rag_search.ANNOTATIONS),
    ToolEntry(read_document.read_document, read_document.ANNOTATIONS),
    ToolEntry(index_documents.index_documents, index_documents.ANNOTATIONS),
    ToolEntry(calculate_commission.calculate_commission, calculate_commission.ANNOTATIONS),
    ToolEntry(plan_wizard.plan_wizard, plan_wizard.ANNOTATIONS),
    ToolEntry(decide_plan.decide_plan, decide_plan.ANNOTATIONS),
    ToolEntry(client_overview.client_overview, client_overview.ANNOTATIONS),
    ToolEntry(compare_plans.compare_plans, compare_plans.ANNOTATIONS),
    ToolEntry(explain_payout.explain_payout, explain_payout.ANNOTATIONS),
    ToolEntry(run_commissions.run_commissions, run_commissions.ANNOTATIONS),
    ToolEntry(chat_history.chat_history, chat_history.ANNOTATIONS),
    ToolEntry(cache_clear.cache_clear, cache_clear.ANNOTATIONS),
    ToolEntry(audit_log.audit_log, audit_log.ANNOTATIONS),
    ToolEntry(health.health, health.ANNOTATIONS),
)


def without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without the titles that are made of the names: a tenth of what a model would read of it."""
    return {
        name: {key: without_titles(each) for key, each in value.items()} if name == "properties" else _bare(value)
        for name, value in schema.items()
        if name != "title"
    }


def _bare(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return without_titles(cast("dict[str, Any]", value))
    return [_bare(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
