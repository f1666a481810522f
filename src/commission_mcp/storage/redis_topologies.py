"""One Redis server, the primary that sentinels name, or a cluster: three ways to be reached, one way to be asked.

Importing this module imports redis, which takes about 150 ms: whoever opens a server imports it then, not before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from urllib.parse import SplitResult, urlsplit

import anyio
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.redis_limits import RedisLimits

Command: TypeAlias = tuple[str | bytes | int, ...]

_SENTINEL_PORT, _REDIS_PORT = 26_379, 6_379
_SCANNED_AT_A_TIME = 500
_OWN_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})


class Topology(ABC):
    """Where commands go."""

    @abstractmethod
    async def together(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands that are sent together; the first error is raised."""

    @abstractmethod
    async def on_primaries(self, *command: str | int) -> list[Any]:
        """The answer of every primary to a command without keys."""

    @abstractmethod
    def names(self, pattern: str) -> AsyncGenerator[list[bytes]]:
        """The names of keys that match, some at a time, and a few of them perhaps twice."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""


class OneServer(Topology):
    """A server, or whichever server is the primary."""

    def __init__(self, pool: ConnectionPool, sentinels: Sequence[Redis] = ()) -> None:
        self._pool = pool
        self._sentinels = sentinels
        self._client = Redis(connection_pool=pool)

    async def together(self, commands: Sequence[Command]) -> list[Any]:
        """See `Topology.together`."""
        if len(commands) == 1:
            return [await self._client.execute_command(*commands[0])]  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # pyright: ignore[reportUnknownMemberType] - as above
            # Raised by redis-py itself, an error would quote the command, and with it what somebody wrote.
            return raised(await pipeline.execute(raise_on_error=False))

    async def on_primaries(self, *command: str | int) -> list[Any]:
        """See `Topology.on_primaries`."""
        return await self.together([command])

    async def names(self, pattern: str) -> AsyncGenerator[list[bytes]]:
        """See `Topology.names`."""
        cursor = 0
        while True:
            ((cursor, found),) = await self.together(
                [("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_A_TIME)],
            )
            yield found
            if int(cursor) == 0:
                return

    async def close(self) -> None:
        """See `Topology.close`."""
        await self._pool.disconnect()
        for sentinel in self._sentinels:
            await sentinel.aclose()


class Cluster(Topology):
    """The primaries of a cluster, each for its share of the keys."""

    def __init__(self, client: RedisCluster, connections_max: int) -> None:
        self._client = client
        self._turns = anyio.CapacityLimiter(connections_max)  # beyond its connections redis-py fails instead of waiting

    async def together(self, commands: Sequence[Command]) -> list[Any]:
        """See `Topology.together`."""
        answers: list[Any] = [None] * len(commands)

        async def ask(index: int, command: Command) -> None:
            try:
                answers[index] = await self._execute(command)
            except RedisError as error:
                answers[index] = error

        async with anyio.create_task_group() as tasks:
            for index, command in enumerate(commands):
                tasks.start_soon(ask, index, command)
        return raised(answers)

    async def on_primaries(self, *command: str | int) -> list[Any]:
        """See `Topology.on_primaries`."""
        return [await self._execute(command, node) for node in await self._primaries()]

    async def names(self, pattern: str) -> AsyncGenerator[list[bytes]]:
        """See `Topology.names`."""
        for node in await self._primaries():
            cursor = 0
            while True:
                command: Command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_A_TIME)
                cursors, found = await self._execute(command, node)
                yield found
                (cursor,) = cursors.values()  # redis-py names the server with it
                if int(cursor) == 0:
                    break

    async def close(self) -> None:
        """See `Topology.close`."""
        await self._client.aclose()

    async def _execute(self, command: Command, node: ClusterNode | None = None) -> Any:  # noqa: ANN401 - what a server answers
        where = {} if node is None else {"target_nodes": node}
        with _as_connection_error():
            async with self._turns:
                return await self._client.execute_command(*command, **where)

    async def _primaries(self) -> list[ClusterNode]:
        with _as_connection_error():
            await self._client.initialize()
        return self._client.get_primaries()


@contextmanager
def _as_connection_error() -> Generator[None]:
    """A cluster that cannot be found is, to redis-py, no `RedisError`; here it is a connection that cannot be made."""
    try:
        yield
    except RedisClusterException:
        raise RedisConnectionError("the cluster cannot be reached") from None


def raised(answers: list[Any]) -> list[Any]:
    """The answers, unless one of them is an error."""
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
    return answers


def topology(url: str, limits: RedisLimits) -> Topology:
    """What an address names; nothing is connected yet.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` for one server;
            ``redis+sentinel://user:password@host:port,host:port/service/db`` for the primary that sentinels name;
            ``redis+cluster://user:password@host:port,host:port`` for a cluster; both with ``rediss`` over TLS. Options
            after the question mark are redis-py's (``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` ...), and
            ``sentinel_username`` and ``sentinel_password`` for the sentinels themselves.
        limits: How long it may take, and how many connections.

    Raises:
        Refused: with `E_SETTING` for an address of another kind.
    """
    scheme, _, kind = urlsplit(url).scheme.partition("+")
    try:
        if kind == "sentinel":
            return _behind_sentinels(_Address.parse(url, scheme), limits)
        if kind == "cluster":
            return _cluster(_Address.parse(url, scheme), limits)
        return _one_server(url, limits)
    except (ValueError, TypeError):
        raise Refused(
            Problem(
                Code.SETTING,
                "This address of a Redis server cannot be used.",
                "Use redis://, rediss://, unix://, redis+sentinel://host,host/service or redis+cluster://host,host; "
                "check the options after the question mark.",
                "COMMISSION_REDIS_URL",
            )
        ) from None


@dataclass(frozen=True, slots=True)
class _Address:
    """An address with several hosts, taken apart.

    Attributes:
        hosts: Host and port of each; no port where none is written.
        path: What stands after the hosts, without options.
        options: Login, database, TLS and whatever redis-py reads from an address.
        sentinel: Login at the sentinels.
    """

    hosts: list[tuple[str, int | None]]
    path: list[str]
    options: dict[str, Any]
    sentinel: dict[str, Any]

    @classmethod
    def parse(cls, url: str, scheme: str) -> _Address:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        query = "&".join(option for option in parts.query.split("&") if option.partition("=")[0] not in _OWN_OPTIONS)
        options = dict(parse_url(f"{scheme}://{login}{at}localhost?{query}"))
        own = dict(parse_url(f"redis://localhost?{parts.query}")) if "sentinel_" in parts.query else {}
        for key in ("host", "port", "connection_class"):
            options.pop(key, None)
        if scheme == "rediss":
            options["ssl"] = True
        return cls(
            [_host(host) for host in hosts.split(",")],
            [part for part in parts.path.split("/") if part],
            options,
            {name.removeprefix("sentinel_"): own[name] for name in _OWN_OPTIONS & own.keys()},
        )


def _host(text: str) -> tuple[str, int | None]:
    host = SplitResult("redis", text, "", "", "")
    if not host.hostname:
        raise ValueError("an address without a host")
    return host.hostname, host.port


def _bounds(limits: RedisLimits) -> dict[str, Any]:
    return {
        "socket_connect_timeout": limits.connect_timeout_ms / 1000,
        "socket_timeout": limits.answer_timeout_ms / 1000,
        # redis-py tries again in connecting and in sending, one inside the other; `RedisServer` does it once.
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _adopted(pool: ConnectionPool) -> ConnectionPool:
    # Whatever the address says of them: answers come as bytes, in the form that this package reads.
    pool.connection_kwargs.update(decode_responses=False, protocol=3)
    return pool


def _one_server(url: str, limits: RedisLimits) -> Topology:
    bounds = {**_bounds(limits), "max_connections": limits.connections_max}
    return OneServer(_adopted(ConnectionPool.from_url(url, **bounds)))  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped


def _behind_sentinels(address: _Address, limits: RedisLimits) -> Topology:
    if not address.path:
        raise ValueError("an address of sentinels without the name of a service")
    service, *database = address.path
    bounds, tls = _bounds(limits), {name: value for name, value in address.options.items() if name.startswith("ssl")}
    sentinels = Sentinel(
        [(host, port or _SENTINEL_PORT) for host, port in address.hosts],
        sentinel_kwargs={**bounds, **tls, **address.sentinel},
    )
    options = {**address.options, **bounds, "db": int(database[0]) if database else 0}
    pool = SentinelConnectionPool(service, sentinels, max_connections=limits.connections_max, **options)
    return OneServer(_adopted(pool), sentinels.sentinels)


def _cluster(address: _Address, limits: RedisLimits) -> Topology:
    if address.path not in ([], ["0"]):
        raise ValueError("a cluster has one database")
    options = {name: value for name, value in address.options.items() if name != "db"}
    nodes = [ClusterNode(host, port or _REDIS_PORT) for host, port in address.hosts]
    client = RedisCluster(
        startup_nodes=nodes,
        max_connections=limits.connections_max,
        decode_responses=False,
        protocol=3,
        # One more attempt: it is the one that asks the cluster anew who is who.
        **cast("dict[str, Any]", {**options, **_bounds(limits), "retry": Retry(NoBackoff(), 1)}),
    )
    return Cluster(client, limits.connections_max)
