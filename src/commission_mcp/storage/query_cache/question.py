"""What an answer depends on, and the name under which it is kept."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commission_mcp import __version__
from commission_mcp.sqlguard import Select
from commission_mcp.storage.gate import Admission
from commission_mcp.storage.reading import MASKS
from commission_mcp.storage.values import Value

_FORMAT = 1  # of names and records; another number forgets everything
_CLOCK_WORD = re.compile(r"(?<![a-z])now(?![a-z])", re.IGNORECASE)  # text that is the clock when read as a time


@dataclass(frozen=True, slots=True)
class Question:
    """One question of one caller: everything but the data that its answer depends on.

    Attributes:
        admission: Who asks, with the versions of the data at this moment.
        select: The statement.
        params: Its values.
        bounds: Limits and settings that shape the answer: rows, characters, offset and whatever else.
        tables: The tables whose rows the statement reads; None when changes of one of them are not counted.
    """

    admission: Admission
    select: Select
    params: Sequence[Value]
    bounds: tuple[int, ...]
    tables: frozenset[str] | None

    @property
    def cacheable(self) -> bool:
        """Whether the same question over the same versions has the same answer."""
        # Other words of the clock, such as `tomorrow`, change their meaning with the date, which is in the name.
        return self.tables is not None and not self.select.volatile and not self._tells_the_time()

    def _tells_the_time(self) -> bool:
        texts = [self.select.sql, *(json.dumps(value) for value in self.params if isinstance(value, str | list))]
        return any(_CLOCK_WORD.search(text) for text in texts)

    def name(self, key: bytes, versions: Mapping[str, str], today: str) -> str:
        """Where the answer is kept that is read while the data has these versions.

        Args:
            key: What names are made with, so that nobody can check a guess at a question against them.
            versions: The versions that the rows are read in.
            today: The date that the rows are read on, in UTC.
        """
        admission = self.admission
        marks = [(table, versions.get(table)) for table in sorted((self.tables or frozenset()) | {MASKS})]
        content = [
            *(_FORMAT, __version__, admission.caller.client_id, admission.login, admission.epoch, today),
            *(self.select.sql, self.params, self.bounds, marks),
        ]
        digest = hmac.digest(key, json.dumps(content).encode(), "sha256").hex()
        return f"{prefix(admission.caller.client_id)}{digest}"


def prefix(client_id: str | None) -> str:
    """What the names of all answers of a client begin with, or those of all clients.

    The braces keep a client's on one slot of a cluster.
    """
    return "cm:1:q:" if client_id is None else f"cm:1:q:{{{client_id}}}:"
