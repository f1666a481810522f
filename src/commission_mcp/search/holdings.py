"""The collections of an installation: the documents that all clients share, and those of each client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from commission_mcp.domain.caller import client_id as checked_client_id
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.folder import Folder
from commission_mcp.search.store import Store

CLIENT_URI = "document://client/"
SHARED_URI = "document://shared/"
SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Collection:
    """The documents of one client, or those that all share.

    Attributes:
        client_id: Whose they are; None where they are everybody's.
        folder: The files.
        store: What is known of them.
    """

    client_id: str | None
    folder: Folder
    store: Store

    @property
    def key(self) -> str:
        """Names it within this installation."""
        return SHARED if self.client_id is None else f"client/{self.client_id}"

    @property
    def directory(self) -> Path:
        """Where its index is."""
        return self.store.directory

    def uri(self, name: str) -> str:
        """The address of a document; the client is never in it."""
        return (SHARED_URI if self.client_id is None else CLIENT_URI) + quote(name, safe="/")

    def source(self, name: str) -> str:
        """How a document is cited: ``client-abc/q4-bonuses.pdf``."""
        return f"{self.client_id or SHARED}/{name}"


@dataclass(frozen=True, slots=True)
class Places:
    """Where documents and indexes are kept.

    Attributes:
        shared: The folder of documents for all.
        clients: The folder that has a folder for each client.
        indexes: The directory for indexes.
    """

    shared: Path
    clients: Path
    indexes: Path

    def shared_collection(self) -> Collection:
        """The documents for all."""
        # The clients' folder lies inside the shared one by default, and is never part of it.
        return Collection(None, Folder(self.shared, without=self.clients, linked=True), Store(self.indexes / SHARED))

    def client_collection(self, client_id: str) -> Collection:
        """The documents of a client.

        Raises:
            Refused: with `E_CLIENT_ID` for what is no client id, and could lead elsewhere.
        """
        checked = checked_client_id(client_id)
        return Collection(checked, Folder(self.clients / checked), Store(self.indexes / "clients" / checked))

    def of_client(self, client_id: str) -> tuple[Collection, Collection]:
        """What a client may read: its own documents first, then those for all."""
        return self.client_collection(client_id), self.shared_collection()

    def indexed_clients(self) -> Iterator[str]:
        """The clients that have a folder of documents or an index, by name."""
        names: set[str] = set()
        for folder in (self.clients, self.indexes / "clients"):
            if folder.is_dir():
                names |= {path.name for path in folder.iterdir() if path.is_dir() and not path.is_symlink()}
        for name in sorted(names):
            try:
                yield checked_client_id(name)
            except Refused:
                continue  # a folder of another purpose


def named(collections: tuple[Collection, Collection], address: str) -> tuple[Collection, str]:
    """The collection and the name that somebody means by a URI, a source or a bare name.

    Args:
        collections: The client's own and the shared one.
        address: ``document://client/x.pdf``, ``document://shared/x.pdf``, ``client-abc/x.pdf``, ``shared/x.pdf`` or
            ``x.pdf``; whether there is such a document is not looked up.

    Raises:
        Refused: with `E_NOT_FOUND` for an address of no collection of this client.
    """
    own, shared = collections
    for collection, scheme in ((own, CLIENT_URI), (shared, SHARED_URI)):
        if address.startswith(scheme):
            return collection, unquote(address.removeprefix(scheme))
    if "://" in address:
        raise no_document(address)
    for collection in (own, shared):
        prefix = collection.source("")
        if address.startswith(prefix):
            return collection, address.removeprefix(prefix)
    return own, address


def no_document(address: str) -> Refused:
    """There is no such document for this caller: missing, not indexed, or not theirs, which is never told apart."""
    return Refused(
        Problem(
            Code.NOT_FOUND,
            f"There is no document {address[:200]!r}.",
            "Search with `rag_search`, or list the documents with `index_documents` action `status`.",
            "document",
        )
    )
