"""Redis and Valkey servers, as far as `doctor` asks about them."""

from __future__ import annotations

from dataclasses import dataclass

import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from commission_mcp.errors import Code, Problem, Refused

_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class RedisState:
    """What a server says of itself: version, memory in use, and what it evicts when full."""

    version: str
    memory: str
    policy: str


async def redis_state(url: str) -> RedisState:
    """Ask a server.

    Raises:
        Refused: with `E_REDIS_UNREACHABLE`.
    """
    client = redis.asyncio.from_url(
        url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        async with client:
            facts = await client.info()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves kwargs untyped
    except (RedisError, OSError, ValueError):
        raise Refused(
            Problem(
                Code.REDIS_UNREACHABLE,
                "Redis does not answer, or refuses the login.",
                "Check that it runs, and host, port and password in COMMISSION_REDIS_URL.",
                "COMMISSION_REDIS_URL",
            )
        ) from None
    name = "Valkey" if "valkey_version" in facts else "Redis"
    return RedisState(
        version=f"{name} {facts.get('valkey_version') or facts.get('redis_version')}",
        memory=str(facts.get("used_memory_human")),
        policy=str(facts.get("maxmemory_policy", "noeviction")),
    )
