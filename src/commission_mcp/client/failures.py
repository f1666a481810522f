"""What a call may fail with.

```
CommissionError
├── SettingsError          the client was given something it cannot use (also a ValueError)
├── AuthError              no token, a wrong one, or not the role that the call needs
├── RefusedError           the server says what is wrong with the call, and what to do instead
│   └── NotFoundError      what was named does not exist (also a LookupError)
├── CallTimeoutError       nothing was heard for too long, or the server stopped the call (also a TimeoutError)
└── ServerError            the server failed; the call itself may be right
    └── UnavailableError   it, or what it needs, cannot be reached now: worth another try
        └── ConnectionLostError   the connection ended during the call, which may or may not have been carried out
```

Every one has `problems`: what is wrong, each with a stable code, a message, a fix and a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: What kind of problem; stable, made for programs.
        message: What is wrong, in words.
        fix: What to do instead.
        path: Where: the argument or field.
        position: Where in a text: the offset of a character, counted from 0.
    """

    code: str
    message: str
    fix: str = ""
    path: str = ""
    position: int | None = None

    def __str__(self) -> str:
        """The problem as one paragraph: code, place, message, fix."""
        offset = "" if self.position is None else f"at character {self.position}"
        place = "".join(f" ({part})" for part in (self.path, offset) if part)
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.code}{place}: {self.message}{fix}"


class CommissionError(Exception):
    """Any failure of a call."""

    def __init__(self, message: str, problems: Iterable[Problem] = (), *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.retry_after_s = retry_after_s

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the problems."""
        return frozenset(problem.code for problem in self.problems)


class SettingsError(CommissionError, ValueError):
    """The client was given something that it cannot use."""


class AuthError(CommissionError):
    """No token, a wrong one, or not the role that the call needs."""


class RefusedError(CommissionError):
    """The server says what is wrong with the call, and what to do instead."""


class NotFoundError(RefusedError, LookupError):
    """What was named does not exist."""


class CallTimeoutError(CommissionError, TimeoutError):
    """Nothing was heard for too long, or the server stopped the call at its limit."""


class ServerError(CommissionError):
    """The server failed; the call itself may be right."""


class UnavailableError(ServerError):
    """The server, or what it needs, cannot be reached now."""


class ConnectionLostError(UnavailableError):
    """The connection ended during the call, which may or may not have been carried out."""


_KINDS: Mapping[str, type[CommissionError]] = {
    "E_ROLE_REQUIRED": AuthError,
    "E_USER_UNKNOWN": AuthError,
    "E_CLIENT_DISABLED": AuthError,
    "E_CLIENT_MISMATCH": AuthError,
    "E_NOT_FOUND": NotFoundError,
    "E_CLIENT_UNKNOWN": NotFoundError,
    "E_TOOL_UNKNOWN": NotFoundError,
    "E_TIMEOUT": CallTimeoutError,
    "E_SQL_TIMEOUT": CallTimeoutError,
    "E_BUSY": UnavailableError,
    "E_SERVER_START": UnavailableError,
    "E_DATABASE_UNREACHABLE": UnavailableError,
    "E_REDIS_UNREACHABLE": UnavailableError,
}
_BY_STATUS: Mapping[int, type[CommissionError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    408: CallTimeoutError,
    413: RefusedError,
    421: RefusedError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
_STATUS_FIXES: Mapping[int, str] = {
    401: "Pass a valid token: token=..., COMMISSION_MCP_TOKEN or COMMISSION_MCP_TOKEN_FILE.",
    403: "The token does not allow this: ask for the client or the role that it lacks.",
    404: "Check the URL; the path is usually /mcp.",
    413: "Send less at a time.",
    421: "Use the host name that the server is set up for.",
    429: "Wait, then call again.",
    503: "Wait, then call again.",
}
_CODE_IN_TEXT = re.compile(r"\b(E_[A-Z_]+)(?: \(([^)]*)\))?: (.*?)(?: Fix: (.*))?$", re.MULTILINE)


def refusal(problems: Sequence[Problem], text: str) -> CommissionError:
    """The error for a refused call: the kind of its problems, where they agree."""
    kinds = {_KINDS.get(problem.code, RefusedError) for problem in problems}
    kind = kinds.pop() if len(kinds) == 1 else RefusedError
    return kind(text, problems)


def problems_of(listed: object) -> tuple[Problem, ...]:
    """The problems that a server sent; unknown fields are left out."""
    if not isinstance(listed, list):
        return ()
    found = [cast("dict[str, Any]", item) for item in cast("list[object]", listed) if isinstance(item, dict)]
    return tuple(
        Problem(
            str(item.get("code", "")),
            str(item.get("message", "")),
            str(item.get("fix") or ""),
            str(item.get("path") or ""),
            item.get("position"),
        )
        for item in found
    )


def problems_in(text: str) -> tuple[Problem, ...]:
    """The problems that a text names, where an answer has no other place for them."""
    return tuple(
        Problem(code, message, fix or "", path or "") for code, path, message, fix in _CODE_IN_TEXT.findall(text)
    )


def of_status(status: int, retry_after_s: float | None) -> CommissionError:
    """The error for an HTTP answer that is none of the protocol."""
    kind = _BY_STATUS.get(status, ServerError)
    problem = Problem(
        f"HTTP_{status}", f"The server answered with HTTP status {status}.", _STATUS_FIXES.get(status, "")
    )
    return kind(str(problem), [problem], retry_after_s=retry_after_s)
