"""The list of functions: what must be on it, what must never be, and that it names what PostgreSQL has."""

import re

import pytest

from commission_mcp.sqlguard import ALLOWED_FUNCTIONS, VOLATILE_FUNCTIONS

_FORBIDDEN = re.compile(
    r"""(
        pg_(?!typeof$|column_size$|size_bytes$|size_pretty$|collation_for$).*
      | lo_.* | loread | lowrite | dblink.* | txid_.* | binary_upgrade.* | currtid.* | has_.*_privilege
      | inet_(client|server)_.*
      | .*_to_xml(schema|_and_xmlschema)? | ts_stat | ts_rewrite | ts_debug | set_config | current_.* | setseed | setval
      | nextval | currval | lastval | version | reg.*(in|out) | to_reg.* | format_type | .*_description
      | row_security_active
      | (array|record|range|multirange|enum|domain|any.*)_in | .*_recv | .*_send | amvalidate | .*_visible
    )""",
    re.VERBOSE,
)


def test_nothing_that_reaches_beyond_its_arguments_is_allowed() -> None:
    assert [name for name in ALLOWED_FUNCTIONS if _FORBIDDEN.fullmatch(name)] == []


@pytest.mark.parametrize(
    "name", ["int4pl", "texteq", "numeric_add", "jsonb_contains", "date", "textout", "percentile_cont"]
)
def test_what_operators_casts_and_conversions_run_is_on_the_list(name: str) -> None:
    assert name in ALLOWED_FUNCTIONS


def test_every_volatile_function_is_allowed() -> None:
    assert VOLATILE_FUNCTIONS <= ALLOWED_FUNCTIONS
