"""The names under which the server may be called: its guard against requests that a browser was tricked into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from commission_mcp.serving.identity import LOOPBACK
from commission_mcp.settings import Settings

_LOOPBACK_HOSTS = ("127.0.0.1:*", "127.0.0.1", "localhost:*", "localhost", "[::1]:*", "[::1]")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Names:
    """Hosts and origins that are served; an entry that ends in ``:*`` takes every port."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """Those of the settings: the public address, loopback where the server listens there, and what is listed."""
        hosts, origins = set(settings.http_allowed_hosts), set(settings.http_allowed_origins)
        if settings.http_public_url is not None:
            parts = urlsplit(settings.http_public_url)
            hosts |= set(_hosts(parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme], parts.netloc))
            origins.add(f"{parts.scheme}://{parts.netloc}")
        if settings.http_host in LOOPBACK:
            hosts |= set(_LOOPBACK_HOSTS)
            origins |= {f"http://{host}" for host in _LOOPBACK_HOSTS}
        return cls(frozenset(map(str.lower, hosts)), frozenset(map(str.lower, origins)))

    def serves_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        return _matches(host.lower(), self.hosts)

    def serves_origin(self, origin: str) -> bool:
        """Whether a browser at this origin may call."""
        return _matches(origin.lower(), self.origins)


def _hosts(name: str, port: int, written: str) -> Iterable[str]:
    return (written, f"{name}:{port}") if port not in _DEFAULT_PORTS.values() else (written, name, f"{name}:{port}")


def _matches(value: str, allowed: frozenset[str]) -> bool:
    if value in allowed and "*" not in value:
        return True
    name, colon, port = value.rpartition(":")
    return bool(colon) and port.isdecimal() and f"{name}:*" in allowed
