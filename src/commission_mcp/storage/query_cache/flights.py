"""Work that several callers want at once is done once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio

from commission_mcp.errors import Refused

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """Work under way, and what came of it."""

    landed: anyio.Event = field(default_factory=anyio.Event)
    result: T | None = None
    refusal: Refused | None = None


class Flights(Generic[T]):
    """Work of this process, by what it is about."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Flight[T]] = {}

    async def share(self, name: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of the work, and whether this caller did it.

        Whoever comes first works; the others wait and share the result or the refusal. When the one who works is
        cancelled or crashes, the next one works.

        Raises:
            Refused: when the work was refused.
        """
        while (flight := self._under_way.get(name)) is not None:
            await flight.landed.wait()
            if flight.refusal is not None:
                raise Refused(*flight.refusal.problems)
            if flight.result is not None:
                return flight.result, False
        return await self._lead(name, work), True

    async def _lead(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        flight = self._under_way[name] = _Flight[T]()
        try:
            flight.result = await work()
        except Refused as refused:
            flight.refusal = refused
            raise
        finally:
            del self._under_way[name]
            flight.landed.set()
        return flight.result
