"""The `cache_clear` tool: forgets what was kept to be quick, or a conversation."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.domain.caller import Role
from commission_mcp.errors import Code, Problem, Refused

ANNOTATIONS = ToolAnnotations(
    title="Clear caches", read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

Scope: TypeAlias = Literal["session", "client", "global"]


class CacheClearResult(BaseModel):
    """What was cleared."""

    scope: str
    keys_removed: int = Field(description="Keys of Redis that are gone.")


async def cache_clear(
    scope: Annotated[
        Scope,
        Field(
            description="session: one conversation of yours, for good. client: your client's cached answers. "
            "global: those of all clients (role admin)."
        ),
    ],
    session_id: Annotated[str | None, Field(description="Needed for scope session, and for no other.")] = None,
    client_id: Annotated[str | None, Field(description="Your own client, if you want that checked.")] = None,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, CacheClearResult]:
    """Forget cached answers of `query`, or one conversation.

    Seldom needed: a cached answer is never older than the last change of its data. `client` and `global` touch no
    conversation. Afterwards the same query reads the database again (`cache` is `miss`).
    """
    caller.require_client(client_id)
    _check(scope, session_id)
    admitted = (await (await app.database()).admit(caller)).caller
    admitted.require(*((Role.ADMIN,) if scope == "global" else tuple(Role)))
    if session_id is not None:
        removed = await (await app.sessions()).clear(admitted, session_id)
    else:
        cache = await app.query_cache()
        removed = await cache.clear(None if scope == "global" else admitted.client_id)
    text = f"Cleared {scope}: {removed} keys removed."
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content={"scope": scope, "keys_removed": removed}
    )


def _check(scope: Scope, session_id: str | None) -> None:
    if scope == "session" and session_id is None:
        fix = "Pass `session_id`; `chat_history` with action `sessions` lists yours."
        raise Refused(Problem(Code.ARGUMENT, "Scope `session` needs `session_id`.", fix, "session_id"))
    if scope != "session" and session_id is not None:
        fix = "Leave it out, or use scope `session`."
        raise Refused(Problem(Code.ARGUMENT, f"Scope `{scope}` does not take `session_id`.", fix, "session_id"))
