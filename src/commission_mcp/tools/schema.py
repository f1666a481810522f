"""The `schema` tool: what there is to ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from commission_mcp.app import CurrentApp, CurrentCaller
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage import OVERVIEW_EXAMPLES, SCHEMA_ROLES, Catalog, View

ANNOTATIONS = ToolAnnotations(
    title="Schema", read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

_SUMMARY_MAX = 40  # views that a search shows


class ColumnInfo(BaseModel):
    """A column of a view."""

    name: str
    type: str
    meaning: str
    references: str | None = Field(description="The view.column that it points to.")
    masked: bool = Field(description="True when you see a mask in place of the values.")
    mask: str | None = Field(description="Why: by default or a rule of your client, and which role sees the values.")


class ViewInfo(BaseModel):
    """A view; `columns` is filled when one table is asked for."""

    name: str
    meaning: str
    key: list[str]
    columns: list[ColumnInfo]
    examples: list[str]


class SchemaResult(BaseModel):
    """The views that you may read with `query`."""

    views: list[ViewInfo]
    examples: list[str] = Field(description="Queries that work as they are.")


async def schema(
    table: Annotated[str | None, Field(description="A view's name, for its columns.", max_length=200)] = None,
    search: Annotated[str | None, Field(description="Words to look for in names and meanings.", max_length=200)] = None,
    *,
    app: CurrentApp,
    caller: CurrentCaller,
) -> Annotated[CallToolResult, SchemaResult]:
    """List the views that `query` can read, or explain one: columns, types, keys, meaning, masks, example queries.

    Call it without arguments first, then with `table` for what you need. `search` finds views and columns by words such
    as "refund" or "quota".
    """
    database = await app.database()
    admission = await database.admit(caller)
    admission.caller.require(*SCHEMA_ROLES)
    masked = database.catalog.masked_for(admission)
    if table is not None:
        views, detailed = [database.catalog.find(table)], True
    else:
        views, detailed = _found(database.catalog, search), search is not None
    result = SchemaResult(
        views=[_info(view, masked, detailed=detailed) for view in views],
        examples=[] if detailed else list(OVERVIEW_EXAMPLES),
    )
    text = _text(views, masked, detailed=detailed)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=result.model_dump())


def _found(catalog: Catalog, search: str | None) -> list[View]:
    if search is None:
        return list(catalog.views.values())
    words = search.lower().split()
    found = [view for view in catalog.views.values() if all(word.rstrip("s") in _haystack(view) for word in words)]
    if not found:
        raise Refused(
            Problem(
                Code.NOT_FOUND,
                f"No view or column has to do with {search!r}.",
                "Search for one word, or call `schema` without arguments to see all views.",
                "search",
            )
        )
    return found[:_SUMMARY_MAX]


def _haystack(view: View) -> str:
    parts = [view.name, view.meaning]
    for column in view.columns:
        parts += [column.name, column.meaning]
    return " ".join(parts).lower()


def _info(view: View, masked: Mapping[str, str], *, detailed: bool) -> ViewInfo:
    columns = [
        ColumnInfo(
            name=column.name,
            type=column.type,
            meaning=column.meaning,
            references=column.references,
            masked=f"{view.name}.{column.name}" in masked,
            mask=masked.get(f"{view.name}.{column.name}"),
        )
        for column in (view.columns if detailed else ())
    ]
    examples = list(view.examples) if detailed else []
    return ViewInfo(name=view.name, meaning=view.meaning, key=list(view.key), columns=columns, examples=examples)


def _text(views: Sequence[View], masked: Mapping[str, str], *, detailed: bool) -> str:
    if detailed:
        return "\n\n".join(view.text(masked) for view in views)
    lines = [f"{view.name}: {view.meaning}" for view in views]
    examples = "\n".join(OVERVIEW_EXAMPLES)
    return (
        "Views for `query` (call `schema` with `table` for columns):\n"
        + "\n".join(lines)
        + f"\n\nExamples:\n{examples}"
    )
