"""What a client has that a draft may refer to, read for one assessment."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import LiteralString

from commission_mcp.domain.wizard import Draft, Known, Names, RegionDefaults, StepPolicy, TakenName
from commission_mcp.domain.wizard.masters import mentioned
from commission_mcp.storage.writing import Writing

_LISTED_MAX = 10_000
_SUGGESTED_MAX = 2_000


async def load_known(writing: Writing, draft: Draft) -> Known:
    """The client as the wizard needs it for a draft."""
    currency, region, level = await _profile(writing)
    return Known(
        base_currency=currency,
        region=region,
        compliance_level=level,
        currencies=frozenset(str(row[0]) for row in await writing.rows("SELECT code FROM cm.currency")),
        regions={
            str(name): RegionDefaults(str(money), str(compliance))
            for name, money, compliance in await writing.rows(
                "SELECT region, currency, compliance_level FROM cm.region_default"
            )
        },
        territories=await _all(writing, "SELECT territory_id, name FROM cm.territory WHERE client_id = %s LIMIT %s"),
        products=await _all(writing, "SELECT product_id, name FROM cm.product WHERE client_id = %s LIMIT %s"),
        payees=await _payees(writing, mentioned(_referring(draft), "payees")),
        teams=await _labels(writing, "SELECT DISTINCT team FROM cm.payee WHERE client_id = %s AND team <> '' LIMIT %s"),
        job_roles=await _labels(
            writing, "SELECT DISTINCT job_role FROM cm.payee WHERE client_id = %s AND job_role <> '' LIMIT %s"
        ),
        uoms=await _all(writing, "SELECT uom, name FROM cm.uom WHERE client_id = %s LIMIT %s"),
        override_keys={
            str(key): (int(priority), Decimal(multiplier))
            for key, priority, multiplier in await writing.rows(
                "SELECT override_key, priority, multiplier FROM cm.override_key WHERE client_id = %s",
                [writing.client_id],
            )
        },
        policies=await load_policies(writing),
        taken=await _taken(writing, draft.metadata.get("plan_name")),
    )


async def load_policies(writing: Writing) -> tuple[StepPolicy, ...]:
    """The client's policy for approvals."""
    rows = await writing.rows(
        "SELECT step, requirement, deciding_role, automatic_below FROM cm.approval_policy WHERE client_id = %s "
        "ORDER BY step",
        [writing.client_id],
    )
    return tuple(StepPolicy(*row) for row in rows)


async def load_parents(writing: Writing) -> dict[str, dict[str, str]]:
    """For territories and products, the parent of each key."""
    territories = await writing.rows(
        "SELECT territory_id, parent_id FROM cm.territory WHERE client_id = %s AND parent_id IS NOT NULL",
        [writing.client_id],
    )
    products = await writing.rows(
        "SELECT product_id, parent_id FROM cm.product WHERE client_id = %s AND parent_id IS NOT NULL",
        [writing.client_id],
    )
    return {"territory": {row[0]: row[1] for row in territories}, "product": {row[0]: row[1] for row in products}}


async def _profile(writing: Writing) -> tuple[str, str | None, str]:
    row = await writing.row(
        "SELECT c.base_currency, p.region, coalesce(p.compliance_level, 'standard') FROM cm.client c "
        "LEFT JOIN cm.client_profile p USING (client_id) WHERE c.client_id = %s",
        [writing.client_id],
    )
    return ("USD", None, "standard") if row is None else (row[0], row[1], row[2])


async def _all(writing: Writing, statement: LiteralString) -> Names:
    return _names(await writing.rows(statement, [writing.client_id, _LISTED_MAX]))


async def _labels(writing: Writing, statement: LiteralString) -> Names:
    """Values that have no key of their own; without any, everything goes."""
    rows = await writing.rows(statement, [writing.client_id, _LISTED_MAX])
    return _names([(row[0], row[0]) for row in rows]) if rows else Names(free=True)


async def _payees(writing: Writing, texts: set[str]) -> Names:
    """The payees that are asked for by key or name, and some names to suggest."""
    if not texts:
        return Names()
    asked = [text.strip().lower() for text in texts]
    found = await writing.rows(
        "SELECT payee_id, name FROM cm.payee WHERE client_id = %s AND (lower(name) = ANY (%s) "
        "OR lower(payee_id) = ANY (%s)) LIMIT %s",
        [writing.client_id, asked, asked, _LISTED_MAX],
    )
    suggested = await writing.rows(
        "SELECT name FROM cm.payee WHERE client_id = %s AND left_on IS NULL ORDER BY name LIMIT %s",
        [writing.client_id, _SUGGESTED_MAX],
    )
    names = _names(found)
    return Names(names.ids, tuple(str(row[0]) for row in suggested))


def _names(rows: Iterable[tuple[str, str]]) -> Names:
    listed = list(rows)
    ids: dict[str, tuple[str, ...]] = {}
    for key, name in listed:
        ids[name.lower()] = (*ids.get(name.lower(), ()), key)
    ids |= {key.lower(): (key,) for key, _ in listed}
    return Names(ids, tuple(sorted({name for _, name in listed})))


async def _taken(writing: Writing, name: object) -> TakenName | None:
    if not isinstance(name, str):
        return None
    row = await writing.row(
        "SELECT plan_id, plan_name FROM cm.plan WHERE client_id = %s AND lower(plan_name) = lower(%s) "
        "AND NOT withdrawn",
        [writing.client_id, name.strip()],
    )
    return None if row is None else TakenName(*row)


def _referring(draft: Draft) -> list[object]:
    return [[dict(rule) for rule in draft.rules], dict(draft.extras), dict(draft.submission)]
