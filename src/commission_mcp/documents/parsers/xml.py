"""lxml, which carries no types, behind two functions: no entities, no network, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any


def parsed_xml(content: bytes) -> Any:  # noqa: ANN401 - an element of lxml
    """The root of an XML part, without comments and processing instructions."""
    library = _etree()
    parser = library.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    return library.fromstring(content, parser)


def each_element(stream: IO[bytes], name: str) -> Iterator[Any]:
    """The elements of a name in a large part, one after another; each is forgotten when the next is asked for."""
    options = {"resolve_entities": False, "no_network": True, "remove_comments": True, "remove_pis": True}
    for _, element in _etree().iterparse(stream, tag=f"{{*}}{name}", **options):
        yield element
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _etree() -> Any:  # noqa: ANN401 - a module without types
    from lxml import etree  # noqa: PLC0415  # pyright: ignore - only in the worker

    return etree  # pyright: ignore[reportUnknownVariableType] - as above
