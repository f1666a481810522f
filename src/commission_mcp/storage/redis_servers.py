"""Redis and Valkey servers, as far as `doctor` asks about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.redis_limits import RedisLimits

_TIMEOUT_MS = 3_000

FULL = Problem(
    Code.REDIS_FULL,
    "Redis has no memory left, so nothing was stored.",
    "Clear conversations that are no longer needed; the operator raises `maxmemory`.",
)
READ_ONLY = Problem(
    Code.REDIS_READ_ONLY,
    "Redis takes no writes: it is a replica, or cannot write to its disk.",
    "Reading works. The operator points COMMISSION_REDIS_URL at the primary and checks its disk.",
)


@dataclass(frozen=True, slots=True)
class RedisState:
    """What a server says of itself, or the primaries of a cluster together.

    Attributes:
        version: Which program it is.
        memory_bytes: The memory in use.
        policy: What it evicts when full; several where the primaries differ.
        refuses_writes: Why one of them takes no writes; None when all do.
    """

    version: str
    memory_bytes: int
    policy: str
    refuses_writes: Problem | None

    @classmethod
    def of(cls, facts: Sequence[Mapping[str, Any]]) -> RedisState:
        """Read the answers of all primaries to INFO."""
        first = facts[0]
        name = "Valkey" if "valkey_version" in first else "Redis"
        return cls(
            version=f"{name} {first.get('valkey_version') or first.get('redis_version')}",
            memory_bytes=sum(int(server["used_memory"]) for server in facts),
            policy=", ".join(sorted({_policy(server) for server in facts})),
            refuses_writes=next(filter(None, map(_obstacle, facts)), None),
        )

    @property
    def memory(self) -> str:
        """The memory in use, as people write it."""
        return f"{self.memory_bytes / 2**20:.1f}MB"

    @property
    def evicts(self) -> bool:
        """Whether it may drop keys before they expire."""
        return self.policy != "noeviction"


def _policy(server: Mapping[str, Any]) -> str:
    return str(server.get("maxmemory_policy", "noeviction"))


def _obstacle(server: Mapping[str, Any]) -> Problem | None:
    """Why a server takes no writes, as it says itself in INFO."""
    if server.get("role", "master") != "master" or server.get("aof_last_write_status") == "err":
        return READ_ONLY
    limit_bytes = int(server.get("maxmemory", 0))
    is_full = 0 < limit_bytes <= int(server["used_memory"])
    return FULL if is_full and _policy(server) == "noeviction" else None


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
