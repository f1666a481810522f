"""The lists of a client's backend: read when a plan is made, kept for minutes, and done without when it is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import anyio
import anyio.to_thread
import httpx2
import orjson

from commission_mcp.domain.caller import Caller
from commission_mcp.domain.wizard import backend as lists
from commission_mcp.domain.wizard.backend import Backend, ListedNames
from commission_mcp.storage.database import Database
from commission_mcp.storage.outbox.destinations import Destination, Fallback, load_destinations
from commission_mcp.storage.outbox.posting import http_client, read_body, trust

FRESH_S = 300.0
RETRY_S = 30.0  # after a failure
ANSWER_S = 3.0  # for all lists together: a person waits
_CLIENTS_MAX = 200
_ROWS_MAX = 5_000
_LIST_BYTES_MAX = 1024 * 1024
_ABSENT = frozenset({404, 405, 410, 501})  # the backend has no such list

CALLS: Mapping[str, str] = MappingProxyType(
    {
        lists.SCHEDULES: "/api/PlanCreationWebApi/GetCommissionSchedule",
        lists.ASSIGNEES: "/api/PlanCreationWebApi/GetAssigneeNameList",
        lists.PLAN_PARAMS: "/api/PlanCreationWebApi/GetPlanParams",
        lists.UOMS: "/api/PlanCreationWebApi/GetUomList",
        lists.CURRENCIES: "/api/PlanCreationWebApi/GetCurrencyList",
        lists.PLAN_TYPES: "/api/PlanTypeMasterWebApi/GetPlanTypeMasterList",
    }
)


class UnreadableError(Exception):
    """A list did not come as one; the text says why, in our own words."""


@dataclass(frozen=True, slots=True)
class _Kept:
    destination: Destination
    backend: Backend
    until: float


class BackendLists:
    """The lists of all clients' backends, as far as this process was asked for them lately.

    Args:
        fallback: The operator's own backend.
        fresh_s: How long lists are used before they are read anew.
        retry_s: How long a backend that failed is left alone.
        answer_s: How long it may take to read them all.
    """

    def __init__(
        self, fallback: Fallback, *, fresh_s: float = FRESH_S, retry_s: float = RETRY_S, answer_s: float = ANSWER_S
    ) -> None:
        self._fallback = fallback
        self._fresh_s, self._retry_s, self._answer_s = fresh_s, retry_s, answer_s
        self._kept: dict[str, _Kept] = {}
        self._reading: dict[str, anyio.Lock] = {}

    async def of(self, database: Database, caller: Caller) -> Backend | None:
        """What the backend of the caller's client knows; None where it has none, or none with lists.

        No connection to the database is held while the backend thinks.

        Raises:
            Refused: when the database does not answer, or not the caller.
        """
        async with database.writing(caller, read_only=True) as reading:
            destination = (await load_destinations(reading, self._fallback)).backend
        if destination is None or destination.format != "plan_creation_web_api":
            return None
        # Callers of one client wait for one reading, not each for an own one.
        lock = self._reading.setdefault(caller.client_id, anyio.Lock())
        async with lock:
            kept = self._kept.get(caller.client_id)
            if kept is None or kept.destination != destination or kept.until <= anyio.current_time():
                kept = await self._read(destination, kept)
                self._keep(caller.client_id, kept)
        return kept.backend

    async def _read(self, destination: Destination, before: _Kept | None) -> _Kept:
        try:
            found = Backend(await _all_lists(destination, self._answer_s))
        except UnreadableError as error:
            same = before is not None and before.destination == destination
            known = before.backend if before is not None and same else Backend()
            return _Kept(destination, replace(known, failure=str(error)), anyio.current_time() + self._retry_s)
        return _Kept(destination, found, anyio.current_time() + self._fresh_s)

    def _keep(self, client_id: str, kept: _Kept) -> None:
        self._kept.pop(client_id, None)
        self._kept[client_id] = kept
        while len(self._kept) > _CLIENTS_MAX:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._reading.pop(oldest, None)


async def _all_lists(destination: Destination, answer_s: float) -> dict[str, ListedNames]:
    """Every list that the backend has.

    Raises:
        UnreadableError: why not.
    """
    found: dict[str, ListedNames] = {}
    try:
        with anyio.fail_after(answer_s):
            context = await anyio.to_thread.run_sync(trust, destination.authority)
            async with http_client(destination, context, answer_s) as client:
                for kind, path in CALLS.items():
                    rows = await _rows(client, f"{destination.url}{path}")
                    if rows is not None:
                        found[kind] = _names(rows)
    except (TimeoutError, httpx2.TimeoutException):
        raise UnreadableError("no answer in time") from None
    except httpx2.HTTPError as error:
        raise UnreadableError(f"no connection ({type(error).__name__})") from None
    except (httpx2.InvalidURL, OSError, ValueError):
        raise UnreadableError("the address or the certificate authority cannot be used") from None
    return found


async def _rows(client: httpx2.AsyncClient, url: str) -> list[object] | None:
    async with client.stream("GET", url) as answer:
        if answer.status_code in _ABSENT:
            return None
        if not answer.is_success:
            raise UnreadableError(f"it answered {answer.status_code}")
        text = await read_body(answer, _LIST_BYTES_MAX)
    if text is None:
        raise UnreadableError("a list is longer than anybody needs")
    try:
        found: object = orjson.loads(text or b"null")
    except orjson.JSONDecodeError:
        raise UnreadableError("it answered something that is not JSON") from None
    rows = cast("Mapping[str, object]", found).get("data") if isinstance(found, Mapping) else found
    if rows is None:
        return None
    if not isinstance(rows, list):
        raise UnreadableError("it answered something that is no list")
    return cast("list[object]", rows)[:_ROWS_MAX]


def _names(rows: list[object]) -> ListedNames:
    texts = [found for row in rows if (found := _texts(row))]
    return ListedNames(
        tuple(dict.fromkeys(found[0] for found in texts)),
        frozenset(text.strip().lower() for found in texts for text in found),
    )


def _texts(row: object) -> list[str]:
    """The texts of a row, the one that names it first."""
    if isinstance(row, str):
        return [row]
    if not isinstance(row, Mapping):
        return []
    fields = cast("Mapping[str, object]", row)
    named = sorted(fields, key=lambda name: not name.lower().endswith(("name", "label")))
    return [text for name in named if isinstance(text := fields[name], str) and text.strip()]
