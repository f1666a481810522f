"""How many calls of a client and of each of its users are served at a time, and how often."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from commission_mcp.domain.caller import Caller
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.storage.rates import RateLimits

_BUSY_AGAIN_S = 1
_RECORD_EVERY_S = 1.0
_REMEMBERED_MAX = 10_000

_log = logging.getLogger("commission_mcp.rates")


class TooMany(Refused):
    """A call beyond a limit.

    Attributes:
        retry_after_s: After how many seconds one may be served.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        fix = f"Call again after {retry_after_s} s, and less often: ask for more at a time."
        super().__init__(Problem(Code.RATE, message, fix))
        self.retry_after_s = retry_after_s


class CallLimits:
    """Limits of this process's calls.

    Args:
        rates: How often; opened when the first call comes.
        client_max: Calls of one client at a time.
        subject_max: Those of one user.
    """

    def __init__(self, rates: Callable[[], Awaitable[RateLimits]], *, client_max: int, subject_max: int) -> None:
        self._rates = rates
        self._client_max = client_max
        self._subject_max = subject_max
        self._running: Counter[Hashable] = Counter()
        self._refused: dict[Hashable, tuple[float, int]] = {}

    @asynccontextmanager
    async def within(self, caller: Caller) -> AsyncGenerator[None]:
        """Serve one call of this caller.

        Raises:
            TooMany: when the limits are reached.
        """
        subject = (caller.client_id, caller.issuer, caller.subject)
        if self._running[subject] >= self._subject_max:
            raise TooMany(
                f"{self._subject_max} calls of yours are running; no more are served at a time.", _BUSY_AGAIN_S
            )
        if self._running[caller.client_id] >= self._client_max:
            raise TooMany(f"{self._client_max} calls of your client are running, the most at a time.", _BUSY_AGAIN_S)
        held: tuple[Hashable, ...] = (subject, caller.client_id)
        self._running.update(held)
        try:
            await self._refuse_too_often(caller)
            yield
        finally:
            for key in held:
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]

    def refusals_to_record(self, caller: Caller) -> int:
        """How many refusals of this caller one entry of the trail is to stand for; 0 while the last one is recent.

        A flood of calls that cost nothing to refuse must not become a flood of writes.
        """
        subject = (caller.client_id, caller.issuer, caller.subject)
        now_s = time.monotonic()
        since_s, count = self._refused.get(subject, (-_RECORD_EVERY_S, 0))
        if now_s - since_s < _RECORD_EVERY_S:
            self._refused[subject] = (since_s, count + 1)
            return 0
        if len(self._refused) >= _REMEMBERED_MAX:
            self._refused.clear()
        self._refused[subject] = (now_s, 0)
        return count + 1

    async def _refuse_too_often(self, caller: Caller) -> None:
        try:
            rates = await self._rates()
        except Refused as refused:
            _log.warning("calls are not counted", extra={"code": refused.problems[0].code})
            return
        wait_s = await rates.take(caller)
        if wait_s is not None:
            raise TooMany("You or your client called more often than is allowed.", wait_s)
