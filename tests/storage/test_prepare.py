from __future__ import annotations

import pytest

from commission_mcp.storage import administration, prepare

pytestmark = pytest.mark.anyio


async def test_preparing_a_prepared_database_changes_nothing(installation) -> None:  # type: ignore
    async with administration(installation.address) as connection:
        assert not await prepare(connection, installation.credentials)
