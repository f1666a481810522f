"""Text to vectors of its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """A model that places texts by their meaning.

    Attributes:
        identity: The model, its weights' checksum and its arithmetic: vectors of two identities are never compared.
        dimensions: How many numbers a vector has.
    """

    @property
    def identity(self) -> str: ...  # noqa: D102 - described above

    @property
    def dimensions(self) -> int: ...  # noqa: D102 - described above

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, as rows; blocks the thread, so that callers run it in a worker of their own."""
        ...
