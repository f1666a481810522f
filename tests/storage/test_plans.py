"""Plan versions as they are stored and loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from commission_mcp.domain.caller import Caller, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Database,
    DatabaseLimits,
    ReplicaAddresses,
    open_database,
)
from commission_mcp.storage.plans import load_version, load_versions

if TYPE_CHECKING:
    from conftest import Installation

pytestmark = pytest.mark.anyio

ALICE = Caller("client-abc", LOCAL_ISSUER, "local", frozenset({Role.PLAN_AUTHOR}))


@pytest.fixture(scope="module")
async def database(demo_installation: Installation, demo_client: str) -> AsyncIterator[Database]:
    """The database of the demo."""
    assert demo_client == ALICE.client_id
    async with open_database(
        demo_installation.address, demo_installation.credentials, DatabaseLimits(), ReplicaAddresses()
    ) as opened:
        yield opened


async def test_a_version_is_the_plan_that_the_engine_takes(database: Database) -> None:
    async with database.writing(ALICE, read_only=True) as reading:
        version = await load_version(reading, "plan-123")

    assert (version.ref, version.status, version.name) == ("plan-123/1", "active", "Q3 Sales Incentives")
    assert version.plan().assignments[0].priority == 1


async def test_without_a_number_the_active_version_is_loaded(database: Database) -> None:
    async with database.writing(ALICE, read_only=True) as reading:
        assert (await load_version(reading, "plan-core")).version == 2
        assert (await load_version(reading, "plan-growth-2026")).status == "submitted"
        assert [version.version for version in await load_versions(reading, "plan-core")] == [2, 1]


async def test_an_unknown_plan_is_answered_with_the_nearest(database: Database) -> None:
    async with database.writing(ALICE, read_only=True) as reading:
        with pytest.raises(Refused) as refused:
            await load_version(reading, "plan-cor")
        with pytest.raises(Refused) as unknown:
            await load_version(reading, "plan-core", 9)

    assert refused.value.problems[0].code == unknown.value.problems[0].code == Code.NOT_FOUND
    assert "plan-core" in refused.value.problems[0].fix
