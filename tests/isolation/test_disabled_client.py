from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from commission_mcp.domain.caller import Caller, MaskingClass, Role
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import administration
from commission_mcp.storage.clients import set_active

if TYPE_CHECKING:
    from .conftest import Broken, Guarded, LogIn, Witness

pytestmark = pytest.mark.anyio

OTHER = Caller("client-b", "local", "local", frozenset({Role.ANALYST}))


async def _set_active(broken: Broken, *, active: bool) -> None:
    async with administration(broken.address) as connection:
        await set_active(connection, "client-b", active=active)


async def test_a_disabled_clients_logins_are_closed_ended_and_blind(
    broken: Broken, superuser: Witness, log_in: LogIn, open_guarded: Guarded
) -> None:
    with log_in(broken, "client-b") as open_before:
        assert "400" in open_before.say("SELECT count(*) FROM commission.sales")
        await _set_active(broken, active=False)
        try:
            said = open_before.say("SELECT count(*) FROM commission.sales")
            with pytest.raises(psycopg.OperationalError, match="not permitted to log in"), log_in(broken, "client-b"):
                pass
            with pytest.raises(psycopg.OperationalError), log_in(broken, "client-b", MaskingClass.CLEAR):
                pass
            async with open_guarded(broken) as database:
                with pytest.raises(Refused) as refused:
                    async with database.reading(OTHER):
                        pass
        finally:
            await _set_active(broken, active=True)

    assert "400" not in said
    assert [problem.code for problem in refused.value.problems] == [Code.CLIENT_DISABLED]
    assert superuser.values("SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^cm_r_'") == [0]
    with log_in(broken, "client-b") as enabled_again:
        assert "400" in enabled_again.say("SELECT count(*) FROM commission.sales")


async def test_a_login_that_is_not_enabled_sees_no_row_even_while_it_is_logged_in(
    broken: Broken, superuser: Witness, log_in: LogIn
) -> None:
    login = broken.credentials.reader_login("client-b", MaskingClass.MASKED)
    with log_in(broken, "client-b") as intruder:
        superuser.connection.execute("UPDATE cm_priv.login SET enabled = false WHERE role_name = %s", [login])
        try:
            said = intruder.say("SELECT 'rows: ' || count(*) FROM commission.sales")
        finally:
            superuser.connection.execute("UPDATE cm_priv.login SET enabled = true WHERE role_name = %s", [login])

    assert "rows: 0" in said
