"""`Select`: a statement that has passed the guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field

SEAL = object()
"""What `parse_select` shows to be allowed to make a `Select`."""


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT that may run. Only `parse_select` makes these, so holding one proves that the text was checked.

    Attributes:
        sql: The one statement to send, without its semicolon; complete when appended to ``DECLARE c CURSOR FOR``.
        parameter_count: How many values go with it, as ``$1`` to ``$n``.
        relations: The relations it reads, each as ``schema.table``.
        ordered: Whether the outermost query has an ORDER BY.
        volatile: Whether the same statement may answer differently over the same data (clock, random numbers).
        small: How many characters or elements a parameter may have at most, where the work grows with them beyond what
            a time limit stops.
    """

    sql: str
    parameter_count: int
    relations: frozenset[str]
    ordered: bool
    volatile: bool
    _: KW_ONLY
    small: Mapping[int, int] = field(default_factory=dict[int, int])
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Let nobody but the guard make one.

        Raises:
            TypeError: without the guard's seal.
        """
        if seal is not SEAL:
            raise TypeError("a Select comes from parse_select, which checks the text")
