from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commission_mcp.storage import administration, prepare

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio


async def test_preparing_a_prepared_database_changes_nothing(installation: Installation) -> None:
    async with administration(installation.address) as connection:
        assert not await prepare(connection, installation.credentials)
