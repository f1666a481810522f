"""How long a client's audit trail is kept: at least as its compliance level wants, and longer where that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

LEAST_DAYS: Mapping[str, int] = MappingProxyType({"standard": 365, "premium": 1_096, "enterprise": 2_557})
"""The least by compliance level: twelve months (PCI DSS 4.0.1, 10.5.1), three years (payroll records, 29 CFR 516.5) and
seven years (audit records, 17 CFR 210.2-06)."""

RETENTION_DAYS_MAX = 36_525


def least_days(compliance_level: str) -> int:
    """The days for which entries are kept in any case; a level that is not ours counts as the strictest."""
    return LEAST_DAYS.get(compliance_level, max(LEAST_DAYS.values()))


def days_kept(compliance_level: str, of_client: int | None, of_installation: int | None) -> int | None:
    """The days after which entries may be removed without being asked for by date; None when they are kept for good.

    Args:
        compliance_level: The client's.
        of_client: What was chosen for the client, which goes before the next.
        of_installation: What was chosen for all.
    """
    chosen = of_client if of_client is not None else of_installation
    return None if chosen is None else max(chosen, least_days(compliance_level))


def latest_cut(today: date, compliance_level: str, of_client: int | None, of_installation: int | None) -> date:
    """The latest day before which entries may be removed.

    Args:
        today: The date, in UTC.
        compliance_level: As in `days_kept`.
        of_client: As in `days_kept`.
        of_installation: As in `days_kept`.
    """
    kept = days_kept(compliance_level, of_client, of_installation) or least_days(compliance_level)
    return today - timedelta(days=min(kept, (today - date.min).days))
