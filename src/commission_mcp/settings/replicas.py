"""The read replicas: one for everybody, and one for a client that has its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import SecretStr

from commission_mcp.domain.caller import client_id
from commission_mcp.settings import urls

# An address may hold commas of its own (several hosts), so an entry ends only where the next one begins.
_NEXT_ENTRY = re.compile(r",(?=\s*(?:[^,=/:?@]*=)?\s*[a-z][a-z0-9+]*://)")
_FOR_CLIENT = re.compile(r"([^=/:?@]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReplicaUrls:
    """Where reads may go instead of the primary.

    Attributes:
        default: The replica of every client without one of its own.
        by_client: Client ids and their own replicas.
    """

    default: SecretStr | None = None
    by_client: tuple[tuple[str, SecretStr], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any replica."""
        return self.default is not None or bool(self.by_client)

    def of(self, client: str) -> SecretStr | None:
        """The replica that this client's reads go to, or None for the primary."""
        return dict(self.by_client).get(client, self.default)


def parse(text: str) -> ReplicaUrls:
    """Read ``url`` and ``client-id=url`` entries, separated by commas.

    Raises:
        ValueError: An entry is not sound or doubles another; the words are fit to be shown.
        Refused: A client id is not one.
    """
    found: dict[str | None, SecretStr] = {}
    for number, entry in enumerate(_NEXT_ENTRY.split(text), start=1):
        client, url = _entry(entry.strip(), number)
        if client in found:
            raise ValueError(f"Entry {number} names a second replica for {client or 'the default'}.")
        found[client] = SecretStr(url)
    default = found.pop(None, None)
    return ReplicaUrls(default, tuple((client, url) for client, url in found.items() if client is not None))


def _entry(entry: str, number: int) -> tuple[str | None, str]:
    split = _FOR_CLIENT.fullmatch(entry)
    client = client_id(split[1].strip()) if split else None
    url = split[2].strip() if split else entry
    if fault := urls.fault(url, urls.POSTGRES_SCHEMES):
        raise ValueError(f"Entry {number}: {fault}")
    if "," in url.partition("://")[2].partition("/")[2]:
        raise ValueError(f"Entry {number} runs on after a comma.")
    return client, url
