"""Refusals before a request reaches the protocol, as HTTP answers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from commission_mcp.errors import Code, Problem, Refused

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, METHOD, TOO_SLOW = 400, 401, 403, 405, 408
TOO_LARGE, MISDIRECTED, TOO_MANY, UNAVAILABLE = 413, 421, 429, 503


class HttpRefusal(Exception):  # noqa: N818 - an outcome, as `Refused`
    """A request is refused with this status."""

    def __init__(self, status: int, refused: Refused, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.refused = refused
        self.headers = headers or {}

    def response(self) -> Response:
        """The answer: a JSON object with all problems."""
        problems = [
            {"code": str(problem.code), "message": problem.message, "fix": problem.fix}
            for problem in self.refused.problems
        ]
        body = {"error": problems[0]["code"], "error_description": str(self.refused), "problems": problems}
        return Response(orjson.dumps(body), self.status, dict(self.headers), "application/json")


def refusal(status: int, message: str, fix: str, code: Code = Code.ARGUMENT) -> HttpRefusal:
    """A refusal for one reason."""
    return HttpRefusal(status, Refused(Problem(code, message, fix)))


def unauthenticated(refused: Refused, metadata_url: str | None, *, presented: bool) -> HttpRefusal:
    """The challenge of RFC 6750 and RFC 9728 to whoever has no token that is accepted.

    Args:
        refused: Why.
        metadata_url: Where it stands who issues tokens for this server.
        presented: Whether a token came with the request; without one the challenge names no error.
    """
    said = refused.problems[0].message.encode("ascii", "replace").decode().replace("\\", "").replace('"', "'")
    parts = ['error="invalid_token"', f'error_description="{said}"'] if presented else []
    if metadata_url is not None:
        parts.append(f'resource_metadata="{metadata_url}"')
    return HttpRefusal(UNAUTHORIZED, refused, {"WWW-Authenticate": f"Bearer {', '.join(parts)}".strip()})
