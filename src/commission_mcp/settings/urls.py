"""Addresses of servers: what one looks like, how one is put together from its parts, and how one is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, quote, urlsplit

POSTGRES_SCHEMES = ("postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
HTTP_SCHEMES = ("https", "http")

MASK = "***"

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]]*)(?::(?P<port>\d{1,5}))?")
_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*")
_PORT_MAX = 65_535


def fault(url: str, schemes: Collection[str]) -> str | None:
    """What is wrong with the address, without quoting any of it; None when it is sound."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "The address cannot be taken apart."
    if any(character.isspace() or not character.isprintable() for character in url):
        return "The address holds a space or an invisible character."
    if parts.scheme not in schemes or "://" not in url:
        return f"The address does not begin with {_listed(schemes)}."
    if parts.fragment or "@" in parts.path + parts.query or not _hosts_are_sound(parts):
        return "The host or port cannot be read; a special character in the password may stand unescaped."
    if not (_hosts(parts).strip(":0123456789") or parts.query or parts.scheme == "unix"):
        return "The address names no host."
    return None


def remedy(schemes: Collection[str]) -> str:
    """What to write instead of a faulty address."""
    return f"Write {next(iter(schemes))}://user:password@host:port/name, with %40 for @ and %2F for / in a password."


def postgres(parts: Mapping[str, str]) -> str:
    """The address of a PostgreSQL database, from host, port, name, user and password."""
    name = f"/{quote(parts['name'], safe='')}" if parts.get("name") else ""
    return f"postgresql://{_login(parts)}{_host(parts['host'])}:{parts.get('port', '5432')}{name}"


def redis(parts: Mapping[str, str]) -> str:
    """The address of a Redis server, from host, port, password, db and ssl ("true" or "false")."""
    scheme = "rediss" if parts.get("ssl") == "true" else "redis"
    database = parts.get("db", "0")
    return f"{scheme}://{_login(parts)}{_host(parts['host'])}:{parts.get('port', '6379')}/{database}"


def masked(url: str) -> str:
    """The address as it may be shown: without the password, wherever it stands."""
    scheme, _, rest = url.partition("://")
    if scheme not in (*POSTGRES_SCHEMES, *REDIS_SCHEMES, *HTTP_SCHEMES):
        return MASK
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, host = authority.rpartition("@")
    tail = _SECRET_PARAMETER.sub(rf"\1{MASK}", rest[len(authority) :])
    return f"{scheme}://{_masked_login(login, scheme)}{at}{host}{tail}"


def _masked_login(login: str, scheme: str) -> str:
    user, colon, password = login.partition(":")
    if colon:
        return f"{user}:{MASK if password else ''}"
    return login if scheme in POSTGRES_SCHEMES or not login else MASK  # redis://secret@host is a common slip


def _hosts(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _hosts_are_sound(parts: SplitResult) -> bool:
    matches = [_HOST.fullmatch(host) for host in _hosts(parts).split(",")]
    return all(match and int(match["port"] or 0) <= _PORT_MAX for match in matches)


def _login(parts: Mapping[str, str]) -> str:
    user, password = quote(parts.get("user", ""), safe=""), quote(parts.get("password", ""), safe="")
    if not password:
        return f"{user}@" if user else ""
    return f"{user}:{password}@"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else quote(host, safe="[]:")


def _listed(schemes: Collection[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
