"""A machine on which `doctor` finds nothing wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Installation


@pytest.fixture
def healthy(postgres_18: Installation, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has everything, with folders of its own."""
    (tmp_path / "documents").mkdir()
    # Another model than the default one: whether that was fetched on this machine is not what most tests are about.
    return {
        **postgres_18.variables,
        "COMMISSION_CLIENT_ID": "client-a",
        "COMMISSION_DOCUMENTS_DIRECTORY": str(tmp_path / "documents"),
        "COMMISSION_INDEX_DIRECTORY": str(tmp_path / "indexes"),
        "COMMISSION_MODEL_DIRECTORY": str(tmp_path / "model"),
        "COMMISSION_MODEL_FETCH": "false",
        "COMMISSION_EMBEDDING_MODEL": "another/model",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
