"""Which embedder serves a model on this machine."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from commission_mcp.search.embedding import Embedder
from commission_mcp.search.model import find_model, is_default

_NVIDIA = Path("/dev/nvidiactl")


def open_embedder(model: str, directory: Path, *, threads: int | None = None) -> Embedder:
    """Load the embedder of a model; takes from half a second to many, so that callers run it in a worker thread.

    The default model runs by ONNX Runtime, or by sentence-transformers where that extra and a GPU are there; every
    other model runs by sentence-transformers.

    Args:
        model: The setting `embedding_model`.
        directory: The setting `model_directory`.
        threads: Threads of ONNX Runtime; by default every core, at most four.

    Raises:
        Refused: with `E_MODEL_MISSING` or `E_MODEL_DAMAGED` until `fetch_model` was called, `E_MODEL_EXTRA` when the
            extra is needed and not installed.
    """
    # Imported here: torch takes seconds, ONNX Runtime a fifth of one.
    if is_default(model) and not has_gpu():
        from commission_mcp.search.onnx_embedder import OnnxEmbedder  # noqa: PLC0415 - see above

        return OnnxEmbedder(find_model(directory), threads=threads)
    from commission_mcp.search.sentence_transformers_embedder import SentenceTransformersEmbedder  # noqa: PLC0415 - see above

    return SentenceTransformersEmbedder(model, directory)


def has_gpu() -> bool:
    """Whether sentence-transformers is installed and would run on CUDA; torch is imported only where a driver is."""
    if not _NVIDIA.exists() or importlib.util.find_spec("sentence_transformers") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())
