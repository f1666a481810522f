"""Who the demo clients are: three companies that do not exist, each with people of every role."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoClient:
    """A client of the demo, as it is added before its rows are loaded."""

    client_id: str
    name: str
    base_currency: str
    time_zone: str
    region: str
    tier: str
    commission_model: str
    compliance_level: str
    prefix: str
    users: tuple[tuple[str, tuple[str, ...]], ...]


def _users(prefix: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """One user of each role; their keys carry the client's prefix, so that no two clients share one."""
    return (
        (f"{prefix}-analyst", ("analyst",)),
        (f"{prefix}-author", ("plan_author", "analyst")),
        (f"{prefix}-approver", ("approver",)),
        (f"{prefix}-finance", ("finance",)),
        (f"{prefix}-compliance", ("compliance", "auditor")),
        (f"{prefix}-manager", ("manager",)),
        (f"{prefix}-payee", ("payee",)),
    )


ABC = DemoClient(
    "client-abc",
    "ABC Industries",
    "USD",
    "America/New_York",
    "North America",
    "enterprise",
    "tiered",
    "enterprise",
    "abc",
    _users("abc"),
)
EMEA = DemoClient(
    "client-emea",
    "Meridian Europe",
    "EUR",
    "Europe/Berlin",
    "EMEA",
    "premium",
    "slab",
    "standard",
    "emea",
    _users("emea"),
)
JP = DemoClient(
    "client-jp", "Sakura Trading", "JPY", "Asia/Tokyo", "APAC", "standard", "flat", "standard", "jp", _users("jp")
)
DEMO_CLIENTS: tuple[DemoClient, ...] = (ABC, EMEA, JP)
