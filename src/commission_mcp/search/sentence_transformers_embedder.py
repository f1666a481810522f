"""Any model that sentence-transformers can load, on a GPU where there is one: the extra `[sentence-transformers]`."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.search.embedding import Vectors
from commission_mcp.search.model import find_model, is_default

_BATCH_CPU = 8
_BATCH_GPU = 128


class SentenceTransformersEmbedder:
    """Embeds by sentence-transformers.

    Args:
        model: A name on the hub, or a folder.
        directory: The model directory; models from the hub are kept in it.
        device: ``cuda``, ``mps`` or ``cpu``; by default the best that torch finds.

    Raises:
        Refused: with `E_MODEL_EXTRA` without the extra, `E_MODEL_MISSING` when the model cannot be loaded.
    """

    def __init__(self, model: str, directory: Path, *, device: str | None = None) -> None:
        library = _library(model)
        place = str(find_model(directory).folder) if is_default(model) else model
        try:
            # A repository's own code is never run: trust_remote_code stays off.
            self._model: Any = library.SentenceTransformer(place, cache_folder=str(directory), device=device)
        except (OSError, ValueError) as failure:
            raise Refused(
                Problem(
                    Code.MODEL_MISSING,
                    f"The model {model!r} could not be loaded.",
                    "Name a model that sentence-transformers knows, or a folder, in COMMISSION_EMBEDDING_MODEL; "
                    "without a network it must be in the model directory already.",
                    "COMMISSION_EMBEDDING_MODEL",
                )
            ) from failure
        self._batch = _BATCH_CPU if self._model.device.type == "cpu" else _BATCH_GPU
        self.dimensions = int(_dimensions(self._model))
        self.identity = _identity(self._model, model)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, as rows."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        vectors = self._model.encode(
            list(texts),
            batch_size=self._batch,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.ascontiguousarray(vectors, np.float32)


def _library(model: str) -> Any:  # noqa: ANN401 - an extra: its types are not there
    try:
        return importlib.import_module("sentence_transformers")
    except ModuleNotFoundError:
        raise Refused(
            Problem(
                Code.MODEL_EXTRA,
                f"The model {model!r} needs sentence-transformers.",
                "Install `commission-mcp[sentence-transformers]`, or leave COMMISSION_EMBEDDING_MODEL unset.",
                "COMMISSION_EMBEDDING_MODEL",
            )
        ) from None


def _dimensions(model: Any) -> int:  # noqa: ANN401 - as above
    """The method had two names."""
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return ask()


def _identity(model: Any, name: str) -> str:  # noqa: ANN401 - as above
    """What the vectors depend on: the weights and their precision, not the folder that they came from."""
    if is_default(name):
        from commission_mcp.search.onnx_embedder import IDENTITY  # noqa: PLC0415 - imports ONNX Runtime

        return IDENTITY
    digest = hashlib.sha256()
    kinds: set[str] = set()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(_torch_bytes()).numpy())
        kinds.add(str(tensor.dtype).removeprefix("torch."))
    return f"{name} sha256:{digest.hexdigest()} {'+'.join(sorted(kinds))} tokens:{model.max_seq_length}"


def _torch_bytes() -> Any:  # noqa: ANN401 - as above
    return importlib.import_module("torch").uint8
