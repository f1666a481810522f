"""The default embedder: all-MiniLM-L6-v2 by ONNX Runtime, from the published weights as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it publishes none
from tokenizers import Encoding, Tokenizer

from commission_mcp.search.embedding import Vectors
from commission_mcp.search.minilm_graph import HIDDEN, build_graph
from commission_mcp.search.model import NAME, WEIGHTS_SHA256, ModelFiles

IDENTITY = f"{NAME} sha256:{WEIGHTS_SHA256} float32 tokens:256"
"""The same for every program that computes these weights in float32: their vectors agree to seven digits."""

TOKENS_MAX = 256
_BATCH_TOKENS = 1_024  # a batch's texts times its longest; larger ones leave the processor's caches
_BATCH_TEXTS = 32
_THREADS_MAX = 4
_HEADER_BYTES = 8
_HEADER_MAX = 1_000_000


class OnnxEmbedder:
    """Embeds by ONNX Runtime on the processor.

    Args:
        files: The model, already checked.
        threads: Threads for one `embed`, the caller's among them; by default every core, at most four. They wait
            without spinning, so that the event loop gets its turn.
    """

    identity = IDENTITY
    dimensions = HIDDEN

    def __init__(self, files: ModelFiles, *, threads: int | None = None) -> None:
        self._tokenizer = _tokenizer(files.vocabulary)
        self._session = _session(files.weights, threads or default_threads())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, as rows."""
        vectors = np.empty((len(texts), HIDDEN), np.float32)
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(list(texts))
        ids = [encoding.ids for encoding in encodings]
        for batch in _batches(ids):
            vectors[batch] = self._run([ids[number] for number in batch])
        return vectors

    def _run(self, ids: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, ids))
        padded = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return self._session.run(["vectors"], {"ids": padded, "mask": mask})[0]


def default_threads() -> int:
    """Threads for one embedder on this machine: those that the process may use, at most four."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_THREADS_MAX, available or 1))


def _batches(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of texts of like length, so that little is padded."""
    batch: list[int] = []
    for number in sorted(range(len(ids)), key=lambda number: len(ids[number])):
        if batch and (len(batch) == _BATCH_TEXTS or (len(batch) + 1) * len(ids[number]) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _tokenizer(path: Path) -> Tokenizer:
    """The tokenizer as sentence-transformers uses it: 256 tokens, not the 128 and the padding that its file says."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)  # pyright: ignore[reportUnknownMemberType] - untyped keywords
    return tokenizer


def _session(path: Path, threads: int) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
    weights = read_safetensors(path)
    model, wanted = build_graph(weights)
    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    values = [runtime.OrtValue.ortvalue_from_numpy(weights[name]) for name in wanted]
    options.add_external_initializers(wanted, values)
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def read_safetensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The float32 tensors of a safetensors file, mapped into memory.

    The format: the header's length as 8 bytes, little-endian; the header, JSON; the tensors' bytes.
    """
    mapped = np.memmap(path, np.uint8, mode="r")
    length = int.from_bytes(mapped[:_HEADER_BYTES].tobytes(), "little")
    if length > _HEADER_MAX:
        raise ValueError("not a safetensors file")
    start = _HEADER_BYTES + length
    header: dict[str, dict[str, Any]] = json.loads(mapped[_HEADER_BYTES:start].tobytes())
    return {
        name: mapped[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        .view(np.float32)
        .reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }
