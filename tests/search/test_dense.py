from __future__ import annotations

import numpy as np
import pytest

from commission_mcp.search.dense import DenseIndex
from commission_mcp.search.embedding import Vectors


def unit_vectors(count: int, dimensions: int = 32) -> Vectors:
    made = np.random.default_rng(7).standard_normal((count, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("flat_max", [10_000, 10], ids=["flat", "graph"])
def test_the_nearest_are_those_with_the_highest_cosine(flat_max: int) -> None:
    """The graph is approximate in principle; at this size it finds the same."""
    vectors = unit_vectors(2_000)
    index = DenseIndex.build(vectors, flat_max=flat_max)
    asked = unit_vectors(2_010)[-5:]
    for vector in asked:
        exact = np.argsort(-(vectors @ vector))[:10]

        assert index.nearest(vector, 10).tolist() == exact.tolist()
        np.testing.assert_allclose(index.cosines(vector, exact), vectors[exact] @ vector, atol=1e-6)


@pytest.mark.parametrize("flat_max", [10_000, 10], ids=["flat", "graph"])
def test_an_index_is_the_same_after_a_file(flat_max: int) -> None:
    vectors = unit_vectors(200)
    again = DenseIndex.from_bytes(DenseIndex.build(vectors, flat_max=flat_max).to_bytes())

    assert again.nearest(vectors[17], 1).tolist() == [17]
    np.testing.assert_allclose(again.cosines(vectors[0], np.arange(200)), vectors @ vectors[0], atol=1e-6)


def test_fewer_passages_than_asked_for_are_all_of_them() -> None:
    vectors = unit_vectors(3)

    assert sorted(DenseIndex.build(vectors).nearest(vectors[0], 50).tolist()) == [0, 1, 2]
    assert DenseIndex.build(vectors[:0]).nearest(vectors[0], 5).tolist() == []


def test_what_is_no_index_is_refused() -> None:
    content = DenseIndex.build(unit_vectors(50)).to_bytes()
    for damaged in (b"", b"\x00" * 100, content[:100]):
        with pytest.raises(ValueError, match="FAISS"):
            DenseIndex.from_bytes(damaged)
