"""Templates of the client, from which drafts may start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from commission_mcp.domain.money import loads
from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.writing import Writing


async def load_template(writing: Writing, template: str) -> Mapping[str, object]:
    """The fields that a template fills in, in the inline form.

    Raises:
        Refused: with `E_UNKNOWN`, naming the templates there are.
    """
    rows = await writing.rows(
        "SELECT template, definition::text FROM cm.plan_template WHERE client_id = %s ORDER BY template",
        [writing.client_id],
    )
    for name, definition in rows:
        if name.lower() == template.strip().lower():
            return cast("Mapping[str, object]", loads(definition))
    known = [str(row[0]) for row in rows]
    listed = ", ".join(known) or "none; `commission-mcp client set --template` adds one"
    message = f"There is no template {template[:60]!r}."
    raise Refused(Problem(Code.UNKNOWN, message, f"{nearest(template, known)}There are: {listed}.", "template"))


async def list_templates(writing: Writing) -> dict[str, str]:
    """The templates and what they are for."""
    rows = await writing.rows(
        "SELECT template, description FROM cm.plan_template WHERE client_id = %s ORDER BY template",
        [writing.client_id],
    )
    return {str(name): str(description) for name, description in rows}
