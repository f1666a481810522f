"""The Lua scripts of the sessions: what has to happen in one step happens in the server."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from commission_mcp.storage.redis_connections import Script


def _script(name: str) -> Script:
    return Script(files("commission_mcp.storage.sessions").joinpath(f"{name}.lua").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Scripts:
    """All of them; the head of each file says what it takes and answers."""

    append: Script
    page: Script
    clear: Script
    remember: Script

    @classmethod
    def load(cls) -> Scripts:
        """Read them from their files."""
        return cls(_script("append"), _script("page"), _script("clear"), _script("remember"))

    def all(self) -> tuple[Script, ...]:
        """Each of them."""
        return (self.append, self.page, self.clear, self.remember)
