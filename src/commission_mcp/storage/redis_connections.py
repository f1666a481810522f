"""One Redis or Valkey: commands within a deadline, and plain refusals when it does not serve.

Importing this module imports redis, which takes about 150 ms: whoever opens a server imports it then, not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.redis_limits import RedisLimits
from commission_mcp.storage.redis_servers import FULL, READ_ONLY
from commission_mcp.storage.redis_topologies import Command, Topology, topology

_CLOSING_S = 0.5
# What a server says, in these words at the beginning, when it is up but may not be written to or asked.
_TAKES_NO_WRITES = ("MISCONF", "NOREPLICAS")
_NOT_SERVING = ("BUSY ", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS")


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script of ours, which the server runs as one step."""

    text: str

    def call(self, keys: Sequence[str], *arguments: str | bytes | int) -> Command:
        """The command that runs it on these keys."""
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        return ("EVALSHA", digest, len(keys), *keys, *arguments)


class RedisServer:
    """An open server; see `open_redis`."""

    def __init__(self, topology: Topology, scripts: Sequence[Script], limits: RedisLimits) -> None:
        self._topology = topology
        self._scripts = scripts
        self._limits = limits
        self._turns = anyio.CapacityLimiter(limits.connections_max)

    async def send(self, *commands: Command) -> list[Any]:
        """Send commands together and wait for their answers.

        They are no transaction. An answer that is lost on its way makes for a second attempt, so every command must do
        no harm when it is run twice.

        Raises:
            Refused: with `E_REDIS_UNREACHABLE`, `E_REDIS_FULL`, `E_REDIS_READ_ONLY` or `E_BUSY`.
        """
        waiting = True
        try:
            with anyio.fail_after(self._limits.call_timeout_ms / 1000), _refusing():
                async with self._turns:
                    waiting = False
                    return await self._attempt(commands)
        except TimeoutError:
            raise (_busy() if waiting else unreachable()) from None

    async def _attempt(self, commands: Sequence[Command]) -> list[Any]:
        for pause_ms in self._limits.pauses_ms:
            with suppress(RedisConnectionError, RedisTimeoutError, OSError):
                return await self._with_scripts(commands)
            await anyio.sleep(pause_ms / 1000)
        return await self._with_scripts(commands)

    async def _with_scripts(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._topology.together(commands)
        except NoScriptError:
            for script in self._scripts:
                await self._topology.on_primaries("SCRIPT", "LOAD", script.text)
            return await self._topology.together(commands)

    async def remove(self, prefix: str) -> int:
        """Remove every key whose name begins so; how many there were.

        Args:
            prefix: The beginning, without characters that mean something in a pattern.

        Raises:
            Refused: as `send` does; some may be gone then.
        """
        removed = 0
        with _refusing():
            async for names in self._topology.names(f"{prefix}*"):
                commands: list[Command] = [("UNLINK", name) for name in names]
                removed += sum(await self.send(*commands)) if commands else 0
        return removed

    async def info(self) -> list[dict[str, Any]]:
        """What each primary says of itself.

        Raises:
            Refused: as `send` does.
        """
        try:
            with anyio.fail_after(self._limits.call_timeout_ms / 1000), _refusing():
                return await self._topology.on_primaries("INFO")
        except TimeoutError:
            raise unreachable() from None


@asynccontextmanager
async def open_redis(url: str, scripts: Sequence[Script], limits: RedisLimits) -> AsyncGenerator[RedisServer]:
    """A server to send commands to; connections are made when they are needed, and anew after a failure.

    Args:
        url: Its address; see `redis_topologies.topology`.
        scripts: The scripts that are going to be called.
        limits: How long it may take.

    Raises:
        Refused: with `E_SETTING` for an address of another kind.
    """
    reached = topology(url, limits)
    try:
        yield RedisServer(reached, scripts, limits)
    finally:
        with anyio.move_on_after(_CLOSING_S, shield=True):
            await reached.close()


@contextmanager
def _refusing() -> Generator[None]:
    """Put what a server says in our own words; its own may quote addresses and data."""
    try:
        yield
    except OutOfMemoryError:
        raise Refused(FULL) from None
    except ReadOnlyError:
        raise Refused(READ_ONLY) from None
    except (RedisConnectionError, RedisTimeoutError, NoPermissionError, OSError):
        raise unreachable() from None
    except ResponseError as error:
        said = str(error)
        if said.startswith(_TAKES_NO_WRITES):
            raise Refused(READ_ONLY) from None
        if said.startswith(_NOT_SERVING):
            raise unreachable() from None
        raise


def unreachable() -> Refused:
    """The refusal of whatever needs a server that does not serve."""
    return Refused(
        Problem(
            Code.REDIS_UNREACHABLE,
            "Redis does not answer, or refuses the login or its commands.",
            "Try again in a moment. The operator checks COMMISSION_REDIS_URL with `commission-mcp doctor`.",
        )
    )


def _busy() -> Refused:
    return Refused(
        Problem(
            Code.BUSY,
            "All connections to Redis are in use.",
            "Try again in a moment. The operator can raise COMMISSION_REDIS_POOL_SIZE.",
        )
    )
