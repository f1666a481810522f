"""Redis and Valkey servers, as far as `doctor` asks about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.redis_limits import RedisLimits

_TIMEOUT_MS = 3_000


@dataclass(frozen=True, slots=True)
class RedisState:
    """What a server says of itself, or the primaries of a cluster together.

    Attributes:
        version: Which program it is.
        memory_bytes: The memory in use.
        policy: What it evicts when full; several where the primaries differ.
    """

    version: str
    memory_bytes: int
    policy: str

    @classmethod
    def of(cls, facts: Sequence[Mapping[str, Any]]) -> RedisState:
        """Read the answers of all primaries to INFO."""
        first = facts[0]
        name = "Valkey" if "valkey_version" in first else "Redis"
        return cls(
            version=f"{name} {first.get('valkey_version') or first.get('redis_version')}",
            memory_bytes=sum(int(server["used_memory"]) for server in facts),
            policy=", ".join(sorted({str(server.get("maxmemory_policy", "noeviction")) for server in facts})),
        )

    @property
    def memory(self) -> str:
        """The memory in use, as people write it."""
        return f"{self.memory_bytes / 2**20:.1f}MB"

    @property
    def evicts(self) -> bool:
        """Whether it may drop keys before they expire."""
        return self.policy != "noeviction"


async def redis_state(url: str) -> RedisState:
    """Ask a server.

    Raises:
        Refused: with `E_REDIS_UNREACHABLE`.
    """
    from commission_mcp.storage.redis_connections import open_redis  # noqa: PLC0415 - imports redis

    limits = RedisLimits(1, _TIMEOUT_MS, _TIMEOUT_MS, 2 * _TIMEOUT_MS, pauses_ms=())
    try:
        async with open_redis(url, [], limits) as server:
            facts = await server.info()
    except Refused:
        raise Refused(
            Problem(
                Code.REDIS_UNREACHABLE,
                "Redis does not answer, or refuses the login.",
                "Check that it runs, and host, port and password in COMMISSION_REDIS_URL.",
                "COMMISSION_REDIS_URL",
            )
        ) from None
    return RedisState.of(facts)
