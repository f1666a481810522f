"""The embedded default: a PostgreSQL and two Valkeys for one data directory, shared by every process that opens it.

One supervisor process per data directory starts the servers, keeps them running, and stops them when its last client
has left. A client is whoever holds `open_servers`: the kernel closes its connection even when it is killed, so
nothing is left running. Every server dies with the supervisor, and the next client starts anew from what is on disk.
"""

from commission_mcp.embedded.lease import Servers, open_servers

__all__ = ["Servers", "open_servers"]
