"""Which node a client's reads go to: its replica while that keeps up with the primary, the primary otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
import psycopg

from commission_mcp.storage.address import Address
from commission_mcp.storage.gate import Pool
from commission_mcp.storage.tenant_connections import TenantConnections

_LAG_FRESH_S = 1.0  # how long a measured lag counts
_LAG_WAIT_S = 1.0  # how long a replica may take to tell it
_LOOKS = 5
_LOOK_AGAIN_S = 0.02

_REPLAYED = """
SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000
"""


@dataclass(frozen=True, slots=True)
class ReplicaAddresses:
    """Where reads may go instead of the primary.

    Attributes:
        default: The replica of every client without one of its own.
        by_client: Clients that have one of their own.
        lag_max_ms: How far behind the primary a replica may be and still be read from.
    """

    default: Address | None = None
    by_client: Mapping[str, Address] = field(default_factory=dict[str, Address])
    lag_max_ms: int = 1_000


class Replica:
    """A streaming replica: its connections, and how far it is behind."""

    def __init__(self, conninfo: str, connections: TenantConnections) -> None:
        self.connections = connections
        self._conninfo = conninfo
        self._lag_ms = math.inf
        self._measured_at_s = -math.inf
        self._measuring = anyio.Lock()

    async def lag_ms(self, primary: Pool) -> float:
        """Milliseconds behind the primary, at most about a second old; infinite when it cannot be told."""
        async with self._measuring:
            if anyio.current_time() - self._measured_at_s > _LAG_FRESH_S:
                self._lag_ms = math.inf
                with anyio.move_on_after(_LAG_WAIT_S):
                    self._lag_ms = await self._measure(primary)
                self._measured_at_s = anyio.current_time()
            return self._lag_ms

    async def _measure(self, primary: Pool) -> float:
        try:
            async with primary.connection() as connection:
                written = await (await connection.execute("SELECT pg_current_wal_lsn()")).fetchone()
            async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                return await _replayed_lag_ms(connection, list(written or ()))
        except psycopg.OperationalError:
            return math.inf


async def _replayed_lag_ms(connection: psycopg.AsyncConnection, written: list[object]) -> float:
    lag_ms = math.inf
    for _ in range(_LOOKS):
        row = await (await connection.execute(_REPLAYED, written)).fetchone()
        if row is None or not row[0]:
            return math.inf  # not a replica: whatever it holds, it does not follow the primary
        if row[1]:
            return 0.0
        # Its rows are at most as old as the last commit that it has replayed. On a quiet primary that was long ago,
        # while the little that is missing is already on its way: so look again before believing it.
        lag_ms = math.inf if row[2] is None else float(row[2])
        await anyio.sleep(_LOOK_AGAIN_S)
    return lag_ms


class ReadNodes:
    """The primary and its replicas, as reads see them."""

    def __init__(
        self,
        primary: TenantConnections,
        gate: Pool,
        replicas: ReplicaAddresses,
        open_replica: Callable[[Address], Replica],
    ) -> None:
        self.primary = primary
        self._gate = gate
        self._lag_max_ms = replicas.lag_max_ms
        opened = {
            address: open_replica(address) for address in {replicas.default, *replicas.by_client.values()} if address
        }
        self._by_client = {client: opened[address] for client, address in replicas.by_client.items()}
        self._default = opened[replicas.default] if replicas.default else None
        self._opened = tuple(opened.values())

    async def replica_for(self, client_id: str) -> TenantConnections | None:
        """The replica that this client's next read should be tried on, if there is one that keeps up."""
        replica = self._by_client.get(client_id, self._default)
        if replica is not None and await replica.lag_ms(self._gate) <= self._lag_max_ms:
            return replica.connections
        return None

    async def close(self) -> None:
        """Close every idle connection."""
        await self.primary.close()
        for replica in self._opened:
            await replica.connections.close()
