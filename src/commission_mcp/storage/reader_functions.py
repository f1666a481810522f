"""Which functions of PostgreSQL a reader may execute: one condition, for granting them and for checking the grants."""

from __future__ import annotations

from commission_mcp.sqlguard import ALLOWED_FUNCTIONS, VOLATILE_FUNCTIONS

# Types that name objects of the database or tell of transactions, and two whose comparison nothing can stop.
_WITHHELD_TYPES = (
    "internal",
    "aclitem",
    "xid",
    "path",
    "polygon",
    "regclass",
    "regproc",
    "regprocedure",
    "regoper",
    "regoperator",
    "regrole",
    "regnamespace",
    "regcollation",
    "regdictionary",
)


def reader_functions() -> str:
    """The condition on a row `p` of pg_proc.

    A function is a reader's when the guard lists its name (those behind operators, casts and the input and output of
    plain types are on that list), it does not change anything, and it touches no withheld type. Removing an array of
    keys from a jsonb is withheld: it looks at every key for every element within one call, which nothing can stop, and
    no text shows which `-` it is.
    """
    withheld = ", ".join(f"'pg_catalog.{name}'::regtype" for name in _WITHHELD_TYPES)
    return f"""
        p.pronamespace = 'pg_catalog'::regnamespace
        AND p.proname = ANY ({_array(ALLOWED_FUNCTIONS)})
        AND (p.provolatile <> 'v' OR p.proname = ANY ({_array(VOLATILE_FUNCTIONS)}))
        AND NOT p.prosecdef
        AND NOT (p.proname = 'jsonb_delete' AND p.proargtypes[1] = 'text[]'::regtype)
        AND NOT ((string_to_array(p.proargtypes::text, ' ')::oid[] || p.prorettype) && ARRAY[{withheld}]::oid[])
    """


def _array(names: frozenset[str]) -> str:
    # Names of PostgreSQL's own functions: letters, digits and underscores, so quoting them is enough.
    listed = ", ".join(f"'{name}'" for name in sorted(names))
    return f"ARRAY[{listed}]::name[]"
