"""The order in which the queries of one WITH RECURSIVE are looked at: each after those that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from commission_mcp.sqlguard.tree import Node, nodes_of


def by_need(ctes: Sequence[Node]) -> list[Node]:
    """The queries, those that others read first; in the order of the text where they read each other in a circle.

    Under RECURSIVE every query sees all names of its WITH, also those that come later in the text.
    """
    names = {cte["ctename"] for cte in ctes}
    needs = {cte["ctename"]: {name for name in tables(cte["ctequery"]) if name in names} for cte in ctes}
    ordered: list[Node] = []
    waiting = list(ctes)
    ready: set[str] = set()
    while waiting:
        free = next((cte for cte in waiting if needs[cte["ctename"]] <= ready | {cte["ctename"]}), None)
        chosen = free or waiting[0]
        waiting.remove(chosen)
        ready.add(chosen["ctename"])
        ordered.append(chosen)
    return ordered


def tables(root: Node) -> Iterator[str]:
    """The bare table names anywhere in a query."""
    pending = [root]
    while pending:
        node = pending.pop()
        if "relname" in node and "schemaname" not in node:
            yield node["relname"]
        pending += [inner for value in node.values() for inner in nodes_of(value)]
