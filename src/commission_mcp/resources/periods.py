"""Completing periods in the arguments of prompts."""

from __future__ import annotations

from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from commission_mcp.app import App, request_caller

_COMPLETIONS_MAX = 100


async def complete(
    app: App,
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    _: CompletionContext | None,
) -> Completion | None:
    """Complete the periods of the client's calendar, the latest first; nothing for other arguments."""
    if not isinstance(ref, PromptReference) or argument.name != "period":
        return None
    async with (await app.database()).writing(request_caller(app), read_only=True) as reading:
        rows = await reading.rows(
            "SELECT period_id FROM cm.period WHERE client_id = %s AND starts_with(period_id, %s) "
            "AND lower(span) <= now() ORDER BY upper(span) DESC, period_id DESC LIMIT %s",
            [reading.client_id, argument.value, _COMPLETIONS_MAX],
        )
    return Completion(values=[str(row[0]) for row in rows], total=None, has_more=len(rows) == _COMPLETIONS_MAX)
