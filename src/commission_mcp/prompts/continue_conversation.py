"""`continue_conversation`: takes up a conversation where it was left, in a host that knows nothing of it."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from pydantic import Field

from commission_mcp.app import App, current_app, current_caller
from commission_mcp.conversation import conversation_text
from commission_mcp.errors import Code, Problem, Refused

_OPENING = """\
Let us go on with this conversation of ours (session {session_id}). Read it, say in two sentences where we stand, and \
ask what to do next. Words such as "those rates" or "the plan" mean what was discussed in it. Its lines from `tool` \
are calls that were made: call again for what they answered, since data may have changed. Append what we say from now \
on with `chat_history` under this session_id.

"""


def add_to(server: MCPServer[Any]) -> None:
    """Register the prompt."""

    @server.prompt(
        name="continue_conversation",
        title="Continue a conversation",
        description="Load a conversation back, so that it can go on as if it had not been interrupted.",
    )
    async def continue_conversation(
        ctx: Context[App],
        session_id: Annotated[str, Field(description="Which conversation; left out, your latest.")] = "",
    ) -> str:
        app = await current_app(ctx)
        found = await conversation_text(app, await current_caller(ctx), session_id.strip() or None)
        if found is None:
            fix = "Begin one: conversations are kept for a while after their last message."
            raise Refused(Problem(Code.NOT_FOUND, "You have no conversation that is still kept.", fix, "session_id"))
        session, text = found
        return _OPENING.format(session_id=session) + text
