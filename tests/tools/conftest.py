"""The demo's first client with people of every role, over MCP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest
from mcp.client import Client as McpClient

from commission_mcp.domain.caller import Role
from commission_mcp.storage import (
    LOCAL_ISSUER,
    Client,
    LoginLimits,
    add_client,
    administration,
    find_client,
    operations,
)
from commission_mcp.storage.demo import DEMO_CLIENTS, load_demo_rows

if TYPE_CHECKING:
    from conftest import Connect, Installation

Demo: TypeAlias = Callable[..., AbstractAsyncContextManager[McpClient]]

PEOPLE = ("author", "second-author", "analyst", "approver", "finance", "compliance", "everyone")


@pytest.fixture(scope="session")
async def demo_client(postgres_18: Installation) -> str:
    """`client-abc` with the demo's rows and local users, each of whom may be given any role by the settings."""
    known = DEMO_CLIENTS[0]
    client = Client(
        known.client_id, known.name, region=known.region, time_zone=known.time_zone, tier=known.tier,
        compliance_level=known.compliance_level,
    )  # fmt: skip
    async with administration(postgres_18.address) as connection:
        if await find_client(connection, known.client_id) is None:
            await add_client(connection, client, postgres_18.credentials, LoginLimits())
    async with operations(postgres_18.address) as connection:
        await load_demo_rows(connection, known)
        for name in PEOPLE:
            await connection.execute(
                "INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT DO NOTHING",
                [known.client_id, f"local-{name}", LOCAL_ISSUER, name, [str(role) for role in Role]],
            )
        await connection.execute(
            "UPDATE cm.client_profile SET compliance_level = 'enterprise' WHERE client_id = %s", [known.client_id]
        )
    return known.client_id


@pytest.fixture(scope="session")
def demo(connect: Connect, postgres_18: Installation, demo_client: str) -> Demo:
    """Opens a connection as one of the demo's people."""

    @asynccontextmanager
    async def open_as(subject: str, **settings: object) -> AsyncGenerator[McpClient]:
        async with connect(postgres_18, demo_client, subject=subject, **settings) as client:
            yield client

    return open_as
