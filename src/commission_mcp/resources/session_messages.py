"""`session://{session_id}`: a conversation of the caller's own, as text."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from commission_mcp.app import App, current_app, current_caller, request_caller
from commission_mcp.conversation import conversation_text, own_sessions_of
from commission_mcp.errors import Code, Problem, Refused

SESSION_TEMPLATE = "session://{session_id}"
_COMPLETIONS_MAX = 100


def add_to(server: MCPServer[Any]) -> None:
    """Register the resource."""

    @server.resource(
        SESSION_TEMPLATE,
        name="session",
        title="Conversation",
        description="The newest messages of a conversation of yours, in order of time.",
        mime_type="text/plain",
    )
    async def session(session_id: str, ctx: Context[App]) -> str:
        found = await conversation_text(await current_app(ctx), await current_caller(ctx), session_id)
        if found is None:
            raise Refused(Problem(Code.NOT_FOUND, "There is no such session.", path="session_id"))
        return found[1]


async def complete(
    app: App,
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    _: CompletionContext | None,
) -> Completion | None:
    """Complete the ids of the caller's sessions, the latest first; nothing for other references."""
    if not isinstance(ref, ResourceTemplateReference) or ref.uri != SESSION_TEMPLATE or argument.name != "session_id":
        return None
    caller = await own_sessions_of(app, request_caller(app))
    sessions = await app.sessions()
    listed = await sessions.sessions(caller, sessions_max=_COMPLETIONS_MAX)
    ids = [session.session_id for session in listed.sessions if session.session_id.startswith(argument.value)]
    return Completion(values=ids, total=None, has_more=listed.next_cursor is not None)
