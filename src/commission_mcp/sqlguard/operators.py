"""The operators that a statement may write: all of pg_catalog of PostgreSQL 15 to 18, and no others.

Under a bare name an operator of another schema in the search path would be found too, with whatever function stands
behind it.
"""

from __future__ import annotations

OPERATORS: frozenset[str] = frozenset(
    r"""
    !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <>
    <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~
    ~~ ~~*
    """.split()  # noqa: SIM905 - reads better as a paragraph
)
"""Names of `pg_operator`."""

FOREIGN_OPERATORS: dict[str, str] = {
    "==": "=",
    "===": "=",
    "<=>": "IS NOT DISTINCT FROM",
    "!<": ">=",
    "!>": "<=",
    "=~": "~",
    "**": "^",
    "//": "div(a, b)",
}
"""What to write here for the operators of other databases and languages."""
