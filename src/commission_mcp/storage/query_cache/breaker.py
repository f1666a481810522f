"""A circuit breaker for a server that its users can do without, and how its operator hears that it does not serve."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger("commission_mcp.query_cache")


class Unavailable(Exception):  # noqa: N818 - the caller goes on without the server
    """The server does not serve now."""


class CircuitBreaker:
    """Leaves a server alone for a while after it could not be reached; then one call tries it for all.

    Args:
        pause_s: How long it is left alone.
        clock: What tells the time, in seconds.
    """

    def __init__(self, pause_s: float, clock: Callable[[], float]) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._open = False
        self._retry_at_s = clock()

    def allows(self) -> bool:
        """Whether to call the server now; of several callers who ask at the end of a pause, the first one may."""
        now_s = self._clock()
        if now_s < self._retry_at_s:
            return False
        if self._open:
            self._retry_at_s = now_s + self._pause_s
        return True

    def succeeded(self) -> None:
        """Say that the server answered."""
        self._open = False

    def failed(self) -> None:
        """Say that it was not reached."""
        self._open = True
        self._retry_at_s = self._clock() + self._pause_s


class Outage:
    """One way in which the server does not serve; logged when it begins and when it ends, not with every call."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lasts = False

    def note(self, *, lasts: bool, code: str = "") -> None:
        """Say whether it lasts now."""
        if lasts == self._lasts:
            return
        self._lasts = lasts
        if lasts:
            _log.warning("the query cache %s; queries are answered without it", self._what, extra={"code": code})
        else:
            _log.info("the query cache works again")
