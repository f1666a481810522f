"""The vectors are those of sentence-transformers, whatever the batch."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.search.embedders import open_embedder
from commission_mcp.search.embedding import Embedder, Vectors
from commission_mcp.search.onnx_embedder import IDENTITY

REFERENCE = Path(__file__).with_name("reference_vectors.json")  # by sentence-transformers 6.0.1 and torch 2.13, CPU
COSINE_MIN = 0.9999


def reference() -> tuple[list[str], Vectors]:
    entries = json.loads(REFERENCE.read_text("utf-8"))
    return [entry["text"] for entry in entries], np.array([entry["vector"] for entry in entries], np.float32)


def test_vectors_equal_those_of_sentence_transformers(embedder: Embedder) -> None:
    """Plain, tabular, accented, empty and over-long text; alone and in one batch."""
    texts, expected = reference()

    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])

    assert (together * expected).sum(axis=1).min() > COSINE_MIN
    assert (alone * expected).sum(axis=1).min() > COSINE_MIN


def test_a_vector_does_not_depend_on_the_batch_it_came_in(embedder: Embedder) -> None:
    """Lengths of 1 to 300 words, more than a batch of them, in no order: padding and sorting leave no trace."""
    texts = ["rate " * (1 + 37 * number % 300) for number in range(70)]

    together = embedder.embed(texts)

    for number in (0, 13, 69):
        np.testing.assert_allclose(embedder.embed([texts[number]])[0], together[number], atol=2e-6)


def test_vectors_are_of_unit_length_and_the_stated_shape(embedder: Embedder) -> None:
    vectors = embedder.embed(["a", "b c", ""])

    assert vectors.shape == (3, embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_text_beyond_256_tokens_does_not_count(embedder: Embedder) -> None:
    """As in sentence-transformers; the tokenizer's file alone would cut at 128."""
    start = "quota " * 200
    vectors = embedder.embed([start, start + "bonus " * 54, start + "bonus " * 54 + "draw " * 90])

    assert float(vectors[0] @ vectors[1]) < COSINE_MIN
    np.testing.assert_allclose(vectors[1], vectors[2], atol=2e-6)


def test_the_identity_names_weights_and_arithmetic(embedder: Embedder) -> None:
    assert embedder.identity == IDENTITY
    assert "53aa51172d14" in IDENTITY
    assert "float32" in IDENTITY


def test_another_model_without_the_extra_is_refused_with_the_way_to_get_it(tmp_path: Path) -> None:
    if _has_extra():
        pytest.skip("the extra is installed here")

    with pytest.raises(Refused) as refusal:
        open_embedder("intfloat/e5-small-v2", tmp_path)

    assert [problem.code for problem in refusal.value.problems] == [Code.MODEL_EXTRA]
    assert "commission-mcp[sentence-transformers]" in str(refusal.value)


@pytest.mark.parity
def test_sentence_transformers_gives_the_same_vectors_under_the_same_identity(
    embedder: Embedder, model_directory: Path
) -> None:
    """So that an index outlives a change between the two."""
    if not _has_extra():
        pytest.skip("needs the extra [sentence-transformers]")
    from commission_mcp.search.sentence_transformers_embedder import (  # noqa: PLC0415 - the extra
        SentenceTransformersEmbedder,
    )

    other = SentenceTransformersEmbedder("sentence-transformers/all-MiniLM-L6-v2", model_directory, device="cpu")
    texts = [*reference()[0], *("tier " * number for number in range(1, 300, 23))]

    assert (embedder.embed(texts) * other.embed(texts)).sum(axis=1).min() > COSINE_MIN
    assert other.identity == embedder.identity
    assert other.dimensions == embedder.dimensions


@pytest.mark.parity
def test_another_model_has_an_identity_of_its_own_weights(model_directory: Path, tmp_path: Path) -> None:
    """A folder is named by what its weights are: the same name with other weights is another identity."""
    if not _has_extra():
        pytest.skip("needs the extra [sentence-transformers]")
    other = open_embedder(str(model_directory / "all-MiniLM-L6-v2"), tmp_path)

    assert other.identity != IDENTITY
    assert "sha256:" in other.identity
    assert other.embed([]).shape == (0, other.dimensions)


def _has_extra() -> bool:
    return importlib.util.find_spec("sentence_transformers") is not None
