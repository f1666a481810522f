"""`schema://tables` and `schema://tables/{table}`: the views in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from commission_mcp.app import App, current_app, current_caller, request_caller
from commission_mcp.domain.caller import Caller
from commission_mcp.storage import SCHEMA_ROLES, Admission, Catalog

TABLES_URI = "schema://tables"
TABLE_TEMPLATE = "schema://tables/{table}"
_COMPLETIONS_MAX = 100


def add_to(server: MCPServer[Any], running: Callable[[], App]) -> None:
    """Register both resources.

    Args:
        server: The server.
        running: The running application, for what the SDK calls without a context.
    """

    @server.resource(
        TABLES_URI, name="tables", title="Views", description="The views that `query` reads.", mime_type="text/plain"
    )
    async def tables() -> str:
        app = running()
        catalog, _ = await _admitted(app, request_caller(app))
        return "\n".join(f"{view.name}: {view.meaning}" for view in catalog.views.values())

    @server.resource(
        TABLE_TEMPLATE,
        name="table",
        title="View",
        description="One view: columns, types, keys, meaning, masks, example queries.",
        mime_type="text/plain",
    )
    async def table(table: str, ctx: Context[App]) -> str:
        catalog, admission = await _admitted(await current_app(ctx), await current_caller(ctx))
        return catalog.find(table).text(catalog.masked_for(admission))


async def complete(
    app: App,
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    _: CompletionContext | None,
) -> Completion | None:
    """Complete the names of views; nothing for other references."""
    if not isinstance(ref, ResourceTemplateReference) or ref.uri != TABLE_TEMPLATE or argument.name != "table":
        return None
    catalog, _admission = await _admitted(app, request_caller(app))
    names = [name for name in catalog.views if name.startswith(argument.value.lower())]
    return Completion(values=names[:_COMPLETIONS_MAX], total=len(names), has_more=len(names) > _COMPLETIONS_MAX)


async def _admitted(app: App, caller: Caller) -> tuple[Catalog, Admission]:
    database = await app.database()
    admission = await database.admit(caller)
    admission.caller.require(*SCHEMA_ROLES)
    return database.catalog, admission
