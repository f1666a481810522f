"""A server that does not serve: how its users hear of it, and how the operator does."""

from __future__ import annotations

import logging

_log = logging.getLogger("commission_mcp.query_cache")


class Unserved(Exception):  # noqa: N818 - the caller goes on without the server
    """The server does not serve now."""


class Trouble:
    """One kind of trouble with the server; logged when it begins and when it ends, not with every call."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.present = False

    def note(self, *, present: bool, code: str = "") -> None:
        """Say whether there is trouble now."""
        if present == self.present:
            return
        self.present = present
        if present:
            _log.warning("the query cache %s; queries are answered without it", self._what, extra={"code": code})
        else:
            _log.info("the query cache works again")
