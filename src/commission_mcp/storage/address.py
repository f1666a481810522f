"""Where a database is, apart from who logs in to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commission_mcp.errors import Code, Problem, Refused

CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Address:
    """A PostgreSQL database: host, port, name and TLS settings, and the login that its URL names."""

    parameters: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a connection URL.

        Raises:
            Refused: with `E_SETTING`, without showing the URL.
        """
        try:
            parsed = conninfo_to_dict(url)
        except ProgrammingError:
            raise Refused(
                Problem(
                    Code.SETTING,
                    "The PostgreSQL URL cannot be read.",
                    "Write postgresql://user:password@host:5432/database, with special characters percent-encoded.",
                    "COMMISSION_POSTGRES_URL",
                )
            ) from None
        return cls(tuple(sorted((name, str(value)) for name, value in parsed.items() if value is not None)))

    @property
    def place(self) -> str:
        """Host, port and database, for messages; no user and no password."""
        known = dict(self.parameters)
        return f"{known.get('host', 'localhost')}:{known.get('port', '5432')}/{known.get('dbname', '')}"

    def conninfo(self, application: str, *, options: str = "") -> str:
        """The connection string for the login that the URL names."""
        return self._with(application, options)

    def conninfo_as(self, login: str, password: str, application: str, *, options: str = "") -> str:
        """The connection string for another login at the same place."""
        return self._with(application, options, user=login, password=password)

    def _with(self, application: str, options: str, **login: str) -> str:
        known = dict(self.parameters) | login
        known["application_name"] = application
        known.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
        if options:
            known["options"] = " ".join(part for part in (known.get("options", ""), options) if part)
        return make_conninfo(**known)
