"""The meaning of passages: their vectors in FAISS, compared by cosine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from commission_mcp.search.embedding import Vectors

FLAT_MAX = 100_000
"""Up to here every vector is compared, which is exact; beyond, an HNSW graph is walked (Malkov & Yashunin 2016)."""

_LINKS = 24  # of a vector of the graph
_EFFORT_BUILDING = 120
_EFFORT_SEARCHING = 256
_BUILDING_THREADS = 2

Rows = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]


class DenseIndex:
    """Unit vectors by their rows.

    The index is made anew from the store's vectors whenever those change, so that rows need no ids and nothing is ever
    removed from it.
    """

    def __init__(self, index: Any) -> None:  # noqa: ANN401 - faiss publishes no types for its classes
        self._index = index
        self.size = int(index.ntotal)
        self.dimensions = int(index.d)
        self._vectors = _stored(index)

    @classmethod
    def build(cls, vectors: Vectors, *, flat_max: int = FLAT_MAX) -> DenseIndex:
        """Index unit vectors, the first as row 0."""
        library = _library()
        dimensions = int(vectors.shape[1])
        if len(vectors) <= flat_max:
            index = library.IndexFlatIP(dimensions)
        else:
            index = library.IndexHNSWFlat(dimensions, _LINKS, library.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _EFFORT_BUILDING
            library.omp_set_num_threads(_BUILDING_THREADS)
        index.add(np.ascontiguousarray(vectors, np.float32))
        return cls(index)

    def nearest(self, vector: Vectors, limit: int) -> Rows:
        """The rows of the vectors nearest to a unit vector, best first."""
        limit = min(limit, self.size)
        if limit == 0:
            return np.empty(0, np.int64)
        if hasattr(self._index, "hnsw"):
            self._index.hnsw.efSearch = max(_EFFORT_SEARCHING, limit)
        library = _library()
        library.omp_set_num_threads(1)  # of this thread: a second one makes a single search slower, not faster
        rows: Rows = self._index.search(vector.reshape(1, -1), limit)[1][0]
        return rows[rows >= 0]

    def cosines(self, vector: Vectors, rows: Rows) -> Cosines:
        """The exact cosines of some rows to a unit vector."""
        return self._vectors[rows] @ vector

    def to_bytes(self) -> bytes:
        """The index as a file's content."""
        library = _library()
        return library.serialize_index(self._index).tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> DenseIndex:
        """The index that `to_bytes` wrote. FAISS trusts what it reads: compare a checksum before.

        Raises:
            ValueError: when FAISS cannot read it.
        """
        library = _library()
        try:
            index = library.deserialize_index(np.frombuffer(content, np.uint8))
        except RuntimeError as failure:
            raise ValueError("not a FAISS index") from failure
        return cls(index)


def _library() -> Any:  # noqa: ANN401 - faiss publishes no types for its classes
    """FAISS, imported when it is first needed: that takes a quarter of a second."""
    return import_module("faiss")


def _stored(index: Any) -> Vectors:  # noqa: ANN401 - as above
    """The vectors inside an index, without a copy; they live as long as the index does."""
    library = _library()
    flat = library.downcast_index(index.storage) if hasattr(index, "hnsw") else index
    if flat.ntotal == 0:
        return np.empty((0, flat.d), np.float32)
    values: Vectors = library.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    return values.reshape(flat.ntotal, flat.d)
